"""What the operations behind the classic machine's costs take on this host, measured now."""

from __future__ import annotations

import json
import os
import time

from lodger._record import record
from lodger.boot.kernel import ask_kernel, kernel_path
from lodger.errors import BootError, HostError


@record(frozen=True)
class UnitCosts:
    """Nanoseconds of one operation each."""

    call_ns: float
    """a host call that does nothing"""
    signal_ns: float
    """a signal's delivery and return"""
    protect_ns: float
    """mprotect of the kernel region with 1 MiB resident"""
    map_page_ns: float
    """mmap of one page of a memory file"""
    touch_page_ns: float
    """the page fault at its first touch"""
    unmap_page_ns: float
    """munmap, per page"""
    stop_ns: float
    """a traced process stops and its tracer lets it go on: two host context switches, without the tracer's own time"""


def measure() -> UnitCosts:
    """Measure everything; half a second. Raises BootError where the guest kernel's own measurement fails."""
    found = json.loads(ask_kernel("calibrate"))
    if "error" in found:
        raise BootError(f"the calibration failed: {found['error']}")
    return UnitCosts(stop_ns=_stop_ns(), **found)


def _stop_ns() -> float:
    """What one stop of a traced process costs beyond the tracer's own work; 0.0 without ptrace."""
    from lodger.host import ptrace

    before = os.sched_getaffinity(0)
    ptrace.share_processor()  # as the monitor does
    try:
        return _trace_spin()
    except HostError:
        return 0.0
    finally:
        os.sched_setaffinity(0, before)


def _trace_spin() -> float:
    """Trace ``lodger-kernel spin``, which makes host calls once its standard input ends. Raises HostError."""
    from lodger.host import ptrace

    read, write = os.pipe2(os.O_CLOEXEC)
    with os.fdopen(write, "wb") as go:
        pid = os.posix_spawn(
            kernel_path(),
            ["lodger-kernel", "spin"],
            {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, read, 0),
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            ],
        )
        os.close(read)
        stops, busy = 0, 0
        try:
            ptrace.seize(pid, ptrace.TRACESYSGOOD | ptrace.EXITKILL)
            ptrace.interrupt(pid)
        except HostError:
            go.close()
            os.waitpid(pid, 0)
            raise
        go.close()
        start = time.perf_counter_ns()
        while True:
            _, status = os.waitpid(pid, ptrace.WALL)
            woken = time.perf_counter_ns()
            if status & 0xFF != 0x7F:
                break
            stops += 1
            busy += time.perf_counter_ns() - woken
            ptrace.request(ptrace.SYSCALL, pid, None, None)
        elapsed = time.perf_counter_ns() - start
    return max(0.0, (elapsed - busy) / stops)
