"""Every operation of a VM, once: generators that yield what they wait for.

A driver sends back the descriptors that became ready (perhaps none: an event was set, or the
deadline passed). The same generators serve lodger.VM and lodger.aio.VM.
"""

from __future__ import annotations

import errno
import os
import time

from lodger._record import record
from lodger.boot import wire
from lodger.boot.plan import BootPlan, plan, refused_mount
from lodger.config import parse
from lodger.config.machine import MachineConfig
from lodger.errors import (
    BootError,
    CommandError,
    ConfigError,
    GuestPanic,
    HostError,
    LodgerError,
    SpawnError,
    VMClosed,
    again,
)
from lodger.host import signals as signal
from lodger.host.limits import way_out
from lodger.machine.channel import Channel, End, Event
from lodger.machine.result import PIPE, STDOUT, Result, Usage
from lodger.machine.stdio import Pump, Streams, close

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    from lodger.config.parse import User
    from lodger.machine.stdio import Stream
    from lodger.monitor.base import Monitor

    T = TypeVar("T")
    Steps = Generator["Wait", set[int], T]

BOOT_SECONDS = 10.0
#: From SHUTDOWN to SIGKILL, and from a kill to giving a command up.
CLOSE_SECONDS = 2.0
KILL_SECONDS = 5.0
DRAIN_SECONDS = 0.5


class Wait:
    """What a generator waits for: any of it ends the wait. ``deadline`` is time.monotonic seconds."""

    __slots__ = ("deadline", "events", "reads", "writes")

    def __init__(
        self,
        *events: Event,
        reads: Sequence[int] = (),
        writes: Sequence[int] = (),
        deadline: float | None = None,
    ) -> None:
        self.events = events
        self.reads = reads
        self.writes = writes
        self.deadline = deadline


