"""The control protocol's messages (docs/reference/control-protocol.md), encoded and decoded.

Little endian, no padding; the numbers mirror kernel/abi/src/wire.rs and a test compares them.
Decoding is strict because the sender may be hostile: too short, too long, an unknown kind or a
count that cannot fit is WireError, and nothing is allocated on a length's word alone.
"""

from __future__ import annotations

import struct

from lodger._record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
MAX_PACKET = 128 * 1024
MAX_FDS = 16
NO_FD = 0xFFFFFFFF
#: SPAWN's group where it is the one that the guest's /etc/passwd has for the user.
NO_ID = 0xFFFFFFFF
#: The most bytes of arguments and environment that SPAWN gives in a file.
MAX_WORDS = 8 << 20

BOOT, MOUNT, NODE, START, SPAWN, SIGNAL, WINSIZE, STATS, SHUTDOWN, TERMINAL = range(1, 11)
READY, STARTED, SPAWN_FAILED, EXITED, STATS_REPLY, ACK, PANIC, ERROR, ASKS = range(101, 110)

MONITOR_NUMBERS = {"inline": 0, "host": 1, "process": 2}
GUARD_NUMBERS = {"pkey": 0, "none": 1, "mprotect": 2}
SPACES_NUMBERS = {"multi": 0, "remap": 1}

FLAG_TRACE = 1
FLAG_DEBUG_LOG = 2
FLAG_LANDLOCK = 4
FLAG_COUNT = 8
FLAG_SECCOMP_TRAP = 16

MOUNT_OVERLAY, MOUNT_HOST_RO, MOUNT_HOST_RW, MOUNT_TMPFS, MOUNT_PROC, MOUNT_DEV, MOUNT_SYS = range(7)
NODE_DIRECTORY, NODE_FILE, NODE_SYMLINK = range(3)

SPAWN_TTY = 1
SPAWN_SESSION = 2
SPAWN_HELD = 4
SPAWN_JOB = 8

TERMINAL_OPEN, TERMINAL_HELD, TERMINAL_REFUSED = range(3)
ASK_READ, ASK_STOP = range(2)

SCOPE_PROCESS, SCOPE_GROUP, SCOPE_TREE = range(3)
FAULTS = {0: None, 1: "oom", 2: "pids", 3: "killed"}

#: Field letters: I u32, Q u64, q i64, B bytes, L list of bytes.
FIELDS: dict[int, str] = {
    BOOT: "IQIIBIIIIIIIIIIIQB",
    MOUNT: "IBBI",
    NODE: "IBIIIB",
    START: "",
    SPAWN: "LLBIIBBIIIIIIII",
    SIGNAL: "III",
    WINSIZE: "III",
    STATS: "",
    SHUTDOWN: "",
    TERMINAL: "II",
    READY: "IIIIQ",
    STARTED: "I",
    SPAWN_FAILED: "IBI",
    EXITED: "IQQQI",
    STATS_REPLY: "B",
    ACK: "I",
    PANIC: "B",
    ERROR: "B",
    ASKS: "I",
}
NAMES = {
    BOOT: "BOOT", MOUNT: "MOUNT", NODE: "NODE", START: "START", SPAWN: "SPAWN", SIGNAL: "SIGNAL",
    WINSIZE: "WINSIZE", STATS: "STATS", SHUTDOWN: "SHUTDOWN", TERMINAL: "TERMINAL",
    READY: "READY", STARTED: "STARTED",
    SPAWN_FAILED: "SPAWN_FAILED", EXITED: "EXITED", STATS_REPLY: "STATS_REPLY", ACK: "ACK",
    PANIC: "PANIC", ERROR: "ERROR", ASKS: "ASKS",
}  # fmt: skip

Value = int | bytes | list[bytes]
_U32 = struct.Struct("<I")
_HEAD = struct.Struct("<II")
_NUMBERS = {"I": struct.Struct("<I"), "Q": struct.Struct("<Q"), "q": struct.Struct("<q")}


class WireError(Exception):
    """A packet is not a message of the protocol; the text says why."""


@record(frozen=True)
class Message:
    """A decoded message."""

    kind: int
    id: int
    fields: list[Value]

    def number(self, index: int) -> int:
        """An integer field."""
        value = self.fields[index]
        assert isinstance(value, int)
        return value

    def data(self, index: int) -> bytes:
        """A bytes field."""
        value = self.fields[index]
        assert isinstance(value, bytes)
        return value


def encode(kind: int, ident: int, *values: int | bytes | str | Sequence[bytes]) -> bytes:
    """A packet. Raises WireError when it would be larger than the protocol allows."""
    shape = FIELDS[kind]
    if len(shape) != len(values):
        raise WireError(f"{NAMES[kind]} has {len(shape)} fields, got {len(values)}")
    packet = _HEAD.pack(kind, ident) + pack(shape, *values)
    if len(packet) > MAX_PACKET:
        raise WireError(f"{NAMES[kind]} of {len(packet)} bytes is larger than {MAX_PACKET}")
    return packet


def pack(shape: str, *values: int | bytes | str | Sequence[bytes]) -> bytes:
    """Fields, as a packet has them after its kind and id."""
    parts: list[bytes] = []
    for letter, value in zip(shape, values, strict=True):
        if letter == "B":
            data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            assert isinstance(data, bytes)
            parts += (_U32.pack(len(data)), data)
        elif letter == "L":
            assert isinstance(value, (list, tuple))
            parts.append(_U32.pack(len(value)))
            for item in value:
                assert isinstance(item, bytes)
                parts += (_U32.pack(len(item)), item)
        else:
            parts.append(_NUMBERS[letter].pack(value))
    return b"".join(parts)


def decode(packet: bytes) -> Message:
    """The message in a packet. Raises WireError for everything that is not exactly one."""
    if len(packet) > MAX_PACKET:
        raise WireError(f"a packet of more than {MAX_PACKET} bytes")
    if len(packet) < _HEAD.size:
        raise WireError(f"a packet of {len(packet)} bytes has no kind and id")
    kind, ident = _HEAD.unpack_from(packet)
    shape = FIELDS.get(kind)
    if shape is None:
        raise WireError(f"unknown message kind {kind}")
    reader = _Reader(packet, _HEAD.size, NAMES[kind])
    fields: list[Value] = []
    for letter in shape:
        if letter == "B":
            fields.append(reader.data())
        elif letter == "L":
            fields.append([reader.data() for _ in range(reader.items())])
        else:
            fields.append(reader.number(letter))
    if reader.at != len(packet):
        raise WireError(f"{NAMES[kind]} is {len(packet) - reader.at} bytes longer than its fields")
    return Message(kind, ident, fields)


class _Reader:
    def __init__(self, packet: bytes, at: int, name: str) -> None:
        self.packet = packet
        self.at = at
        self.name = name

    def number(self, letter: str) -> int:
        form = _NUMBERS[letter]
        if self.at + form.size > len(self.packet):
            raise WireError(f"{self.name} ends in the middle of a field")
        (value,) = form.unpack_from(self.packet, self.at)
        self.at += form.size
        return int(value)

    def data(self) -> bytes:
        length = self.number("I")
        if self.at + length > len(self.packet):
            raise WireError(f"{self.name} claims {length} bytes and has {len(self.packet) - self.at}")
        value = self.packet[self.at : self.at + length]
        self.at += length
        return value

    def items(self) -> int:
        # Each item takes four bytes at least: a count that cannot fit is refused before any work.
        number = self.number("I")
        if number * 4 > len(self.packet) - self.at:
            raise WireError(f"{self.name} claims {number} list items")
        return number
