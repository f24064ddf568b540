"""Numbers of descriptors."""

from __future__ import annotations

import os


def above_standard(fd: int) -> int:
    """The same file under a number above 2; ``fd`` is closed if that is another.

    A program that was started with some of 0, 1, 2 closed (``<&-``) gives those numbers to what it opens next. A
    descriptor of Lodger's there would be handed to a command as its standard stream.
    """
    if fd > 2:
        return fd
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def pipe(flags: int = 0) -> tuple[int, int]:
    """(read end, write end) of a pipe, closed on exec, both above the standard numbers. Raises OSError."""
    read, write = os.pipe2(os.O_CLOEXEC | flags)
    try:
        read = above_standard(read)
    except BaseException:
        os.close(write)
        raise
    try:
        return read, above_standard(write)
    except BaseException:
        os.close(read)
        raise


def free_descriptors() -> tuple[int, int]:
    """(how many more this program may open, its limit). For explaining a failure: it may be one or two too few."""
    limit = os.sysconf("SC_OPEN_MAX")  # the resource module is a file that could not be opened by now
    if limit < 0:
        limit = 1 << 20
    taken = 0
    for fd in range(min(limit, 4096)):  # not /proc/self/fd: to list it takes a descriptor
        try:
            os.fstat(fd)
            taken += 1
        except OSError:
            pass
    return limit - taken, limit
