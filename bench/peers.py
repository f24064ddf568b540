"""Other sandboxes that are installed here: how to run a work in each, and how long it took."""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.work import PATH, Work

#: A peer that needs longer for one run has no number: the table says so.
SECONDS = 90
#: Runs of a peer; one only where the first took long.
ROUNDS = 3
PATIENCE = 4.0

Runner = Callable[[Work, list[str], Path], float]


class Failed(Exception):
    """Why there is no number."""


def _prefix(*words: str) -> Runner:
    def run(work: Work, argv: list[str], folder: Path) -> float:
        # A shell between: an old runsc loses what its first process writes at its very end.
        full = [*words, "sh", "-c", '"$@"; exit $?', "sh", *argv]
        start = time.perf_counter()
        done = subprocess.run(
            full, capture_output=True, timeout=SECONDS, env={"PATH": PATH, "HOME": "/tmp"}, cwd="/tmp"
        )
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise Failed(f"status {done.returncode}: {done.stderr.decode(errors='replace').strip()[-120:]}")
        return float(done.stdout) if work.argv is None else seconds * 1e9

    return run


def _user_mode_linux(binary: str) -> Runner:
    """The host's own root through hostfs, /tmp in memory; a program's time is taken inside, without the boot."""

    def run(work: Work, argv: list[str], folder: Path) -> float:
        result, init = folder / "uml.out", folder / "uml.sh"
        result.unlink(missing_ok=True)
        init.write_text(
            "#!/bin/sh\nmount -t proc proc /proc; mount -t tmpfs tmpfs /tmp; cd /tmp\n"
            f"export PATH={PATH} HOME=/tmp; ip link set lo up 2>/dev/null\n"
            f"s=$(date +%s%N); {shlex.join(argv)} >/tmp/out 2>/tmp/err; r=$?; e=$(date +%s%N)\n"
            f"(echo $r $((e-s)); cat /tmp/out) >{shlex.quote(str(result))}\n"
            "exec busybox poweroff -f\n"
        )
        init.chmod(0o755)
        words = ["mem=1G", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}", "con=null", "con0=null", "quiet"]
        subprocess.run(
            [binary, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, start_new_session=True
        )
        if not result.exists():
            raise Failed("it did not get as far as the command")
        first, _, rest = result.read_text(errors="replace").partition("\n")
        status, nanoseconds = first.split()
        if status != "0":
            raise Failed(f"status {status}")
        return float(rest) if work.argv is None else float(nanoseconds)

    return run


def find() -> tuple[dict[str, Runner], dict[str, str]]:
    """The peers that are here, and why others are not."""
    found: dict[str, Runner] = {}
    missing = {}
    if shutil.which("bwrap"):
        found["bubblewrap"] = _prefix(
            "bwrap", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--unshare-all"
        )
    else:
        missing["bubblewrap"] = "bwrap is not installed: apt install bubblewrap"
    if shutil.which("runsc"):
        rootless = ["--rootless"] if os.geteuid() else []
        found["gvisor"] = _prefix("runsc", *rootless, "--ignore-cgroups", "--network=none", "do")
    else:
        missing["gvisor"] = "runsc is not installed: apt install runsc"
    if (binary := shutil.which("linux.uml")) and shutil.which("busybox"):
        found["uml"] = _user_mode_linux(binary)
    else:
        missing["uml"] = "linux.uml or busybox is not installed: apt install user-mode-linux busybox-static"
    return found, missing


def measure(run: Runner, work: Work, argv: list[str], folder: Path) -> float:
    """Median nanoseconds. Raises Failed."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        try:
            times.append(run(work, argv, folder))
        except subprocess.TimeoutExpired:
            raise Failed(f"longer than {SECONDS} s") from None
        except (OSError, ValueError) as error:
            raise Failed(str(error)) from None
        if time.perf_counter() - start > PATIENCE:
            break
    return statistics.median(times)
