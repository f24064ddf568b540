"""``lodger run``: a command in a fresh VM, with this terminal or these pipes as its own."""

from __future__ import annotations

import os
import sys

from lodger.cli.job import Attendance, Inbox, stops
from lodger.cli.options import HELP, Option, listing, parse
from lodger.cli.say import say
from lodger.config.parse import seconds, volume_spec
from lodger.errors import ConfigError
from lodger.host import signals as signal
from lodger.host import terminal
from lodger.machine import job
from lodger.machine.vm import VM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodger.cli.options import Values
    from lodger.machine.vm import Process

TIMED_OUT = 124

OPTIONS = (
    Option("--rootfs", "value", "root file system: 'host' (default) or a directory", meta="host|DIR"),
    Option("--volume", "list", "show a host directory in the guest", "-v", meta="SRC:DST[:ro]"),
    Option("--env", "list", "set a variable; K alone takes the host's value", "-e", meta="K[=V]"),
    Option("--workdir", "value", "directory to start in (default /)", "-w", meta="DIR"),
    Option("--user", "value", "guest user and group, by name or number (default 0:0)", "-u", meta="USER[:GROUP]"),
    Option("--hostname", "value", "the guest's name (default lodger)", meta="NAME"),
    Option("--memory", "value", "memory limit (default 512M)", meta="SIZE"),
    Option("--disk", "value", "limit of the writable layers (default half the memory)", meta="SIZE"),
    Option("--cpus", "value", "processors that the guest sees and may take of the host (default: all)", meta="N"),
    Option("--pids", "value", "limit of processes and threads (default 1024)", meta="N"),
    Option("--timeout", "value", "end the command after this time, status 124 (0: never)", meta="SECONDS"),
    Option("--machine", "value", "a step of the ladder", meta="classic|+host|+pkey|+multi|default"),
    Option("--monitor", "value", "how system calls are intercepted (default inline)", meta="inline|host|process"),
    Option("--guard", "value", "how the guest kernel is kept from programs", meta="auto|pkey|mprotect|none"),
    Option("--spaces", "value", "how guest address spaces exist (default multi)", meta="multi|remap"),
    Option("--stats", "maybe", "print the guest kernel's counters on stderr at the end", meta="json"),
    Option("--trace", "maybe", "one line a system call, on stderr or to a file", meta="FILE"),
    Option("--tty", "flag", "give the command a terminal (default: when stdin and stdout are one)", "-t"),
    Option("--no-tty", "flag", "give it no terminal", "-T"),
    HELP,
)

#: What is said of a command that the machine had a hand in ending.
FAULTS = {
    "oom": "failed after the machine's memory was used up: give it more with --memory",
    "pids": "failed at the machine's limit of processes and threads: raise it with --pids",
    "killed": "was killed by the host (out of memory there?)",
}


def run(words: list[str]) -> int:
    """The verb. Raises LodgerError for what becomes status 125."""
    values, argv = parse(OPTIONS, words)
    if values.get("help"):
        print(f"usage: lodger run [OPTIONS] [--] CMD [ARG...]\n\n{listing(OPTIONS)}")
        return 0
    if not argv:
        raise ConfigError("no command given: lodger run [OPTIONS] [--] CMD [ARG...]")
    # 0 is no limit, as for timeout(1).
    limit = seconds(_text(values, "timeout"), "--timeout") or None
    tty = _wants_tty(values)
    stats = values.get("stats")
    if stats not in (None, True, "json"):
        raise ConfigError(f"--stats={stats!r} is not a form of output: write --stats or --stats=json")
    vm = VM(**settings(values))
    try:
        if vm.layers["guard"] == "none" and not vm.config.guard_chosen:
            missing = "syscall user dispatch" if vm.layers["divert"] == "seccomp" else "memory protection keys"
            say(
                f"warning: no {missing} here, so a guest program can take over its guest "
                "kernel (the host stays isolated); lodger doctor explains, --guard none accepts it"
            )
        return _command(vm, argv, tty, limit, stats)
    finally:
        vm.close()


def settings(values: Values) -> dict[str, Any]:
    """VM's arguments from parsed options. Raises ConfigError."""
    chosen: dict[str, Any] = {}
    for key in (
        "rootfs",
        "workdir",
        "user",
        "hostname",
        "memory",
        "disk",
        "cpus",
        "pids",
        "machine",
        "monitor",
        "guard",
        "spaces",
    ):
        if key in values:
            chosen[key] = values[key]
    volumes: dict[str, list[str]] = {}
    for text in _list(values, "volume"):
        source, target = volume_spec(text)
        volumes.setdefault(source, []).append(target)
    variables: dict[str, str] = {}
    for text in _list(values, "env"):
        name, equals, value = text.partition("=")
        if not name:
            raise ConfigError(f"--env {text!r} names no variable: write K=V, or K for the host's value")
        if equals:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
    trace = values.get("trace")
    if trace is not None:
        chosen["trace"] = trace
    return {**chosen, "volumes": volumes, "env": variables}


def _text(values: Values, key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None


def _list(values: Values, key: str) -> list[str]:
    value = values.get(key)
    return value if isinstance(value, list) else []


def _wants_tty(values: Values) -> bool:
    if values.get("tty") and values.get("no_tty"):
        raise ConfigError("-t and -T contradict each other: give one of them")
    terminal = os.isatty(0) and os.isatty(1)
    return bool(values.get("tty")) or (terminal and not values.get("no_tty"))


def _command(vm: VM, argv: list[str], tty: bool, limit: float | None, stats: Any) -> int:
    raw = terminal.RawTerminal(0) if tty and os.isatty(0) else None
    # In the background: a shell reads the terminal now, and who else reads takes its lines away.
    held = terminal.in_background(0)
    inbox = Inbox()
    with inbox:
        if raw is not None and not held:
            raw.__enter__()
        try:
            size = terminal.size(1) if tty else (24, 80)
            process = job.start(vm, argv, pty=tty, size=size, held=held, stops=stops(inbox))
            if tty and os.isatty(1):
                inbox.watch(signal.SIGWINCH)
            late = Attendance(process, inbox, raw, tty=tty, held=held).until_end(limit)
        finally:
            if raw is not None:
                raw.__exit__(None, None, None)
        code = process.returncode
    if process.usage is None and not late:
        vm.check()  # raises what ended the VM: a panic's text, a broken protocol
    why = FAULTS.get(process.fault or "")
    if why:
        say(f"{argv[0]} {why}")
    if stats and code is not None:
        _print_stats(vm, process, stats)
    if late:
        return TIMED_OUT
    assert code is not None
    return 128 - code if code < 0 else code


def _print_stats(vm: VM, process: Process, how: Any) -> None:
    import json

    numbers = vm.stats()
    usage = process.usage
    if usage is not None:
        numbers["command"] = {
            "user_seconds": usage.user_seconds,
            "system_seconds": usage.system_seconds,
            "max_rss_kib": usage.max_rss_kib,
        }
    if how == "json":
        print(json.dumps(numbers), file=sys.stderr)
        return
    initiation = numbers.pop("initiation", {})
    for name, value in numbers.items():
        print(f"{name:<24} {json.dumps(value)}", file=sys.stderr)
    print("VM initiation", file=sys.stderr)
    for name, value in initiation.items():
        print(f"    {name:<52} {value / 1e6:9.3f} ms", file=sys.stderr)
