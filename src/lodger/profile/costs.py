"""Attribution: which cost a machine's counts belong to, and how much time each took.

Counts are the machine's own. Times are the machine's own where it measures them (mprotect of the guard, process
switches, the tracer's work); the rest is a count times what one such operation takes on this host (``calibrate``).
Under the ``process`` monitor every host call also stops twice for the VMM: that part of a measured time belongs to
cost 1.
"""

from __future__ import annotations

from lodger._record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lodger.profile.calibrate import UnitCosts

#: munmap calls that take an address space away: one for each gap between what is not the application's.
UNMAPS_A_SWITCH = 5
#: Stops of one redirected system call (entry, exit, the signal), and of one host call (entry, exit).
STOPS_A_CALL, STOPS_A_HOST_CALL = 3, 2


@record(frozen=True)
class Cost:
    """One row: what, how often, how long, and where from."""

    key: str
    title: str
    count: int
    ns: float
    origins: tuple[tuple[str, int], ...] = ()
    """causes and their share of the count, largest first"""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "cost": self.key, "title": self.title, "count": self.count, "seconds": self.ns / 1e9,
            "origins": [{"cause": name, "count": count} for name, count in self.origins],
        }  # fmt: skip


@record(frozen=True)
class Profile:
    """One command's run on one machine."""

    machine: str
    layers: tuple[str, str, str]
    """monitor, guard, spaces as in force"""
    total_ns: float
    """the command's run time; VM initiation is not part of it"""
    costs: tuple[Cost, ...]
    own_ns: float
    """what no cost explains: the program, and the guest kernel's own work"""
    calls: tuple[tuple[str, int, int, float], ...]
    """system calls: name, count, host calls made, nanoseconds with sleep"""
    initiation: tuple[tuple[str, float], ...]
    """phases of the machine's start in nanoseconds"""
    counters: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "machine": self.machine,
            "monitor": self.layers[0], "guard": self.layers[1], "spaces": self.layers[2],
            "seconds": self.total_ns / 1e9,
            "costs": [cost.as_dict() for cost in self.costs],
            "own_seconds": self.own_ns / 1e9,
            "system_calls": [
                {"name": name, "count": count, "host_calls": made, "seconds": ns / 1e9}
                for name, count, made, ns in self.calls
            ],
            "initiation": {name: ns / 1e9 for name, ns in self.initiation},
            "counters": self.counters,
        }  # fmt: skip


def attribute(
    machine: str,
    layers: tuple[str, str, str],
    total_ns: float,
    stats: Mapping[str, Any],
    unit: UnitCosts,
    initiation: tuple[tuple[str, float], ...] = (),
) -> Profile:
    """A profile from what the machine counted during the command (``difference`` of two ``vm.stats()``)."""
    monitor: Mapping[str, Any] = stats.get("monitor", {})
    stops, own = int(monitor.get("stops", 0)), int(monitor.get("monitor_ns", 0))
    stop_ns = unit.stop_ns + (own / stops if stops else 0.0)
    calls = stats.get("calls", {})
    number = {name: int(value) for name, value in stats.items() if isinstance(value, int)}
    traps = number["trap_entries"]
    entries = _origins(calls, number, 1) if traps else ()
    fault_ns = unit.map_page_ns + unit.touch_page_ns

    switches, by_switches = number["process_switches"], number["pages_mapped_by_switches"]
    mapping = by_switches + UNMAPS_A_SWITCH * switches
    demand = number["pages_mapped"] - by_switches
    traced = STOPS_A_HOST_CALL * stop_ns if stops else 0.0
    protects = number["guard_protects"]
    # Both were timed where they are made, stops included: those are cost 1.
    protect_ns = _own_part(number["guard_protect_ns"], unit.protect_ns * protects, traced * protects)
    remap_ns = by_switches * (unit.map_page_ns + unit.unmap_page_ns)
    mapping_ns = _own_part(number["process_switch_ns"], remap_ns, traced * mapping)
    timed = number["guard_protect_ns"] + number["process_switch_ns"] - protect_ns - mapping_ns
    others = max(0, stops - STOPS_A_HOST_CALL * (protects + mapping))
    costs = [
        Cost(
            "context switches", "1 host context switches, VMM and guest machine", 2 * stops, timed + others * stop_ns,
            _stop_origins(monitor),
        ),
        Cost(
            "protection", "2 memory protection operations", protects, protect_ns,
            _origins(calls, number, 2) if protects else (),
        ),
        Cost(
            "mapping", "3 memory mapping operations of process switches", mapping, mapping_ns,
            (("pages mapped", by_switches), ("unmappings", mapping - by_switches)) if switches else (),
        ),
        Cost("signals", "signals (traps, exceptions, interrupts)", traps, traps * unit.signal_ns, entries),
        Cost("page faults", "page faults served by the guest kernel", demand, demand * fault_ns),
        Cost("host calls", "other host calls, entry and exit alone", *_host_calls(number, mapping + demand, unit)),
        Cost("gates", "gate entries without a trap", number["gate_entries"], 0.0),
    ]  # fmt: skip
    costs = _within(total_ns, [c for c in costs if c.count])
    explained = sum(c.ns for c in costs)
    rows = sorted(((n, *map(int, v)) for n, v in calls.items()), key=lambda row: -row[1])
    return Profile(
        machine, layers, total_ns, tuple(costs), max(0.0, total_ns - explained),
        tuple((n, count, made, float(ns)) for n, count, made, ns in rows), initiation,
        {**number, **{f"monitor_{k}": int(v) for k, v in monitor.items() if isinstance(v, int)}},
    )  # fmt: skip


