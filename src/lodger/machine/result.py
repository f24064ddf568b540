"""What a finished command was."""

from __future__ import annotations

from lodger._record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PIPE = -1
STDOUT = -2
DEVNULL = -3


@record(frozen=True)
class Result:
    """The end of one command. ``stdout`` and ``stderr`` are bytes, or text with ``text=True``."""

    returncode: int
    """exit status; -n when signal n ended it"""
    stdout: Any
    stderr: Any
    duration: float
    """seconds from the request to the end, on the host's clock"""
    fault: str | None
    """
    What the machine did to it; None when nothing, or when it succeeded all the same. "timeout": it was ended at its
    timeout. "oom": it failed after the VM's memory was used up: it, or something that it started, was refused memory
    (ENOMEM) or killed for want of it. "pids": it failed after the VM's limit of processes and threads was reached
    (EAGAIN). "killed": the host killed it (SIGKILL from within the guest is none: that is returncode -9).
    "guest_panic": the guest kernel died. With "oom" and "pids" ``returncode``
    is the command's own.
    """
    args: tuple[str, ...]


@record(frozen=True)
class Usage:
    """What a command used."""

    user_seconds: float
    system_seconds: float
    max_rss_kib: int
