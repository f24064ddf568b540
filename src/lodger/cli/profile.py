"""``lodger profile``: run a command and say where its overhead comes from."""

from __future__ import annotations

import sys
import time

from lodger.cli.job import run_to_end
from lodger.cli.options import HELP, Option, parse
from lodger.cli.run import OPTIONS as RUN_OPTIONS
from lodger.cli.run import settings
from lodger.cli.say import say
from lodger.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodger.machine.vm import VM
    from lodger.profile.calibrate import UnitCosts
    from lodger.profile.costs import Profile

_SHARED = [o for o in RUN_OPTIONS if o.name not in ("--stats", "--trace", "--tty", "--no-tty", "--timeout", "--help")]
OPTIONS = [
    *_SHARED,
    Option("--json", "flag", "print everything as JSON on standard output, the command's output on standard error"),
    Option("--plot", "value", "draw a figure", meta="FILE.svg|.html|.png"),
    HELP,
]
USAGE = """\
usage: lodger profile [OPTIONS] [--] CMD [ARG...]

Runs CMD in a VM and attributes its overhead: 1 host context switches between VMM and guest machine, 2 memory protection
operations, 3 memory mapping operations, and what is left. --machine classic shows the machine of the 2003 paper.
"""


def profile(words: list[str]) -> int:
    """Run the verb; the command's exit status. Raises LodgerError."""
    values, argv = parse(OPTIONS, words)
    if values.get("help"):
        from lodger.cli.options import listing

        print(USAGE + "\n" + listing(OPTIONS))
        return 0
    if not argv:
        raise ConfigError("no command given: lodger profile [OPTIONS] [--] CMD [ARG...]")
    from lodger.profile import calibrate, costs, figure

    plot = values.get("plot")
    if isinstance(plot, str):
        figure.check(plot)
    unit = calibrate.measure()
    from lodger.machine.vm import VM

    with VM(**settings(values), count_calls=True) as vm:
        status, found = run_profiled(vm, argv, unit, quiet=False, to_stderr=bool(values.get("json")))
    text = costs.table(found)
    if values.get("json"):
        import json

        print(json.dumps({**found.as_dict(), "command": argv, "status": status, "unit_costs": vars_of(unit)}, indent=2))
    else:
        print(f"\n{found.machine} machine ({', '.join(found.layers)}): {' '.join(argv)}\n\n{text}", file=sys.stderr)
    if isinstance(plot, str):
        title = f"{' '.join(argv)[:60]} on the {found.machine} machine"
        figure.write(plot, title, [("run time by cost", [bar(found, found.total_ns)])], text)
        say(f"figure in {plot}")
    return 128 - status if status < 0 else status


def run_profiled(
    vm: VM, argv: list[str], unit: UnitCosts, *, quiet: bool, to_stderr: bool = False, cwd: str | None = None
) -> tuple[int, Profile]:
    """Run a command in ``vm``: its status and its profile."""
    from lodger.machine.result import DEVNULL
    from lodger.profile import costs

    before = vm.stats()
    start = time.perf_counter_ns()
    if quiet:
        status = vm.popen(argv, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, cwd=cwd).wait()
    else:
        status = run_to_end(vm, argv, sys.stderr if to_stderr else None).wait()
    total = time.perf_counter_ns() - start
    after = vm.stats()
    layers = (str(vm.layers["monitor"]), str(vm.layers["guard"]), str(vm.layers["spaces"]))
    counted = costs.difference(after, before)
    initiation = tuple((str(name), float(ns)) for name, ns in after.get("initiation", {}).items())
    return status, costs.attribute(vm.config.machine, layers, float(total), counted, unit, initiation)


def bar(found: Profile, host_ns: float) -> Any:
    """A profile as a bar of a figure."""
    from lodger.profile.figure import Bar

    parts = [("own", found.own_ns / 1e9), *((c.key, c.ns / 1e9) for c in found.costs)]
    return Bar(found.machine, tuple(parts), found.total_ns / host_ns if host_ns else 0.0)


def vars_of(unit: UnitCosts) -> dict[str, float]:
    """Unit costs by name."""
    return {name: getattr(unit, name) for name in type(unit).__annotations__}
