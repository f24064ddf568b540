"""Landlock: the ruleset that the guest kernel puts on itself before the first guest instruction.

The VMM makes the ruleset (it knows the directories) and hands the descriptor over; see landlock(7)
and include/uapi/linux/landlock.h for the numbers. Rights that a host kernel does not know are
left out, so the strength depends on the ABI; ``lodger doctor`` shows it.
"""

from __future__ import annotations

import os
import struct

from lodger.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET = 444
_ADD_RULE = 445
_VERSION_FLAG = 1
_PATH_BENEATH = 1

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_CHAR = 1 << 6
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
MAKE_SOCK = 1 << 9
MAKE_FIFO = 1 << 10
MAKE_BLOCK = 1 << 11
MAKE_SYM = 1 << 12
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15

_FIRST_ABI = (1 << 13) - 1
READ_ONLY = READ_FILE | READ_DIR
#: Everything a read-write volume needs. Device nodes are never made on the host.
READ_WRITE = (
    READ_ONLY | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO
    | MAKE_SYM | REFER | TRUNCATE
)  # fmt: skip
_NET_BOTH = 0b11
_SCOPE_BOTH = 0b11

_abi: int | None = None


def abi() -> int:
    """The host's Landlock ABI version; 0 when it is absent or switched off."""
    global _abi
    if _abi is None:
        from lodger.host.libc import syscall

        try:
            _abi = syscall("landlock_create_ruleset", _CREATE_RULESET, None, 0, _VERSION_FLAG)
        except HostError:
            _abi = 0
    return _abi


def handled(version: int) -> tuple[int, int, int]:
    """(file, network, scope) rights that a host of this ABI can take away."""
    files = _FIRST_ABI
    if version >= 2:
        files |= REFER
    if version >= 3:
        files |= TRUNCATE
    if version >= 5:
        files |= IOCTL_DEV
    return files, _NET_BOTH if version >= 4 else 0, _SCOPE_BOTH if version >= 6 else 0


def ruleset(directories: Iterable[tuple[int, bool]]) -> int | None:
    """A ruleset descriptor that allows only these (directory descriptor, writable) pairs.

    None when the host has no Landlock. The caller closes it. Raises HostError.
    """
    version = abi()
    if not version:
        return None
    from lodger.host.libc import syscall

    files, net, scope = handled(version)
    attr = struct.pack("=QQQ", files, net, scope)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    fd = syscall("landlock_create_ruleset", _CREATE_RULESET, attr, len(attr), 0)
    try:
        os.set_inheritable(fd, False)
        for directory, writable in directories:
            rights = (READ_WRITE if writable else READ_ONLY) & files
            syscall("landlock_add_rule", _ADD_RULE, fd, _PATH_BENEATH, struct.pack("=Qi", rights, directory), 0)
    except BaseException:
        os.close(fd)
        raise
    return fd