@record(frozen=True)
class Command:
    """What to start, checked."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    user: User
    pty: bool
    size: tuple[int, int]


class Running:
    """A started command."""

    def __init__(self, command: Command, pid: int, end: End, streams: Streams, started: float) -> None:
        self.command = command
        self.pid = pid
        self.end = end
        self.files = streams.files()
        self.pump: Pump | None = None
        self.started = started
        self.timed_out = False

    def close_files(self) -> None:
        """Close our ends of its pipes."""
        for file in self.files:
            if file is not None:
                close(file)


def _monitor(config: MachineConfig, events: int) -> Monitor:
    if config.monitor == "process" or events >= 0:
        from lodger.monitor.process import ProcessMonitor

        return ProcessMonitor(events, redirect=config.monitor == "process", together=config.cpus == 1)
    from lodger.monitor.inprocess import InProcessMonitor

    return InProcessMonitor()


def _word(value: object) -> str:
    try:
        word = os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(
            f"argv contains {value!r}: every word must be text, bytes or a path, as str() makes"
        ) from None
    if "\0" in word:
        raise ConfigError(f"argv contains {value!r}: a word can not contain NUL")
    return parse.bytes_of(word, "a word of argv")


class Machine:
    """One VM's state: its plan, its channel, whether it is closed."""

    def __init__(self, config: MachineConfig, events: int = -1) -> None:
        self.plan: BootPlan = plan(config)
        self.closed = False
        self.owner = os.getpid()
        self.layers: dict[str, Any] = {}
        self.boot_ns = 0
        self.vmm_ns = time.process_time_ns()
        self.started = time.monotonic()
        deadline = self.started + BOOT_SECONDS
        self.channel = Channel(_monitor(config, events).boot(self.plan, deadline))

    def await_ready(self) -> Steps[None]:
        """Raises BootError, GuestPanic, ProtocolError or HostError; ConfigError for a volume that cannot be where it is
        wanted.
        """
        channel = self.channel
        deadline = self.started + BOOT_SECONDS
        while not channel.ready.done and time.monotonic() < deadline:
            yield Wait(channel.ready, deadline=deadline)
        message = channel.ready.message
        if message is None:
            log = channel.connection.log_text()
            error = channel.dead or BootError(
                f"the guest kernel stayed silent for {BOOT_SECONDS:g} s" + (f": {log}" if log else "")
            )
            advice = way_out(errno.ENOMEM) if "ENOMEM" in str(error) else ""
            if advice:
                error = HostError("the guest kernel cannot map its memory", errno.ENOMEM, advice)
            if channel.refused is not None:
                error = refused_mount(self.plan, *channel.refused) or error
            self.kill()
            raise error
        guards = {number: name for name, number in wire.GUARD_NUMBERS.items()}
        monitors = {number: name for name, number in wire.MONITOR_NUMBERS.items()}
        self.boot_ns = message.number(4)
        self.layers = {
            "landlock": bool(message.number(0)),
            "seccomp": bool(message.number(1)),
            "guard": guards.get(message.number(2), "unknown"),
            "monitor": monitors.get(message.number(3), "unknown"),
            "spaces": self.plan.config.spaces,
            "divert": self.plan.divert,
        }

    def command(
        self,
        argv: Sequence[str | os.PathLike[str]],
        cwd: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
        user: int | str | tuple[int, int] | None,
        pty: bool,
        size: tuple[int, int],
    ) -> Command:
        """Check a command and complete it. Raises ConfigError."""
        if isinstance(argv, (str, bytes)) or not hasattr(argv, "__iter__") or not argv:
            raise ConfigError(f"argv={argv!r} is not a list of words: write ['ls', '-l'], or use vm.sh() for a script")
        words = tuple(_word(a) for a in argv)
        config = self.plan.config
        who = config.user if user is None else parse.user(user)
        # HOME, if it is not among them, comes from the guest's own /etc/passwd.
        variables = dict(self.plan.env)
        if pty:
            variables["TERM"] = os.environ.get("TERM") or "xterm"
            size = parse.terminal_size(size, "size")
        variables.update(parse.environment(env))
        directory = config.workdir if cwd is None else parse.absolute(cwd, "cwd")
        return Command(words, tuple(variables.items()), directory, who, pty, size)

    def start(
        self, command: Command, stdin: Stream, stdout: Stream, stderr: Stream, *, flags: int = 0
    ) -> Steps[Running]:
        """Start a command. Raises SpawnError when the guest refuses, VMClosed when there is no VM.

        ``flags`` are more of SPAWN's: HELD, JOB.
        """
        self.check_open()
        streams = Streams()
        started = time.monotonic()
        end: End | None = None
        try:
            streams.add(0, stdin)
            streams.add(1, stdout)
            if command.pty:
                if stderr not in (None, STDOUT):
                    raise ConfigError(
                        f"stderr={stderr!r} cannot be had with pty=True: what a program writes to a terminal is one "
                        "stream, and comes from stdout. Leave stderr out, or give STDOUT"
                    )
                streams.indices.append(wire.NO_FD)
            else:
                streams.add(2, stderr)
            flags |= wire.SPAWN_SESSION | (wire.SPAWN_TTY if command.pty else 0)
            who = command.user
            words = [os.fsencode(a) for a in command.argv], [os.fsencode(f"{k}={v}") for k, v in command.env]
            words, file, length = streams.words(*words)
            try:
                reply, end = self.channel.request(
                    wire.SPAWN, *words, os.fsencode(command.cwd),
                    who.uid, wire.NO_ID if who.gid is None else who.gid, os.fsencode(who.name), os.fsencode(who.group),
                    flags, *command.size, *streams.indices, file, length,
                    fds=streams.guest,
                )  # fmt: skip
            except wire.WireError as error:
                text = f"the working directory or the user's name is too long: {error}"
                raise SpawnError(errno.ENAMETOOLONG, text) from None
            streams.sent()
            while not reply.done:
                yield Wait(reply)
            message = self._answer(reply)
            if message.kind == wire.SPAWN_FAILED:
                number = message.number(0)
                text = message.data(1).decode("utf-8", "replace") or os.strerror(number)
                raise SpawnError(number, f"cannot start {command.argv[0]!r}: {text}", of_program=message.number(2) == 0)
            assert end is not None
            return Running(command, message.number(0), end, streams, started)
        except BaseException as error:
            streams.abandon()
            if end is not None and not isinstance(error, LodgerError):
                # Interrupted before anybody had the command in hand: nobody could ever end it.
                self.post(end, signal.SIGKILL, wire.SCOPE_TREE)
            raise

    def poll(self, running: Running) -> Steps[None]:
        """Take notice of an end that has come by now."""
        self._own()
        if not running.end.done:
            yield Wait(running.end, deadline=0.0)

    def wait(
        self, running: Running, deadline: float | None, also: Sequence[int] = (), *, asks: bool = False
    ) -> Steps[set[int]]:
        """Until the command ends, the deadline passes, or one of ``also`` is readable (those come back); with ``asks``
        until it asks for something, too.
        """
        self._own()
        events = (running.end, running.end.asks) if asks else (running.end,)
        while not running.end.done:
            if deadline is not None and time.monotonic() >= deadline:
                break
            ready = yield Wait(*events, reads=also, deadline=deadline)
            if ready or (asks and running.end.asks.done):
                return ready
        return set()

    def communicate(
        self, running: Running, data: bytes, deadline: float | None, kill: bool
    ) -> Steps[tuple[bytes, bytes, bool]]:
        """(stdout, stderr, in time). With ``kill`` a late command and its descendants are ended; without, another call
        goes on where this one stopped. Raises ConfigError for input that cannot be given.
        """
        self._own()
        stdin, out, err = running.files
        pump = running.pump
        if pump is None:
            if data and (stdin is None or stdin.closed):
                raise ConfigError(
                    "input was given, but "
                    + ("its stdin is closed" if stdin is not None else "the command was started without stdin=PIPE")
                )
            pump = running.pump = Pump(stdin, data, [out, err])
        elif data:
            raise ConfigError("input was given to a communicate() that goes on: the first call has taken its own")
        in_time, over = True, False
        try:
            pump.begin()
            while pump.open or pump.writing or not running.end.done:
                if deadline is not None and time.monotonic() >= deadline:
                    if not kill or not in_time or running.end.done:
                        # If it has ended, something that it left behind holds its output open.
                        pump.step(set(pump.open))
                        in_time = False
                        break
                    in_time = False
                    running.timed_out = True
                    self._post_kill(running)
                    deadline = time.monotonic() + KILL_SECONDS
                if running.end.done and running.end.message is None:
                    # The VM died: take what is in the pipes, and no more.
                    pump.step(set(pump.open))
                    deadline = min(deadline or 1e18, time.monotonic() + DRAIN_SECONDS)
                if running.end.done and not pump.open:
                    break  # nobody reads the rest of the input
                events = () if running.end.done else (running.end,)
                pump.step((yield Wait(*events, reads=pump.open, writes=pump.writing, deadline=deadline)))
            over = in_time
        except BaseException:
            if kill and not running.end.done:
                self._post_kill(running)
            raise
        finally:
            if over or kill:
                pump.close()
            else:
                pump.pause()
        return pump.output(0), pump.output(1), in_time

    def run(
        self,
        command: Command,
        data: bytes,
        timeout: float | None,
        check: bool,
        text: bool,
        merge: Stream,
    ) -> Steps[Result]:
        """Start, feed, collect, wait. Raises CommandError with ``check``, SpawnError, VMClosed."""
        running = yield from self.start(command, PIPE, PIPE, merge)
        deadline = None if timeout is None else running.started + timeout
        out, err, _ = yield from self.communicate(running, data, deadline, kill=True)
        code, fault = self.outcome(running)
        duration = time.monotonic() - running.started
        streams = [s.decode("utf-8", "replace") for s in (out, err)] if text else [out, err]
        result = Result(code, streams[0], streams[1], duration, fault, command.argv)
        if check and (code != 0 or fault):
            raise CommandError(result)
        return result

    def outcome(self, running: Running) -> tuple[int, str | None]:
        """(return code, fault) of an ended command. Raises VMClosed when it was closed meanwhile."""
        message = running.end.message
        if message is None:
            if running.timed_out and not running.end.done:
                return -signal.SIGKILL, "timeout"
            if self.closed or not running.end.done:
                raise again(self.channel.dead or VMClosed("the VM was closed while the command ran"))
            panicked = isinstance(self.channel.dead, GuestPanic)
            return -signal.SIGKILL, "guest_panic" if panicked else "killed"
        status = message.number(0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            code = os.waitstatus_to_exitcode(status)
        else:
            code = -signal.SIGKILL  # not an end at all: a broken kernel's number
        fault = "timeout" if running.timed_out else wire.FAULTS.get(message.number(4), "killed")
        return code, fault

    def usage(self, running: Running) -> Usage | None:
        """Times and memory of an ended command; None while it runs or when the VM died."""
        message = running.end.message
        if message is None:
            return None
        return Usage(message.number(1) / 1e6, message.number(2) / 1e6, message.number(3))

    def signal(self, running: Running, number: int, scope: int) -> Steps[None]:
        """Send a signal; to an ended command it does nothing. Raises ConfigError, LodgerError when it is refused."""
        self._own()
        number = parse.signal_number(number)
        ident = self.channel.spawn_id(running.end)
        if ident == 0 or number == 0:
            return
        reply, _ = self.channel.request(wire.SIGNAL, ident, number, scope)
        while not reply.done:
            yield Wait(reply)
        code = self._answer(reply).number(0)
        if code not in (0, errno.ESRCH):
            raise LodgerError(f"signal {number} was refused by the guest: {os.strerror(code)}")

    def resize(self, running: Running, rows: int, columns: int) -> Steps[None]:
        """Tell a command's terminal its size. Raises ConfigError."""
        self._own()
        rows, columns = parse.terminal_size((rows, columns), "size")
        ident = self.channel.spawn_id(running.end)
        if ident:
            reply, _ = self.channel.request(wire.WINSIZE, ident, rows, columns)
            while not reply.done:
                yield Wait(reply)

    def terminal(self, running: Running, state: int) -> Steps[None]:
        """Whether a command may read the host's terminal, which it may ask for (wire.TERMINAL_OPEN and others)."""
        self._own()
        ident = self.channel.spawn_id(running.end)
        if ident:
            reply, _ = self.channel.request(wire.TERMINAL, ident, state)
            while not reply.done:
                yield Wait(reply)

    def stats(self) -> Steps[dict[str, Any]]:
        """The guest kernel's counters. Raises VMClosed."""
        import json

        self.check_open()
        reply, _ = self.channel.request(wire.STATS)
        while not reply.done:
            yield Wait(reply)
        try:
            value = json.loads(self._answer(reply).data(0))
        except (ValueError, RecursionError) as error:
            raise LodgerError(f"the guest kernel's statistics are not JSON: {error}") from None
        found = value if isinstance(value, dict) else {"value": value}
        connection = self.channel.connection
        if connection.counters is not None:
            from lodger.boot.kernel import call_names

            found["monitor"] = connection.counters.read(call_names())
        found["initiation"] = dict(self._initiation(found))
        return found

    def _initiation(self, stats: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
        """Phases from nothing to the first instruction, in nanoseconds; the clocks of VMM and guest kernel are one."""
        entered, prepared = self.channel.connection.began, self.channel.connection.prepared
        born, started, first = stats.get("born_ns", 0), stats.get("started_ns", 0), stats.get("first_thread_ns", 0)
        rootfs = stats.get("rootfs_ns", 0)
        yield "VMM start (this program's processor time until then)", self.vmm_ns
        yield "memory files and rules", prepared - entered
        yield "process creation", born - prepared
        yield "guest kernel boot", started - born - rootfs
        yield "root file system", rootfs
        if first:
            yield "from ready to the first command's first instruction", first - started

    def post(self, end: Event, number: int, scope: int) -> None:
        """Send a signal to the command with this end, without waiting for the answer. Never raises."""
        ident = self.channel.spawn_id(end)
        if ident:
            try:
                self.channel.request(wire.SIGNAL, ident, number, scope)
            except LodgerError:
                pass

    def _post_kill(self, running: Running) -> None:
        self.post(running.end, signal.SIGKILL, wire.SCOPE_TREE)

    def _own(self) -> None:
        # A forked child has a copy of the control socket: what it reads there, the parent would wait for in vain.
        if os.getpid() != self.owner:
            raise VMClosed(
                f"this VM belongs to process {self.owner}, and this is process {os.getpid()}, forked from it: "
                "make a VM of its own here"
            )

    def check_open(self) -> None:
        """Raises what ended the VM, if something did."""
        self._own()
        if self.closed:
            raise VMClosed("this VM is closed: make a new one")
        if self.channel.dead is not None:
            raise again(self.channel.dead)

    def close(self) -> None:
        """SHUTDOWN, then SIGKILL: no process is left. Idempotent; a forked copy of a VM does nothing."""
        if self.closed or os.getpid() != self.owner:
            return
        self.closed = True
        connection = self.channel.connection
        if self.channel.dead is None:
            self.channel.shutdown()
            if not connection.child.wait(CLOSE_SECONDS):
                connection.child.kill()
        self._end()

    def kill(self) -> None:
        """Like close, without asking first."""
        if self.closed or os.getpid() != self.owner:
            return
        self.closed = True
        self._end()

    def _end(self) -> None:
        connection = self.channel.connection
        connection.child.kill()
        connection.child.wait(KILL_SECONDS)
        self.channel.fail(VMClosed("this VM is closed: make a new one"))
        connection.release()

    def _answer(self, reply: Event) -> wire.Message:
        message = reply.message
        if message is None:
            raise again(self.channel.dead or VMClosed("the VM ended"))
        if message.kind == wire.ERROR:
            raise LodgerError("the guest kernel refused a request: " + message.data(0).decode("utf-8", "replace"))
        return message
