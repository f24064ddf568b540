"""``./dev bench [--json] [--peers] [NAME...]``: host and guest alternate in one run; medians."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import lodger
from bench import peers
from bench.work import MICRO, PATH, PROGRAMS, Work

ROOT = Path(__file__).resolve().parent.parent


def build() -> Path:
    """Compile the micro-benchmarks, static and dynamic; the directory they are in."""
    source = ROOT / "bench" / "c" / "micro.c"
    folder = ROOT / ".dev" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    for name, flags in (("micro", []), ("micro-static", ["-static"])):
        binary = folder / name
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["gcc", "-O2", "-pthread", *flags, "-o", binary, source], check=True)
    return folder


def measure(output: bytes, seconds: float, work: Work) -> float:
    """Nanoseconds of one run."""
    return float(output) if work.argv is None else seconds * 1e9


def on_host(work: Work, folder: Path, prefix: list[str]) -> float:
    """One run on the host, or under a peer's ``prefix``."""
    argv = work.argv or [str(folder / "micro-static"), work.name]
    start = time.perf_counter()
    done = subprocess.run(
        [*prefix, *argv], capture_output=True, check=True, env={"PATH": PATH, "HOME": "/tmp"}, cwd="/tmp"
    )
    return measure(done.stdout, time.perf_counter() - start, work)


def in_guest(work: Work, vm: lodger.VM) -> float:
    """One run in the guest."""
    argv = work.argv or ["/bench/micro-static", work.name]
    result = vm.run(argv, env={"PATH": PATH, "HOME": "/tmp"}, cwd="/tmp", check=True, timeout=300)
    return measure(result.stdout, result.duration, work)


def main(words: list[str]) -> int:
    """0 when every measured ratio is within its limit."""
    everything = [*MICRO, *PROGRAMS]
    known = ", ".join(w.name for w in everything)
    parser = argparse.ArgumentParser(
        "./dev bench", description="The same work on the host and in a VM, side by side: medians and ratios."
    )
    parser.add_argument("--json", action="store_true", help="rows and counters for machines")
    parser.add_argument(
        "--peers", action="store_true", help="also in what is installed of bubblewrap, runsc and user-mode-linux"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these rows: {known}")
    options = parser.parse_args(words)
    names = options.names
    unknown = set(names) - {w.name for w in everything}
    if unknown:
        print(f"bench: unknown: {', '.join(sorted(unknown))}; there are {known}", file=sys.stderr)
        return 2
    folder = build()
    others, absent = peers.find() if options.peers else ({}, {})
    for peer, why in absent.items():
        print(f"bench: {peer} is not measured: {why}", file=sys.stderr)
    rows = []
    skipped = {}
    with lodger.VM(memory="2G", volumes={str(folder): "/bench:ro"}) as vm:
        for work in everything:
            if names and work.name not in names:
                continue
            if work.program and not shutil.which(work.program, path=PATH):
                skipped[work.name] = f"{work.program} is not installed: apt install {work.program}"
                print(f"bench: {work.name} is not measured: {skipped[work.name]}", file=sys.stderr)
                continue
            row = run_one(work, folder, vm, others)
            rows.append(row)
            if not options.json:
                print(line(row), flush=True)
        counters = vm.stats()
        layers = vm.layers
    if options.json:
        print(json.dumps({"rows": rows, "skipped": skipped | absent, "layers": layers, "counters": counters}, indent=1))
    else:
        print(f"\nlayers: {layers}\ncounters: {json.dumps(counters)}")
    return int(any(row["error"] or row["ratio"] > row["limit"] for row in rows))


def run_one(work: Work, folder: Path, vm: lodger.VM, others: dict[str, peers.Runner]) -> dict[str, Any]:
    """A row of the table."""
    host: list[float] = []
    guest: list[float] = []
    error = ""
    counted = vm.stats()
    for _ in range(work.rounds):
        host.append(on_host(work, folder, []))
        try:
            guest.append(in_guest(work, vm))
        except lodger.LodgerError as problem:
            error = str(problem)
            break
    h = statistics.median(host)
    g = statistics.median(guest) if guest else float("inf")
    extra: dict[str, float | str] = {}
    for name, run in others.items():
        argv = work.argv or [str(folder / "micro-static"), work.name]
        try:
            extra[name] = round(peers.measure(run, work, argv, folder) / h, 2)
        except peers.Failed as why:
            extra[name] = str(why)
    after = vm.stats()
    grown = {k: v - counted.get(k, 0) for k, v in after.items() if isinstance(v, int) and v != counted.get(k)}
    return {
        "name": work.name, "host_ns": h, "guest_ns": g, "ratio": g / h, "limit": work.limit, "error": error,
        "peers": extra, "counters": grown,
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """A row as text."""
    verdict = "ERROR" if row["error"] else "ok" if row["ratio"] <= row["limit"] else "OVER"
    text = f"{row['name']:<10} host {row['host_ns']:>14.0f} ns  guest {row['guest_ns']:>14.0f} ns  "
    text += f"{row['ratio']:>6.2f} (at most {row['limit']})  {verdict}  {row['error']}"
    text += "".join(f"  {name} {value}" for name, value in row["peers"].items())
    return text.rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
