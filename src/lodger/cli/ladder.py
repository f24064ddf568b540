"""``lodger ladder``: one command on the bare host and on each step of the ladder, drawn as a figure."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from lodger._record import record
from lodger.cli.options import HELP, Option, listing, parse
from lodger.cli.profile import bar, run_profiled, vars_of
from lodger.cli.run import OPTIONS as RUN_OPTIONS
from lodger.cli.run import settings
from lodger.cli.say import say
from lodger.errors import ConfigError, LodgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodger.profile.calibrate import UnitCosts
    from lodger.profile.costs import Profile

_UNUSED = (
    "--machine",
    "--monitor",
    "--guard",
    "--spaces",
    "--cpus",
    "--stats",
    "--trace",
    "--tty",
    "--no-tty",
    "--help",
)
OPTIONS = [
    *(o for o in RUN_OPTIONS if o.name not in (*_UNUSED, "--timeout")),
    Option("--repeat", "value", "runs on each machine, of which the median counts (default 3)", meta="N"),
    Option("--suite", "flag", "the paper's kinds of work instead of a command"),
    Option("--package", "value", "for --suite: a configured source tree to compile with make", meta="DIR"),
    Option("--json", "flag", "print everything as JSON on standard output"),
    Option("--plot", "value", "where to draw the figure (default ladder.svg)", meta="FILE.svg|.html|.png"),
    HELP,
]
USAGE = """\
usage: lodger ladder [OPTIONS] [--] CMD [ARG...]
       lodger ladder --suite [--package DIR] [OPTIONS]

Runs CMD on the bare host and on five machines, each of which changes one switch of the one before: classic, +host,
+pkey, +multi, default. Their run times, relative to the host's and stacked by cost, are the figure.
"""


@record(frozen=True)
class Work:
    """What to run: on the host, and in a VM with these volumes."""

    name: str
    host: tuple[str, ...]
    guest: tuple[str, ...]
    volumes: tuple[tuple[str, str], ...] = ()
    cwd: str | None = None


@record(frozen=True)
class Rung:
    """One machine's result for one work."""

    machine: str
    seconds: float
    profile: Profile | None
    note: str = ""


def ladder(words: list[str]) -> int:
    """Run the verb. Raises LodgerError."""
    values, argv = parse(OPTIONS, words)
    if values.get("help"):
        print(USAGE + "\n" + listing(OPTIONS))
        return 0
    if bool(values.get("suite")) == bool(argv):
        raise ConfigError("give either a command or --suite: lodger ladder [OPTIONS] [--] CMD [ARG...]")
    from lodger.config import parse as checks
    from lodger.profile import calibrate, figure

    repeat = checks.count(str(values.get("repeat", "3")), "repeat", 1, 100)
    plot = str(values.get("plot", "ladder.svg"))
    figure.check(plot)
    unit = calibrate.measure()
    options = settings(values)
    if argv:
        works = [Work(" ".join(argv)[:50], tuple(argv), tuple(argv))]
        results = {works[0].name: _climb(works[0], repeat, unit, options)}
    else:
        from lodger.cli.suite import suite

        with suite(values.get("package")) as (works, skipped):
            results = {work.name: _climb(work, repeat, unit, options) for work in works}
        for name, why in skipped:
            say(f"{name} is left out: {why}")
    text = "\n\n".join(_table(name, rungs) for name, rungs in results.items())
    figure.write(plot, "Run time on the ladder, relative to the host", [
        (name, [_bar(rung, rungs[0].seconds) for rung in rungs if rung.seconds]) for name, rungs in results.items()
    ], text)  # fmt: skip
    if values.get("json"):
        import json

        print(json.dumps({
            "unit_costs": vars_of(unit),
            "works": {name: [_as_dict(r, rungs[0].seconds) for r in rungs] for name, rungs in results.items()},
        }, indent=2))  # fmt: skip
    else:
        print(text)
    say(f"figure in {plot}")
    return 0


def _climb(work: Work, repeat: int, unit: UnitCosts, options: dict[str, Any]) -> list[Rung]:
    from lodger.config.machine import MACHINES

    rungs = [_on_host(work, repeat)]
    for machine in MACHINES:
        rungs.append(_on(machine, work, repeat, unit, options))
    _progress("")
    return rungs


def _progress(text: str) -> None:
    """One line that is overwritten, where standard error is a terminal; plain lines elsewhere."""
    if os.isatty(2):
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def _on_host(work: Work, repeat: int) -> Rung:
    times = []
    for turn in range(repeat):
        _progress(f"{work.name}: host, run {turn + 1} of {repeat}")
        start = time.perf_counter()
        try:
            done = subprocess.run(
                work.host, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
            )
        except OSError as error:
            raise ConfigError(f"cannot run {work.host[0]} on the host: {error.strerror}") from None
        times.append(time.perf_counter() - start)
        if done.returncode:
            text = done.stderr.decode("utf-8", "replace").strip()[-300:]
            raise ConfigError(f"{work.name} fails on the host already, with status {done.returncode}: {text}")
    return Rung("host", statistics.median(times), None)


def _on(machine: str, work: Work, repeat: int, unit: UnitCosts, options: dict[str, Any]) -> Rung:
    from lodger.machine.vm import VM

    found = []
    volumes = {**options.get("volumes", {}), **dict(work.volumes)}
    try:
        with VM(**{**options, "volumes": volumes, "machine": machine}, count_calls=True) as vm:
            for turn in range(repeat):
                _progress(f"{work.name}: {machine}, run {turn + 1} of {repeat}")
                status, profile = run_profiled(vm, list(work.guest), unit, quiet=True, cwd=work.cwd)
                if status:
                    return Rung(machine, 0.0, None, f"ended with status {status}")
                found.append(profile)
    except LodgerError as error:
        return Rung(machine, 0.0, None, str(error))
    found.sort(key=lambda p: p.total_ns)
    middle = found[len(found) // 2]
    return Rung(machine, statistics.median(p.total_ns for p in found) / 1e9, middle)


def _bar(rung: Rung, host: float) -> Any:
    from lodger.profile.figure import Bar

    if rung.profile is None:
        return Bar(rung.machine, (("own", rung.seconds),), rung.seconds / host)
    return bar(rung.profile, host * 1e9)


def _table(name: str, rungs: list[Rung]) -> str:
    heads = ("context switches", "protection", "mapping", "signals", "page faults", "host calls")
    lines = [
        name,
        f"{'machine':<10}{'run time':>12}{'x host':>9}" + "".join(f"{h:>18}" for h in heads) + f"{'rest':>12}",
    ]
    host = rungs[0].seconds
    for rung in rungs:
        if not rung.seconds:
            lines.append(f"{rung.machine:<10}  {rung.note}")
            continue
        row = f"{rung.machine:<10}{rung.seconds * 1e3:>9.1f} ms{rung.seconds / host:>9.2f}"
        if rung.profile is not None:
            shares = {c.key: c.ns / rung.profile.total_ns for c in rung.profile.costs}
            row += "".join(f"{shares.get(h, 0.0):>18.1%}" for h in heads)
            row += f"{rung.profile.own_ns / rung.profile.total_ns:>12.1%}"
        lines.append(row)
    return "\n".join(lines)


def _as_dict(rung: Rung, host: float) -> dict[str, Any]:
    found: dict[str, Any] = {"machine": rung.machine, "seconds": rung.seconds, "relative": rung.seconds / host}
    if rung.note:
        found["note"] = rung.note
    if rung.profile is not None:
        found["profile"] = rung.profile.as_dict()
    return found
