"""The classic monitor: the VMM is a second host process, which traces the guest-machine processes (``tracer``)."""

from __future__ import annotations

import os
import sys

from lodger.errors import BootError, HostError
from lodger.host.descriptors import pipe
from lodger.host.memory import memory_file
from lodger.host.spawn import spawn
from lodger.monitor import tracer
from lodger.monitor.counters import SIZE, Counters
from lodger.monitor.inprocess import InProcessMonitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodger.host.spawn import Child

#: The interpreter starts in some 20 ms; on a loaded machine it may take much longer.
_START_SECONDS = 20


class ProcessMonitor(InProcessMonitor):
    """See :class:`lodger.monitor.base.Monitor`. Like the in-process monitors but for who starts the guest kernel."""

    def __init__(self, events: int = -1, *, redirect: bool = True, together: bool = False) -> None:
        #: A descriptor that is told every host operation, or -1.
        self.events = events
        self.redirect = redirect
        #: The machine has one processor: both processes share one of the host's (see ``ptrace.share_processor``).
        self.together = together

    def start(self, kernel: str, control: int, log: int, memory: int) -> Child:
        """Start the tracer, which starts the guest kernel. Raises BootError, HostError."""
        shared = memory_file("lodger-monitor", SIZE)
        read, write = pipe()
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        code = f"import sys; sys.path.insert(0, {package!r}); from lodger.monitor.tracer import main; sys.exit(main())"
        extra = {tracer.MEMORY: memory, tracer.COUNTERS: shared, tracer.READY: write}
        environment = {"LODGER_KERNEL": kernel, tracer.MODE: tracer.REDIRECT if self.redirect else tracer.WATCH}
        if self.together:
            environment[tracer.TOGETHER] = "yes"
        if self.events >= 0:
            extra[tracer.EVENTS] = self.events
            environment[tracer.LOG] = "yes"
        try:
            if self.redirect:
                self.counters = Counters(shared)
            child = spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", code],
                control,
                log,
                extra,
                environment,
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(shared)
            os.close(write)
        try:
            said = _await(read)
        finally:
            os.close(read)
        if said != b"ready":
            child.kill()
            child.wait(5)
            child.release()
            reason = said.decode("utf-8", "replace") or "it ended before it was ready (LODGER_LOG=FILE shows why)"
            raise BootError(
                f"the tracing monitor did not start: {reason}. "
                "Where ptrace is forbidden, use monitor='host' or 'inline'"
            )
        return child


def _await(fd: int) -> bytes:
    import select

    poller = select.poll()
    poller.register(fd, select.POLLIN)
    if not poller.poll(_START_SECONDS * 1000):
        raise HostError(f"the tracing monitor stayed silent for {_START_SECONDS} s", 0)
    return os.read(fd, 4096)
