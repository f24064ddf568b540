"""The asynchronous face of core.py: the same generators, driven by asyncio's event loop."""

from __future__ import annotations

import asyncio
import time

from lodger.boot import wire
from lodger.config.machine import machine_config
from lodger.config.parse import seconds
from lodger.host import signals
from lodger.machine.core import Machine
from lodger.machine.result import PIPE, Result, Usage
from lodger.machine.vm import input_bytes, no_copy, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, TypeVar

    from lodger.machine.core import Running, Steps, Wait
    from lodger.machine.stdio import Stream
    from lodger.machine.vm import Argument

    T = TypeVar("T")


async def drive(steps: Steps[T]) -> T:
    """Run a generator of core.py. Cancelling throws into it, so that a running command is killed."""
    try:
        wait = next(steps)
        while True:
            try:
                ready = await _block(wait)
            except BaseException as error:
                wait = steps.throw(error)
            else:
                wait = steps.send(ready)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def _block(wait: Wait) -> set[int]:
    loop = asyncio.get_running_loop()
    happened: asyncio.Future[None] = loop.create_future()
    ready: set[int] = set()

    def event() -> None:
        if not happened.done():
            happened.set_result(None)

    def fd_ready(fd: int) -> None:
        ready.add(fd)
        event()

    for fd in wait.reads:
        loop.add_reader(fd, fd_ready, fd)
    for fd in wait.writes:
        loop.add_writer(fd, fd_ready, fd)
    for item in wait.events:
        item.callbacks.append(event)
        if item.done:
            event()
    timer = None
    if wait.deadline is not None:
        timer = loop.call_later(max(0.0, wait.deadline - time.monotonic()), event)
    try:
        await happened
    finally:
        if timer is not None:
            timer.cancel()
        for fd in wait.reads:
            loop.remove_reader(fd)
        for fd in wait.writes:
            loop.remove_writer(fd)
        for item in wait.events:
            item.callbacks.remove(event)
    return ready


class Process:
    """A command that runs in the guest. Its pipes are used through communicate()."""

    def __init__(self, vm: VM, running: Running) -> None:
        self._vm = vm
        self._running = running
        self.args = running.command.argv
        self.pid = running.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, -n for signal n, None while it runs."""
        return self._vm._live.outcome(self._running)[0] if self._running.end.done else None

    @property
    def fault(self) -> str | None:
        """See Result.fault; None while it runs."""
        return self._vm._live.outcome(self._running)[1] if self._running.end.done else None

    @property
    def usage(self) -> Usage | None:
        """Times and memory; None while it runs."""
        return self._vm._live.usage(self._running)

    async def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises TimeoutError; the command goes on then."""
        limit = seconds(timeout, "timeout")
        await drive(self._vm._here().wait(self._running, None if limit is None else time.monotonic() + limit))
        code = self.returncode
        if code is None:
            raise TimeoutError(f"{self.args[0]!r} still runs after {timeout} seconds")
        return code

    async def communicate(self, input: bytes | str | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Feed, collect, wait: (stdout, stderr).

        Raises TimeoutError: the command goes on, and another call (without input) brings everything from the beginning.
        So does another call after a cancelled one.
        """
        limit = seconds(timeout, "timeout")
        deadline = None if limit is None else time.monotonic() + limit
        steps = self._vm._here().communicate(self._running, input_bytes(input), deadline, kill=False)
        out, err, in_time = await drive(steps)
        if not in_time:
            raise TimeoutError(f"{self.args[0]!r} still runs after {timeout} seconds")
        return out, err

    async def send_signal(self, signal: int) -> None:
        """Send a signal; nothing if it has ended."""
        await drive(self._vm._here().signal(self._running, signal, wire.SCOPE_PROCESS))

    async def terminate(self) -> None:
        """SIGTERM."""
        await self.send_signal(signals.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL to it and all its descendants."""
        await drive(self._vm._here().signal(self._running, signals.SIGKILL, wire.SCOPE_TREE))

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size (pty=True)."""
        await drive(self._vm._here().resize(self._running, rows, columns))

    def __repr__(self) -> str:
        return shown(self, self._running)

    __reduce__ = no_copy


class VM:
    """A virtual machine, awaited: ``async with lodger.aio.VM(...) as vm``. Settings as in lodger.VM."""

    _machine: Machine | None = None

    def __init__(self, **settings: Any) -> None:
        self._config = machine_config(**settings)

    async def start(self) -> VM:
        """Boot it. Raises what lodger.VM() raises; the machine is ready when this returns."""
        if self._machine is not None:
            raise RuntimeError("this VM was started already: make another lodger.aio.VM() for another machine")
        machine = self._machine = Machine(self._config)
        loop = self._loop = asyncio.get_running_loop()
        loop.add_reader(machine.channel.fd, self._drain)
        try:
            await drive(machine.await_ready())
        except BaseException:
            self._forget()
            machine.kill()
            raise
        return self

    def _drain(self) -> None:
        machine = self._live
        machine.channel.drain()
        if machine.channel.dead is not None:
            self._forget()

    def _forget(self) -> None:
        if not self._loop.is_closed():
            self._loop.remove_reader(self._live.channel.fd)

    def _here(self) -> Machine:
        # Its socket is read by the loop that it was started in: in another one every wait would be for ever.
        if self._machine is not None and asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "this VM was started in another event loop: use it there, or make one lodger.aio.VM() a loop"
            )
        return self._live

    @property
    def _live(self) -> Machine:
        if self._machine is None:
            raise RuntimeError("this VM is not started: use 'async with' or await vm.start()")
        return self._machine

    @property
    def layers(self) -> dict[str, Any]:
        """What protects whom: landlock, seccomp, guard, monitor, spaces, as in force."""
        return dict(self._live.layers)

    async def run(
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
        """As lodger.VM.run. Cancelling it kills the command and its descendants."""
        machine = self._here()
        command = machine.command(argv, cwd, env, user, False, (0, 0))
        limit = seconds(timeout, "timeout")
        return await drive(machine.run(command, input_bytes(input), limit, check, text, stderr))

    async def sh(self, script: str, **options: Any) -> Result:
        """As lodger.VM.sh."""
        return await self.run(["/bin/sh", "-c", script], **options)

    async def popen(
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
        """As lodger.VM.popen."""
        machine = self._here()
        command = machine.command(argv, cwd, env, user, pty, size)
        return Process(self, await drive(machine.start(command, stdin, stdout, stderr)))

    async def stats(self) -> dict[str, Any]:
        """Counters of the guest kernel."""
        return await drive(self._here().stats())

    async def close(self) -> None:
        """End the VM and every process in it. Safe to call twice."""
        machine = self._machine
        if machine is not None and not machine.closed:
            if not self._loop.is_closed():
                self._here()
            self._forget()
            await asyncio.to_thread(machine.close)

    async def __aenter__(self) -> VM:
        return self if self._machine is not None else await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    __reduce__ = no_copy

    def __del__(self) -> None:
        if self._machine is not None:
            self._machine.kill()
