"""The seam that monitors fill."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Protocol

    from lodger.boot.plan import BootPlan
    from lodger.host.spawn import Child
    from lodger.monitor.counters import Counters

    class Monitor(Protocol):
        """Starts a machine. Called once a VM; raises ConfigError, HostError or BootError."""

        def boot(self, plan: BootPlan, deadline: float) -> Connection:
            """Start the guest kernel and send everything up to START; READY is the caller's to await."""


class Connection:
    """A started guest kernel: its control socket, its first process, its log."""

    def __init__(
        self,
        control: socket,
        child: Child,
        log: int,
        last_id: int,
        landlock: bool,
        counters: Counters | None = None,
    ) -> None:
        self.control = control
        self.child = child
        self.log = log
        self.last_id = last_id
        self.landlock = landlock
        self.counters = counters
        #: When the VMM began with this machine and had all descriptors, CLOCK_MONOTONIC in nanoseconds.
        self.began = self.prepared = 0

    def log_text(self) -> str:
        """What the kernel log holds right now, at most 64 KiB; "" when it goes to a file."""
        if self.log < 0:
            return ""
        try:
            data = os.read(self.log, 65536)
        except OSError:
            return ""
        return data.decode("utf-8", "replace").strip()

    def release(self) -> None:
        """Close the descriptors. The child must have been waited for or given up."""
        self.control.close()
        if self.log >= 0:
            os.close(self.log)
            self.log = -1
        self.child.release()
