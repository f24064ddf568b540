"""What the ``process`` monitor counts, in memory that the VMM's user and the monitor share."""

from __future__ import annotations

import mmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: One 64-bit word each, in this order.
NAMES = (
    "stops",  # the guest-machine process stopped and the monitor was woken: two host context switches
    "user_calls",  # system calls of applications that were redirected into the guest kernel
    "host_calls",  # host calls of the guest kernel that were let through
    "guard_calls",  # of these: the mprotect guard's
    "signals",  # signals that were passed on: exceptions, interrupts, redirected system calls
    "events",  # other stops: new processes
    "monitor_ns",  # time that the monitor itself ran
    "refused",  # host calls that were not on the list: the machine ends
)
#: Numbers of system calls that are counted singly.
CALLS = 512
SIZE = 8 * (len(NAMES) + 2 * CALLS)


class Counters:
    """The shared words; ``fd`` is a memory file of at least SIZE bytes."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SIZE)
        words = memoryview(self._map).cast("Q")
        self.totals = words[: len(NAMES)]
        self.user = words[len(NAMES) : len(NAMES) + CALLS]
        self.host = words[len(NAMES) + CALLS :]

    def read(self, names: Mapping[int, str]) -> dict[str, Any]:
        """Totals by name, the host context switches that the stops caused, and calls by ``names``."""
        found: dict[str, Any] = dict(zip(NAMES, self.totals, strict=True))
        found["context_switches"] = 2 * found["stops"]
        for key, words in (("by_user_call", self.user), ("by_host_call", self.host)):
            found[key] = {names.get(i, str(i)): n for i, n in enumerate(words) if n}
        return found
