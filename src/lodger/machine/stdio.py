"""Where a command's three streams go: the words of subprocess, turned into descriptors."""

from __future__ import annotations

import errno
import os

from lodger.boot.wire import MAX_PACKET, MAX_WORDS, NO_FD, pack
from lodger.errors import ConfigError, SpawnError
from lodger.host.descriptors import above_standard, pipe
from lodger.host.memory import memory_file
from lodger.machine.result import DEVNULL, PIPE, STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO, Any

    Stream = int | IO[Any] | None

NAMES = ("stdin", "stdout", "stderr")
#: What SPAWN has beside arguments and environment: a working directory, names of user and group, numbers.
OTHER_FIELDS = 16 * 1024
#: MAX_ARG_STRLEN: no argument and no variable of Linux's is as long.
MAX_WORD = 128 * 1024


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
            read, write = pipe()
            fd, self.ours[position] = (read, write) if position == 0 else (write, read)
            self._close.append(fd)
        elif stream == DEVNULL:
            fd = above_standard(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC))
            self._close.append(fd)
        elif stream == STDOUT:
            if position != 2:
                raise ConfigError("STDOUT can be given for stderr only: it means 'the same as stdout'")
            if self.indices[1] == NO_FD:
                self.indices.append(NO_FD)
                return
            fd = self.guest[self.indices[1]]
        elif isinstance(stream, int):
            fd = stream
        else:
            try:
                fd = stream.fileno()
            except (AttributeError, OSError, ValueError):
                raise ConfigError(
                    f"{stream!r} has no descriptor: give PIPE, DEVNULL, a number or a file that is open"
                ) from None
        if fd < 0:
            raise ConfigError(f"{stream!r} is not a descriptor: give PIPE, DEVNULL, STDOUT or a number from 0 up")
        try:
            os.fstat(fd)
        except (OSError, OverflowError):
            raise ConfigError(f"{NAMES[position]}={stream!r}: no file is open under the number {fd}") from None
        self.indices.append(len(self.guest))
        self.guest.append(fd)

    def words(self, argv: list[bytes], envp: list[bytes]) -> tuple[tuple[list[bytes], list[bytes]], int, int]:
        """Arguments and environment as SPAWN has them: (its lists, its file, the file's length).

        The file is for what a packet cannot take. Raises SpawnError for more than Linux takes, HostError.
        """
        room = MAX_PACKET - OTHER_FIELDS
        length = sum(len(word) + 4 for word in (*argv, *envp)) + 8
        if length <= room:
            return (argv, envp), NO_FD, 0
        longest = max(map(len, (*argv, *envp)))
        if length > MAX_WORDS or longest >= MAX_WORD:
            raise SpawnError(
                errno.E2BIG,
                f"cannot start {os.fsdecode(argv[0])[:100]!r}: arguments and environment are too long, with {length} "
                f"bytes, {longest} of them in one (Linux takes 2 MiB, and less than 128 KiB in one): give it a file, "
                "or its standard input",
                of_program=True,
            )
        fd = memory_file("lodger-words", length)
        self._close.append(fd)
        os.pwrite(fd, pack("LL", argv, envp), 0)
        self.guest.append(fd)
        return ([], []), len(self.guest) - 1, length

    def sent(self) -> None:
        """The guest has its ends: close our copies."""
        for fd in self._close:
            os.close(fd)
        self._close.clear()

    def files(self) -> list[IO[bytes] | None]:
        """Our ends as files, which own the descriptors from now on."""
        made: list[IO[bytes] | None] = [None, None, None]
        for place, fd in enumerate(self.ours):
            if fd >= 0:
                made[place] = os.fdopen(fd, "rb") if place else os.fdopen(fd, "wb", buffering=0)
        self.ours = [-1, -1, -1]
        return made

    def abandon(self) -> None:
        """Close everything, after a failure."""
        self.sent()
        for fd in self.ours:
            if fd >= 0:
                os.close(fd)
        self.ours = [-1, -1, -1]


class Pump:
    """Feeds input and collects output without blocking, in as many turns as it takes. Closes the files that it has
    done with.
    """

    READ = 256 * 1024

    def __init__(self, stdin: IO[bytes] | None, data: bytes, outputs: Sequence[IO[bytes] | None]) -> None:
        self.rest = memoryview(data)
        self.stdin = None if stdin is None or stdin.closed else stdin
        self._parts: dict[int, list[bytes]] = {}
        self._open: dict[int, tuple[IO[bytes], list[bytes]]] = {}
        for place, file in enumerate(outputs):
            parts = self._parts[place] = []
            if file is not None and not file.closed:
                self._open[file.fileno()] = file, parts

    def begin(self) -> None:
        """Before a turn. What the program has read ahead of its own reading (``readline``) is taken first."""
        if self.stdin is not None and self.stdin.closed:
            self.stdin = None  # between two turns, by the program
        for fd in [fd for fd, (file, _) in self._open.items() if file.closed]:
            del self._open[fd]
        for fd in (*self.writing, *self.open):
            os.set_blocking(fd, False)
        for file, parts in self._open.values():
            try:
                ahead = file.peek()  # type: ignore[attr-defined]
                parts.append(file.read(len(ahead)) if ahead else b"")
            except OSError:
                pass  # what is wrong with it the next read says
        if self.stdin is not None:
            self.write()

    def pause(self) -> None:
        """After a turn that was not the last: the files are again as the program had them."""
        for fd in (*self.writing, *self.open):
            os.set_blocking(fd, True)

    @property
    def open(self) -> list[int]:
        """Descriptors that may have more output."""
        return list(self._open)

    @property
    def writing(self) -> list[int]:
        """Descriptors that wait to be written."""
        return [self.stdin.fileno()] if self.stdin is not None else []

    def step(self, ready: set[int]) -> None:
        """Move what can be moved on these descriptors."""
        if ready.intersection(self.writing):
            self.write()
        for fd in [f for f in self._open if f in ready]:
            file, parts = self._open[fd]
            try:
                data = os.read(fd, self.READ)
            except BlockingIOError:
                continue
            except OSError:
                data = b""  # EIO of a terminal whose other side is gone
            if data:
                parts.append(data)
            else:
                del self._open[fd]
                close(file)

    def write(self) -> None:
        """Write input until it is gone or the pipe is full; a closed reader ends it without an error."""
        assert self.stdin is not None
        while self.rest:
            try:
                self.rest = self.rest[os.write(self.stdin.fileno(), self.rest) :]
            except BlockingIOError:
                return
            except OSError:
                break
        self.rest = self.rest[:0]
        close(self.stdin)
        self.stdin = None

    def output(self, place: int) -> bytes:
        """Everything that came from an output so far."""
        parts = self._parts[place]
        # Joined once: a second look, and another turn, go on from there.
        parts[:] = [b"".join(parts)]
        return parts[0]

    def close(self) -> None:
        """Give up what is still open."""
        for file, _ in self._open.values():
            close(file)
        self._open.clear()
        if self.stdin is not None:
            close(self.stdin)
            self.stdin = None


def close(file: IO[bytes]) -> None:
    """Close it, whatever has become of the other side."""
    try:
        file.close()
    except OSError:
        pass
