"""Ctrl-C, SIGTERM and SIGHUP end every verb, whatever it is at: no process stays, no folder, no traceback."""

import os
import signal
import subprocess
import sys
import time

import pytest

LODGER = [sys.executable, "-m", "lodger"]
VERBS = {
    "run": ["run", "--guard", "none", "--", "sleep"],
    "run-classic": ["run", "--machine", "classic", "--", "sleep"],
    "profile": ["profile", "--guard", "none", "--", "sleep"],
    "profile-classic": ["profile", "--machine", "classic", "--", "sleep"],
    "trace": ["trace", "--guard", "none", "--", "sleep"],
    "trace-host": ["trace", "--guard", "none", "--host", "--", "sleep"],
    "ladder-on-the-host": ["ladder", "--", "sleep"],
    "ladder-suite": ["ladder", "--suite", "--plot"],
}


def descendants(pid):
    """Of a process, by parents, zombies not."""
    lines = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True).stdout.splitlines()
    parents = {int(p): int(q) for p, q, state in map(str.split, lines) if state[0] != "Z"}
    found, more = set(), {pid}
    while more:
        more = {p for p, q in parents.items() if q in more} - found
        found |= more
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", VERBS)
def test_ended(kernel, tmp_path, name, number):
    # As a duration a number that nobody else sleeps.
    last = str(tmp_path / "f.svg") if name == "ladder-suite" else f"{time.time_ns() % 10**9 + 10**6}"
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    child = subprocess.Popen([*LODGER, *VERBS[name], last], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, env=variables, cwd=tmp_path)  # fmt: skip
    started, end = set(), time.monotonic() + 20
    while not started and time.monotonic() < end:
        time.sleep(0.05)
        started = descendants(child.pid)
    time.sleep(0.7)  # on to the command
    started |= descendants(child.pid)
    assert started and child.poll() is None
    child.send_signal(number)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 128 + number and b"Traceback" not in said, said
    end = time.monotonic() + 5
    while any(state(p) not in "ZX" for p in started):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not list(tmp_path.iterdir())


def state(pid):
    """R, S, Z and so on; X for one that is gone."""
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