def _own_part(measured: float, own: float, stops: float) -> float:
    """The part of a measured time that is not stops, by what both take one by one: a loaded host slows them alike."""
    return measured * own / (own + stops) if stops else measured


def _host_calls(number: Mapping[str, int], mapping: int, unit: UnitCosts) -> tuple[int, float]:
    count = max(0, number["host_calls"] - mapping)
    return count, count * unit.call_ns


def _within(total: float, costs: list[Cost]) -> list[Cost]:
    """Estimates of a noisy host may add up to more than there was: then all shrink alike."""
    explained = sum(c.ns for c in costs)
    if explained <= total or not explained:
        return costs
    return [Cost(c.key, c.title, c.count, c.ns * total / explained, c.origins) for c in costs]


def _origins(calls: Mapping[str, Any], number: Mapping[str, int], each: int) -> tuple[tuple[str, int], ...]:
    """Entries into the guest kernel by cause, ``each`` operations an entry."""
    found = [(name, each * int(value[0])) for name, value in calls.items()]
    found.append(("exceptions", each * number["user_faults"]))
    found.append(("timer interrupts", each * number["timer_interrupts"]))
    return tuple(sorted((f for f in found if f[1]), key=lambda row: -row[1]))


def _stop_origins(monitor: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    found = [(f"system call {name}", 2 * STOPS_A_CALL * n) for name, n in monitor.get("by_user_call", {}).items()]
    found += [(f"host call {name}", 2 * STOPS_A_HOST_CALL * n) for name, n in monitor.get("by_host_call", {}).items()]
    others = int(monitor.get("signals", 0)) - int(monitor.get("user_calls", 0))
    found.append(("exceptions and interrupts", 2 * max(0, others)))
    return tuple(sorted((f for f in found if f[1]), key=lambda row: -row[1]))


def difference(after: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What happened between two ``vm.stats()``."""
    found: dict[str, Any] = {}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict):
            found[key] = difference(value, old if isinstance(old, dict) else {})
        elif isinstance(value, list):
            was = old if isinstance(old, list) else [0] * len(value)
            found[key] = [a - b for a, b in zip(value, was, strict=True)]
        elif isinstance(value, int):
            found[key] = value - (old if isinstance(old, int) else 0)
        else:
            found[key] = value
    return found


def table(profile: Profile, most: int = 4) -> str:
    """The profile as text for a terminal; ``most`` causes a cost."""
    lines = [f"{'cost':<52}{'count':>12}{'time':>12}{'share':>9}"]
    for cost in profile.costs:
        lines.append(_row(cost.title, f"{cost.count:,}", cost.ns, profile.total_ns))
        lines += [f"    {name:<48}{count:>12,}" for name, count in cost.origins[:most]]
        if len(cost.origins) > most:
            rest = sum(count for _, count in cost.origins[most:])
            lines.append(f"    {'… others':<48}{rest:>12,}")
    lines.append(_row("the program and the guest kernel's own work", "", profile.own_ns, profile.total_ns))
    lines.append(_row("run time", "", profile.total_ns, profile.total_ns))
    if profile.calls:
        lines += ["", f"{'system call':<28}{'calls':>12}{'host calls':>14}{'time, with sleep':>20}"]
        lines += [
            f"{name:<28}{count:>12,}{made:>14,}{ns / 1e6:>17.3f} ms" for name, count, made, ns in profile.calls[:12]
        ]
    if profile.initiation:
        lines += ["", "VM initiation (before the run time above)"]
        lines += [f"    {name:<48}{ns / 1e6:>21.3f} ms" for name, ns in profile.initiation]
    return "\n".join(lines)


def _row(title: str, count: str, ns: float, total: float) -> str:
    share = ns / total if total else 0.0
    return f"{title:<52}{count:>12}{ns / 1e6:>9.1f} ms{share:>8.1%}"
