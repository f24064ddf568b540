"""The control channel seen from the VMM: replies find their requests, and death reaches everybody."""

from __future__ import annotations

import os
import time
from _thread import RLock

from lodger.boot import wire
from lodger.errors import BootError, GuestPanic, ProtocolError, VMClosed, again
from lodger.monitor import packets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lodger.errors import LodgerError
    from lodger.monitor.base import Connection

#: A guest kernel that does not read its control socket for this long (seconds) is over.
SEND_SECONDS = 10.0
MAX_REFUSALS = 16

_REPLIES = {
    wire.START: (wire.READY,),
    wire.SPAWN: (wire.STARTED, wire.SPAWN_FAILED),
    wire.SIGNAL: (wire.ACK,),
    wire.WINSIZE: (wire.ACK,),
    wire.STATS: (wire.STATS_REPLY,),
    wire.TERMINAL: (wire.ACK,),
}


class Event:
    """Something that happens once: a reply, or the end of a command. ``message`` is None if the VM died."""

    __slots__ = ("callbacks", "done", "expected", "message")

    def __init__(self, expected: tuple[int, ...]) -> None:
        self.expected = expected
        self.done = False
        self.message: wire.Message | None = None
        self.callbacks: list[Callable[[], None]] = []

    def set(self, message: wire.Message | None) -> None:
        """Record it and tell who waits."""
        if not self.done:
            self.message = message
            self.done = True
            for callback in list(self.callbacks):
                callback()


class Asks(Event):
    """What a command has asked for; happens again and again."""

    __slots__ = ("_what",)

    def __init__(self) -> None:
        super().__init__((wire.ASKS,))
        self._what: set[int] = set()

    def add(self, what: int) -> None:
        """One more."""
        self._what.add(what)
        self.set(None)

    def take(self) -> set[int]:
        """What there is, which is then done with."""
        self.done = False
        found, self._what = self._what, set()
        return found


class End(Event):
    """The end of a command."""

    __slots__ = ("asks",)

    def __init__(self) -> None:
        super().__init__((wire.EXITED,))
        self.asks = Asks()


class Channel:
    """One VM's control channel. ``drain`` is called by one thread at a time (see vm.Driver)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.fd = connection.control.fileno()
        self.dead: LodgerError | None = None
        self.refusals: list[str] = []
        self.refused: tuple[int, str] | None = None
        """the message of the boot that the guest kernel refused, and why"""
        self._lock = RLock()  # taken again by a signal handler that interrupts its own thread
        self._last_id = connection.last_id
        self._replies: dict[int, Event] = {}
        self._exits: dict[int, End] = {}
        self.ready = Event(_REPLIES[wire.START])
        self._replies[connection.last_id] = self.ready

    def request(
        self, kind: int, *values: int | bytes | str | Sequence[bytes], fds: Sequence[int] = ()
    ) -> tuple[Event, End | None]:
        """Send a request; the events of its reply and, for SPAWN, of the command's end. Raises VMClosed."""
        with self._lock:
            if self.dead is not None:
                raise again(self.dead)
            self._last_id += 1
            ident = self._last_id
            packet = wire.encode(kind, ident, *values)
            reply = self._replies[ident] = Event(_REPLIES[kind])
            end = None
            if kind == wire.SPAWN:
                end = self._exits[ident] = End()
            try:
                packets.send(self.connection.control, packet, fds, time.monotonic() + SEND_SECONDS)
            except VMClosed:
                self._replies.pop(ident, None)
                self._exits.pop(ident, None)
                raise
        return reply, end

    def spawn_id(self, end: Event) -> int:
        """The id that names a running command in SIGNAL, WINSIZE and TERMINAL; 0 when it has ended."""
        for ident, event in list(self._exits.items()):
            if event is end:
                return ident
        return 0

    def shutdown(self) -> None:
        """Send SHUTDOWN if it can be sent at once. Never raises."""
        try:
            packets.send(self.connection.control, wire.encode(wire.SHUTDOWN, self._last_id + 1), (), 0.0)
        except (VMClosed, OSError):
            pass

    def drain(self) -> None:
        """Take every packet that is there. Never blocks and never raises: death is recorded."""
        while self.dead is None:
            packet = packets.receive(self.connection.control, wire.MAX_PACKET)
            if packet is None:
                return
            if not packet:
                self.fail(self._gone())
                return
            try:
                self._dispatch(wire.decode(packet))
            except wire.WireError as error:
                self.fail(ProtocolError(f"the guest kernel broke the control protocol: {error}"))

    def fail(self, error: LodgerError) -> None:
        """The VM is over because of ``error``; everybody who waits learns it."""
        if self.dead is None:
            self.dead = error
            self.connection.child.kill()
        for event in [*self._replies.values(), *self._exits.values()]:
            event.set(None)
        self._replies.clear()
        self._exits.clear()

    def _gone(self) -> LodgerError:
        child = self.connection.child
        child.wait(1.0)
        text = self.connection.log_text()
        how = ""
        if child.status is not None:
            code = os.waitstatus_to_exitcode(child.status)
            how = f" (killed by signal {-code})" if code < 0 else f" (status {code})"
        if not self.ready.done:
            return BootError(f"the guest kernel ended before it was ready{how}" + (f": {text}" if text else ""))
        return VMClosed(f"the guest kernel ended{how}" + (f": {text}" if text else ""))

    def _dispatch(self, message: wire.Message) -> None:
        kind = message.kind
        if kind == wire.PANIC:
            text = message.data(0).decode("utf-8", "replace")
            self.fail(GuestPanic("".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)))
            return
        if kind == wire.EXITED:
            end = self._exits.pop(message.id, None)
            if end is None:
                raise wire.WireError(f"EXITED for the unknown command {message.id}")
            end.set(message)
            return
        if kind == wire.ASKS:
            what = message.number(0)
            if what not in (wire.ASK_READ, wire.ASK_STOP):
                raise wire.WireError(f"ASKS for something unknown: {what}")
            # What a command has left behind may ask when it has ended: nobody is there to decide.
            asking = self._exits.get(message.id)
            if asking is not None:
                asking.asks.add(what)
            return
        event = self._replies.pop(message.id, None)
        if kind == wire.ERROR:
            text = message.data(0).decode("utf-8", "replace")
            if not self.ready.done:
                self.refused = message.id, text
                self.fail(BootError(f"the guest kernel refused a boot message ({message.id}): {text}"))
            elif event is None:
                self.refusals = [*self.refusals, text][-MAX_REFUSALS:]
            else:
                event.set(message)
            return
        if event is None or kind not in event.expected:
            raise wire.WireError(f"{wire.NAMES[kind]} with id {message.id} answers nothing")
        if kind == wire.SPAWN_FAILED:
            self._exits.pop(message.id, None)
        event.set(message)
