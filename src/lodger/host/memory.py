"""Memory files: the memfd that is a VM's physical memory."""

from __future__ import annotations

import fcntl
import os

from lodger.errors import HostError
from lodger.host.limits import way_out

#: [0x70000000, 0xc0000000): where the guest kernel lives in every guest-machine process.
KERNEL_REGION = 0xC0000000 - 0x70000000


def memory_file(name: str, nbytes: int) -> int:
    """A sparse memfd of this size that can never change size. The caller closes it. Raises HostError.

    Sealed against growing and shrinking: a hostile guest kernel can then neither take more than it
    was given nor make the VMM die of SIGBUS by truncation.
    """
    try:
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError as error:
        raise HostError(f"cannot make the memory file {name!r}", error.errno or 0) from None
    try:
        os.ftruncate(fd, nbytes)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError as error:
        os.close(fd)
        what = f"cannot size the memory file {name!r} to {nbytes} bytes"
        raise HostError(what, error.errno or 0, way_out(error.errno)) from None
    return fd
