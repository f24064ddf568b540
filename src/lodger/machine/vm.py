"""lodger.VM and lodger's Process: the synchronous face of core.py."""

from __future__ import annotations

import time

from lodger.boot import wire
from lodger.config.machine import machine_config
from lodger.config.parse import descriptor, seconds
from lodger.errors import ConfigError
from lodger.host import signals
from lodger.machine.core import Machine, Running
from lodger.machine.driver import Driver
from lodger.machine.result import PIPE, Result, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import IO, Any

    from lodger.machine.stdio import Stream

    Argument = str | os.PathLike[str]


def input_bytes(value: Any) -> bytes:
    """What to feed a command, from text or anything that is bytes. Raises ConfigError."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    try:
        return value if isinstance(value, bytes) else bytes(memoryview(value))
    except TypeError:
        raise ConfigError(
            f"input is of the type {type(value).__name__}: give bytes or text; a file goes to popen(stdin=...)"
        ) from None


def no_copy(this: object) -> Any:
    """For ``__reduce__``: the copy would end the machine of the original when it goes. Raises TypeError."""
    raise TypeError(
        f"a {type(this).__name__} can neither be copied nor pickled: it is running host processes. "
        "Make a VM where you need one"
    )


def shown(process: Any, running: Running) -> str:
    """A Process, of here or of lodger.aio, for the programmer."""
    code = process.returncode if running.end.message else None
    return f"<Process {process.pid}: returncode {code}, args {list(process.args)!r}>"


class Process:
    """A command that runs in the guest, in the manner of subprocess.Popen."""

    def __init__(self, machine: Machine, driver: Driver, running: Running) -> None:
        self._machine = machine
        self._driver = driver
        self._running = running
        self.args = running.command.argv
        self.pid = running.pid
        """the number that the guest knows it by"""
        self.stdin: IO[bytes] | None
        self.stdout: IO[bytes] | None
        self.stderr: IO[bytes] | None
        self.stdin, self.stdout, self.stderr = running.files

    @property
    def returncode(self) -> int | None:
        """Exit status, -n for signal n, None while it runs (as far as known: see poll)."""
        return self._machine.outcome(self._running)[0] if self._running.end.done else None

    @property
    def fault(self) -> str | None:
        """See Result.fault; None while it runs."""
        return self._machine.outcome(self._running)[1] if self._running.end.done else None

    @property
    def usage(self) -> Usage | None:
        """Times and memory; None while it runs."""
        return self._machine.usage(self._running)

    def poll(self) -> int | None:
        """The return code if it has ended by now."""
        self._driver.run(self._machine.poll(self._running))
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises TimeoutError; the command goes on then."""
        limit = seconds(timeout, "timeout")
        self._driver.run(self._machine.wait(self._running, None if limit is None else time.monotonic() + limit))
        code = self.returncode
        if code is None:
            raise TimeoutError(f"{self.args[0]!r} still runs after {timeout} seconds")
        return code

    def wait_or(self, fds: Sequence[int], deadline: float | None = None) -> set[int]:
        """Wait for the end or time.monotonic() ``deadline`` (empty set), or until one of these is readable."""
        return self._driver.run(self._machine.wait(self._running, deadline, fds))

    def communicate(self, input: bytes | str | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Feed, collect, wait: (stdout, stderr), b"" for what is not a pipe.

        Raises TimeoutError: the command goes on, and another call (without input) brings everything from the beginning.
        """
        limit = seconds(timeout, "timeout")
        deadline = None if limit is None else time.monotonic() + limit
        steps = self._machine.communicate(self._running, input_bytes(input), deadline, kill=False)
        out, err, in_time = self._driver.run(steps)
        if not in_time:
            raise TimeoutError(f"{self.args[0]!r} still runs after {timeout} seconds")
        return out, err

    def send_signal(self, signal: int, scope: str = "process") -> None:
        """Send a signal to the process, its "group", or its whole "tree". Nothing if it has ended."""
        scopes = {"process": wire.SCOPE_PROCESS, "group": wire.SCOPE_GROUP, "tree": wire.SCOPE_TREE}
        if not isinstance(scope, str) or scope not in scopes:
            raise ConfigError(f"scope={scope!r} is unknown: choose one of {', '.join(scopes)}")
        self._driver.run(self._machine.signal(self._running, signal, scopes[scope]))

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signals.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to it and all its descendants."""
        self.send_signal(signals.SIGKILL, "tree")

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size (pty=True)."""
        self._driver.run(self._machine.resize(self._running, rows, columns))

    def close_streams(self) -> None:
        """Close our ends of its pipes."""
        self._running.close_files()

    def __repr__(self) -> str:
        return shown(self, self._running)

    __reduce__ = no_copy

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_streams()
        if kind is not None and not self._running.end.done:
            self.kill()
        self.wait()


class VM:
    """A virtual machine; see README for the shortest use.

    The constructor returns when the guest kernel is ready. Raises ConfigError, HostError, BootError.
    ``volumes`` is {"host directory": "/guest/path[:ro]"}, or a list of such paths for a directory shown more than once.
    ``user`` is a number (with the group of the same number), "UID:GID", or a name of the guest's own /etc/passwd, with
    the groups that it is in, or with one of /etc/group: "ann", "ann:audio".
    """

    _machine: Machine | None = None

    def __init__(
        self,
        rootfs: Argument = "host",
        memory: str | int = "512M",
        pids: int = 1024,
        volumes: Mapping[str, str | Sequence[str]] | None = None,
        env: Mapping[str, str] | None = None,
        workdir: Argument = "/",
        user: int | str | tuple[int, int] = 0,
        hostname: str = "lodger",
        cpus: int | None = None,
        machine: str | None = None,
        monitor: str | None = None,
        guard: str | None = None,
        spaces: str | None = None,
        trace: bool | Argument | int | None = None,
        count_calls: bool = False,
        host_trace: int | None = None,
        disk: str | int | None = None,
    ) -> None:
        config = machine_config(
            rootfs=rootfs, memory=memory, pids=pids, volumes=volumes, env=env, workdir=workdir, user=user,
            hostname=hostname, cpus=cpus, machine=machine, monitor=monitor, guard=guard, spaces=spaces, trace=trace,
            count_calls=count_calls,
            disk=disk,
        )  # fmt: skip
        events = -1 if host_trace is None else descriptor(host_trace, "host_trace")
        live = self._machine = Machine(config, events)
        self._driver = Driver(live.channel)
        try:
            self._driver.run(live.await_ready())
        except BaseException:
            live.kill()
            raise

    @property
    def _live(self) -> Machine:
        assert self._machine is not None
        return self._machine

    @property
    def _inner(self) -> tuple[Machine, Driver]:
        # For lodger.machine.job.
        return self._live, self._driver

    @property
    def config(self) -> Any:
        """The checked MachineConfig."""
        return self._live.plan.config

    @property
    def layers(self) -> dict[str, Any]:
        """What protects whom: landlock, seccomp, guard, monitor, spaces, as in force."""
        return dict(self._live.layers)

    @property
    def boot_ns(self) -> int:
        """Nanoseconds that the guest kernel took to come up, by its own clock."""
        return self._live.boot_ns

    def run(
        self,
        argv: Sequence[Argument],
        input: bytes | str | None = b"",
        cwd: Argument | None = None,
        env: Mapping[str, str] | None = None,
        user: int | str | tuple[int, int] | None = None,
        timeout: float | None = None,
        check: bool = False,
        text: bool = False,
        stderr: int = PIPE,
    ) -> Result:
        """Run a command to its end. After ``timeout`` seconds it and its descendants are killed.

        Raises SpawnError (not found, not executable), CommandError with ``check``, VMClosed.
        """
        machine = self._live
        command = machine.command(argv, cwd, env, user, False, (0, 0))
        limit = seconds(timeout, "timeout")
        return self._driver.run(machine.run(command, input_bytes(input), limit, check, text, stderr))

    def sh(
        self,
        script: str,
        input: bytes | str | None = b"",
        cwd: Argument | None = None,
        env: Mapping[str, str] | None = None,
        user: int | str | tuple[int, int] | None = None,
        timeout: float | None = None,
        check: bool = False,
        text: bool = False,
        stderr: int = PIPE,
    ) -> Result:
        """Run a script with the guest's /bin/sh; otherwise like run."""
        return self.run(["/bin/sh", "-c", script], input, cwd, env, user, timeout, check, text, stderr)

    def popen(
        self,
        argv: Sequence[Argument],
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: Argument | None = None,
        env: Mapping[str, str] | None = None,
        user: int | str | tuple[int, int] | None = None,
        pty: bool = False,
        size: tuple[int, int] = (24, 80),
    ) -> Process:
        """Start a command. Streams are None (this program's own), PIPE, DEVNULL, STDOUT, a descriptor or a file.

        With ``pty`` it gets a terminal of ``size`` (rows, columns) whose host side is stdin and stdout.
        """
        machine = self._live
        command = machine.command(argv, cwd, env, user, pty, size)
        running = self._driver.run(machine.start(command, stdin, stdout, stderr))
        return Process(machine, self._driver, running)

    def stats(self) -> dict[str, Any]:
        """Counters of the guest kernel: system calls, traps, host calls, what was missing."""
        return self._driver.run(self._live.stats())

    def check(self) -> None:
        """Raise what ended the VM (GuestPanic, ProtocolError, VMClosed); nothing while it lives."""
        self._live.check_open()

    def close(self) -> None:
        """End the VM and every process in it. Safe to call twice."""
        if self._machine is not None:
            self._machine.close()

    def __enter__(self) -> VM:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    __reduce__ = no_copy

    def __del__(self) -> None:
        if self._machine is not None:
            self._machine.kill()
