"""Raw system calls that Python does not offer. Imported only when one is needed: ctypes costs 2 ms."""

from __future__ import annotations

import ctypes
import os

from lodger.errors import HostError

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(what: str, number: int, *args: int | bytes | None) -> int:
    """Call the host kernel. Integers go as 64-bit words, bytes as pointers. Raises HostError."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = int(_libc.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        raise HostError(what, ctypes.get_errno())
    return result


def prctl(what: str, option: int, *args: int) -> int:
    """prctl(2) on the calling thread. Raises HostError."""
    words = [ctypes.c_ulong(a) for a in (*args, 0, 0, 0, 0)[:4]]
    result = int(_libc.prctl(ctypes.c_int(option), *words))
    if result < 0:
        raise HostError(what, ctypes.get_errno())
    return result


def in_child(option: int, *args: int) -> int:
    """prctl(2) in a forked child, so that the caller keeps its state; the errno, 0 = it worked."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            prctl("probe", option, *args)
            code = 0
        except HostError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
