"""ptrace(2): the few requests that a monitor in another process needs."""

from __future__ import annotations

import ctypes
import os

from lodger.errors import HostError

_libc = ctypes.CDLL(None, use_errno=True)
#: ``request(number, pid, address, data)``: the raw call, -1 on failure. Bound once: it is called for every stop.
request = _libc.ptrace
request.restype = ctypes.c_long
request.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

PEEKTEXT = 1
CONT = 7
GETREGS = 12
POKEUSER = 6
SYSCALL = 24
SEIZE = 0x4206
_INTERRUPT = 0x4207

#: A stop for a system call, as distinct from a SIGTRAP.
TRACESYSGOOD = 1
TRACEFORK = 2
TRACEVFORK = 4
TRACECLONE = 8
#: The tracee dies with its tracer.
EXITKILL = 0x10_0000

#: waitpid(2): threads and processes alike.
WALL = 0x4000_0000
#: The stop signal of a system call under TRACESYSGOOD.
SYSCALL_STOP = 5 | 0x80

#: ``struct user_regs_struct`` of x86-64 (sys/user.h): 27 words; those that are looked at, by index.
WORDS = 27
R10, R9, R8, RAX, RDX, RSI, RDI, ORIG_RAX, RIP, GS_BASE = 7, 8, 9, 10, 12, 13, 14, 15, 16, 22
#: System-call arguments in order.
ARGUMENTS = (RDI, RSI, RDX, R10, R8, R9)


def registers() -> tuple[ctypes.Array[ctypes.c_ulonglong], int]:
    """Room for GETREGS, and its address."""
    room = (ctypes.c_ulonglong * WORDS)()
    return room, ctypes.addressof(room)


def seize(pid: int, options: int) -> None:
    """Trace ``pid`` without stopping it. Raises HostError."""
    if request(SEIZE, pid, None, options) < 0:
        raise HostError("ptrace (PTRACE_SEIZE)", ctypes.get_errno())


def interrupt(pid: int) -> None:
    """Stop a seized process. Raises HostError."""
    if request(_INTERRUPT, pid, None, None) < 0:
        raise HostError("ptrace (PTRACE_INTERRUPT)", ctypes.get_errno())


def share_processor() -> None:
    """Stay, with all children, on the host processor that this process runs on.

    Tracer and tracee take turns, so a second processor is of no use to them, and waking the other one there costs an
    interrupt to a processor that sleeps: on a virtual host that is most of a stop (43 µs against 6 µs).
    """
    with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
        processor = int(file.read().rsplit(")", 1)[1].split()[36])
    try:
        os.sched_setaffinity(0, {processor})
    except OSError:
        pass  # taken away from this process meanwhile: slower, not wrong
