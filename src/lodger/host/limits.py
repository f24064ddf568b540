"""The host's limits for a process (ulimit), where one is why something failed."""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def way_out(number: int | None) -> str:
    """What to do about a failure with this error number, to be put after its message; "" where no limit is at fault."""
    import resource

    reasons: dict[int | None, tuple[int, str, str, int]] = {
        errno.EFBIG: (resource.RLIMIT_FSIZE, "the size of files", "f", 1024),
        errno.EAGAIN: (resource.RLIMIT_NPROC, "processes", "u", 1),
        errno.ENOMEM: (resource.RLIMIT_AS, "address space", "v", 1024),
    }
    reason = reasons.get(number)
    if reason is None:
        return ""
    which, what, letter, unit = reason
    limit: Any = resource.getrlimit(which)[0]
    if limit == resource.RLIM_INFINITY:
        return ""
    return f": the host's limit of {what} may be too low (ulimit -{letter} is {limit // unit}): raise it"
