"""``lodger run``: a command in a fresh VM, with this terminal or these pipes as its own."""

from __future__ import annotations

import errno
import os
import sys
import time

from lodger.cli.options import HELP, Option, listing, parse
from lodger.cli.say import say
from lodger.config.parse import seconds, volume_spec
from lodger.errors import ConfigError, GuestPanic, SpawnError
from lodger.host import signals as signal
from lodger.machine.result import DEVNULL
from lodger.machine.vm import VM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodger.cli.options import Values
    from lodger.host.terminal import RawTerminal
    from lodger.machine.vm import Process

TIMED_OUT, OWN_ERROR, NOT_EXECUTABLE, NOT_FOUND = 124, 125, 126, 127

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
#: Host signals handed on: (signal, scope). A terminal would send the first two to a whole group.
FORWARDED = (
    (signal.SIGINT, "group"),
    (signal.SIGQUIT, "group"),
    (signal.SIGTERM, "process"),
    (signal.SIGHUP, "process"),
    (signal.SIGUSR1, "process"),
    (signal.SIGUSR2, "process"),
)
#: A command that is stopped would take these when it goes on, which nobody would let it do: as timeout(1) and a
#: terminal that hangs up, we do.
WAKING = (signal.SIGTERM, signal.SIGHUP)


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
    from lodger.host import terminal

    raw = terminal.RawTerminal(0) if tty and os.isatty(0) else None
    inbox = _Inbox()
    with inbox:
        if raw is not None:
            raw.__enter__()
        try:
            try:
                # In the background: a shell reads the terminal now, and who else reads takes its lines away. A program
                # on the host would be stopped then, one in the guest cannot be.
                stdin = DEVNULL if raw is None and terminal.in_background(0) else None
                process = vm.popen(argv, stdin, pty=tty, size=terminal.size(1) if tty else (24, 80))
            except SpawnError as error:
                status = _spawn_status(error)
                if raw is not None:
                    raw.__exit__(None, None, None)
                say(str(error))
                return status
            if tty and os.isatty(1):
                inbox.watch(signal.SIGWINCH)
            late = _attend(process, inbox, limit, raw)
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


def _attend(process: Process, inbox: _Inbox, limit: float | None, raw: RawTerminal | None) -> bool:
    """Until the command ends; True when it had to be killed for its time."""
    from lodger.host import terminal

    scopes = {int(number): scope for number, scope in FORWARDED}
    deadline = None if limit is None else time.monotonic() + limit
    while True:
        ready = process.wait_or([inbox.read], deadline)
        if not ready:
            if process.poll() is not None:
                return False
            process.kill()
            try:
                process.wait(10)
            except TimeoutError:
                raise GuestPanic(
                    "the command was killed for its time, but the guest kernel does not end it within 10 seconds: "
                    "a bug of Lodger's, which the VM does not survive"
                ) from None
            return True
        for number in inbox.take():
            if number == signal.SIGWINCH:
                process.resize(*terminal.size(1))
            elif number == signal.SIGTSTP:
                _stop(process, raw)
            elif number in scopes:
                process.send_signal(number, scopes[number])
                if number in WAKING:
                    process.send_signal(signal.SIGCONT, scopes[number])


def _stop(process: Process, raw: RawTerminal | None) -> None:
    """What Ctrl-Z does to a program: the command and we stop, until somebody lets us go on.

    The command gets SIGSTOP, for no shell of the guest's could ever continue it after SIGTSTP, which Linux therefore
    ignores for it.
    """
    process.send_signal(signal.SIGSTOP, "tree")
    if raw is not None:
        raw.__exit__(None, None, None)
    ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, ours)
    if raw is not None:
        raw.__enter__()
    process.send_signal(signal.SIGCONT, "tree")


def _spawn_status(error: SpawnError) -> int:
    if not error.of_program or error.errno in (errno.EAGAIN, errno.ENOMEM, errno.E2BIG, errno.EMFILE, errno.ENFILE):
        return OWN_ERROR
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NOT_FOUND
    return NOT_EXECUTABLE


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


class _Inbox:
    """Host signals as bytes in a pipe, so that they can be waited for; handlers are put back at the end."""

    def __init__(self) -> None:
        self.read = -1
        self._write = -1
        self._saved: dict[int, Any] = {}
        self._wakeup = -1

    def __enter__(self) -> _Inbox:
        self.read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*(number for number, _ in FORWARDED), signal.SIGTSTP):
            # What the caller ignores (nohup, a background job of a plain shell) stays ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                self.watch(number)
        return self

    def watch(self, number: int) -> None:
        """Collect this signal."""
        self._saved[number] = signal.signal(number, lambda *_: None)

    def take(self) -> list[int]:
        """The signals that came."""
        try:
            return list(os.read(self.read, 256))
        except BlockingIOError:
            return []

    def __exit__(self, *_: object) -> None:
        for number, handler in self._saved.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self.read)
        os.close(self._write)
