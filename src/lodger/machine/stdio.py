"""Where a command's three streams go: the words of subprocess, turned into descriptors."""

from __future__ import annotations

import os

from lodger.boot.wire import NO_FD
from lodger.errors import ConfigError
from lodger.machine.result import DEVNULL, PIPE, STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

    Stream = int | IO[Any] | None


class Streams:
    """The guest's ends, to be sent and closed, and ours (-1 where there is none)."""

    def __init__(self) -> None:
        self.guest: list[int] = []
        self.indices: list[int] = []
        self.ours = [-1, -1, -1]
        self._close: list[int] = []

    def add(self, position: int, stream: Stream) -> None:
        """Decide stream 0, 1 or 2. Raises ConfigError."""
        if stream is None:
            fd = position
            try:
                os.fstat(fd)
            except OSError:
                self.indices.append(NO_FD)  # closed in this program: closed in the guest
                return
        elif stream == PIPE:
            read, write = os.pipe2(os.O_CLOEXEC)
            fd, self.ours[position] = (read, write) if position == 0 else (write, read)
            self._close.append(fd)
        elif stream == DEVNULL:
            fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            self._close.append(fd)
        elif stream == STDOUT:
            if position != 2 or self.indices[1] == NO_FD:
                raise ConfigError("STDOUT can be given for stderr only: it means 'the same as stdout'")
            fd = self.guest[self.indices[1]]
        elif isinstance(stream, int):
            fd = stream
        else:
            try:
                fd = stream.fileno()
            except (AttributeError, OSError, ValueError):
                raise ConfigError(
                    f"{stream!r} has no descriptor: give PIPE, DEVNULL, a number or a real file"
                ) from None
        if fd < 0:
            raise ConfigError(f"{stream!r} is not a descriptor: give PIPE, DEVNULL, STDOUT or a number from 0 up")
        self.indices.append(len(self.guest))
        self.guest.append(fd)

    def sent(self) -> None:
        """The guest has its ends: close our copies."""
        for fd in self._close:
            os.close(fd)
        self._close.clear()

    def abandon(self) -> None:
        """Close everything, after a failure."""
        self.sent()
        for fd in self.ours:
            if fd >= 0:
                os.close(fd)
        self.ours = [-1, -1, -1]


class Pump:
    """Feeds input and collects output without blocking. Owns the descriptors given to it."""

    READ = 256 * 1024

    def __init__(self, stdin: int, data: bytes, outputs: list[int]) -> None:
        self.stdin = stdin
        self.rest = memoryview(data)
        self.open = [fd for fd in outputs if fd >= 0]
        self.parts: dict[int, list[bytes]] = {fd: [] for fd in self.open}
        for fd in (stdin, *self.open):
            if fd >= 0:
                os.set_blocking(fd, False)
        if stdin >= 0:
            self.write()

    @property
    def writing(self) -> list[int]:
        """Descriptors that wait to be written."""
        return [self.stdin] if self.stdin >= 0 else []

    def step(self, ready: set[int]) -> None:
        """Move what can be moved on these descriptors."""
        if self.stdin in ready:
            self.write()
        for fd in [f for f in self.open if f in ready]:
            try:
                data = os.read(fd, self.READ)
            except BlockingIOError:
                continue
            except OSError:
                data = b""  # EIO of a terminal whose other side is gone
            if data:
                self.parts[fd].append(data)
            else:
                self.open.remove(fd)
                os.close(fd)

    def write(self) -> None:
        """Write input until it is gone or the pipe is full; a closed reader ends it without an error."""
        while self.rest:
            try:
                self.rest = self.rest[os.write(self.stdin, self.rest) :]
            except BlockingIOError:
                return
            except OSError:
                break
        os.close(self.stdin)
        self.stdin = -1

    def output(self, fd: int) -> bytes:
        """Everything that came from a descriptor."""
        return b"".join(self.parts.get(fd, ()))

    def close(self) -> None:
        """Give up what is still open."""
        for fd in (*self.writing, *self.open):
            os.close(fd)
        self.stdin = -1
        self.open.clear()
