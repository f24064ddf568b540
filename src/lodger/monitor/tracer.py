"""The VMM of the ``process`` monitor: a host process of its own that traces the guest-machine processes.

Every system call and signal of a guest-machine process stops it and wakes this process, which decides whether guest
user or guest kernel mode caused it. A system call of an application is made harmless (it becomes getpid, as in UMLinux:
King, Dunlap, Chen, "Operating System Support for Virtual Machines", USENIX ATC 2003) and the guest kernel gets SIGUSR1
instead; a host call of the guest kernel is checked against its list and let through; signals are passed on.

The supervisor, which never runs guest code, is traced for its children's sake only and does not stop for its calls.
"""

from __future__ import annotations

import _thread
import errno
import json
import mmap
import os
import select
import sys
import time

from lodger.boot.kernel import ask_kernel, call_names, kernel_path
from lodger.errors import HostError, LodgerError
from lodger.host import ptrace
from lodger.host.spawn import spawn
from lodger.monitor.counters import CALLS, NAMES, Counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    #: Is a host call with these registers allowed?
    Check = Callable[[Any], bool]

#: Descriptors that the parent passes (see ``monitor.process``); the last one only to be told every event.
CONTROL, MEMORY, COUNTERS, READY, EVENTS = 3, 4, 5, 6, 7
#: In the environment: what this process is for. "redirect" is the monitor; "watch" only looks on (``lodger trace``).
MODE, REDIRECT, WATCH = "LODGER_TRACER", "redirect", "watch"
#: In the environment where EVENTS was passed: its number alone proves nothing, other descriptors land there.
LOG = "LODGER_TRACER_LOG"
#: In the environment where the machine has one processor.
TOGETHER = "LODGER_TRACER_TOGETHER"

_GETPID = 39
_MPROTECT = 10
_GETPID_I386 = 20
#: `cd 80`, as the two bytes before the instruction pointer.
_INT80 = 0x80CD
_SIGSYS = 31
_SIGUSR1 = 10
_SIGKILL = 9
_LOW = 0xFFFF_FFFF
_KERNEL = -1
_INT80_CALL = -2
_STOPS, _USER, _HOST, _GUARD, _SIGNALS, _EVENTS, _NS, _REFUSED = range(len(NAMES))


class Layout:
    """Where the guest kernel's code and mode flags are, as it says itself (``lodger-kernel layout``)."""

    def __init__(self, text: bytes) -> None:
        found = json.loads(text)
        self.text: tuple[int, int] = tuple(found["text"])
        self.kernel: tuple[int, int] = (found["kernel_base"], found["kernel_size"])
        self.open_sites = frozenset(found["open_sites"])
        self.close_sites = frozenset(found["close_sites"])
        self.pages: tuple[int, int] = (found["open_base"], found["open_base"] + 4096 * found["pages"])
        #: Index of slot 0's mode flag among the 32-bit words of the kernel region's memory.
        self.flag = (found["trusted_base"] - found["kernel_base"] + found["in_user"]) // 4


def checks(text: bytes) -> dict[int, Check | None]:
    """The host-call list as functions: number → check of the registers, None where any arguments will do."""
    return {row["nr"]: _check(row["check"]) for row in json.loads(text)}


def _check(rule: dict[str, Any] | None) -> Check | None:
    if rule is None:
        return None
    index = ptrace.ARGUMENTS[rule["arg"]]
    if "clear" in rule:
        mask = rule["clear"]
        return lambda regs: not regs[index] & mask
    if "null" in rule:
        return lambda regs: regs[index] == 0
    values = frozenset(rule["one_of"])
    if "when" not in rule:
        return lambda regs: regs[index] & _LOW in values
    when, other, must = rule["when"], ptrace.ARGUMENTS[rule["other"]], rule["must"]
    return lambda regs: regs[index] & _LOW in values and (regs[index] & _LOW != when or regs[other] & _LOW == must)


def trace(
    root: int,
    layout: Layout,
    calls: dict[int, Check | None],
    modes: memoryview,
    counters: Counters,
    redirect: bool = True,
    log: EventLog | None = None,
) -> int:
    """Serve every stop until process ``root`` has ended; its wait status.

    Without ``redirect`` everything passes: the machine has another monitor, and ``log`` is told what its host sees.
    """
    request, clock = ptrace.request, time.perf_counter_ns
    totals, user, host = counters.totals, counters.user, counters.host
    regs, at = ptrace.registers()
    low, high = layout.text
    first_page, last_page = layout.pages
    flag = layout.flag
    sites = layout.open_sites | layout.close_sites
    #: By host thread: the number of the application's call that it is in, or _KERNEL.
    inside: dict[int, int] = {}
    while True:
        pid, status = os.waitpid(-1, ptrace.WALL)
        woken = clock()
        if status & 0xFF != 0x7F:
            inside.pop(pid, None)
            if pid == root:
                return status
            continue
        totals[_STOPS] += 1
        stop = status >> 8 & 0xFF
        signal = 0
        if stop == ptrace.SYSCALL_STOP:
            state = inside.pop(pid, None)
            if state is None:
                request(ptrace.GETREGS, pid, None, at)
                number, rip, gs = regs[ptrace.ORIG_RAX], regs[ptrace.RIP], regs[ptrace.GS_BASE]
                known = first_page <= gs < last_page and not gs & 0xFFF
                in_kernel = low <= rip < high and known and modes[flag + (gs - first_page) // 4] == 0
                if rip in sites:
                    allowed = number == _MPROTECT and _guard_call(regs, rip, layout)
                    totals[_GUARD] += 1
                    in_kernel = True
                elif in_kernel:
                    check = calls.get(number, _never)
                    allowed = check is None or check(regs)
                else:
                    allowed = True
                if log is not None:
                    log.call(pid, in_kernel or not redirect, number, regs)
                if not redirect:
                    inside[pid] = _KERNEL
                elif not allowed:
                    totals[_REFUSED] += 1
                    # An application can jump to the guard's calls: its own end. Any other call is the guest kernel's.
                    _refuse(pid if rip in sites else root, number, rip)
                elif in_kernel:
                    totals[_HOST] += 1
                    host[number] += 1
                    inside[pid] = _KERNEL
                else:
                    totals[_USER] += 1
                    user[number % CALLS] += 1
                    if request(ptrace.PEEKTEXT, pid, rip - 2, None) & 0xFFFF == _INT80:
                        # No interface of this guest: a general protection fault, which SIGSYS becomes there.
                        request(ptrace.POKEUSER, pid, 8 * ptrace.ORIG_RAX, _GETPID_I386)
                        inside[pid] = _INT80_CALL
                    else:
                        request(ptrace.POKEUSER, pid, 8 * ptrace.ORIG_RAX, _GETPID)
                        inside[pid] = number
            elif state == _KERNEL:
                if log is not None:
                    request(ptrace.GETREGS, pid, None, at)
                    log.result(pid, regs[ptrace.RAX])
            else:
                if state == _INT80_CALL:
                    signal = _SIGSYS
                else:
                    # The application's number again, and the redirection: the handler finds the registers in its frame.
                    request(ptrace.POKEUSER, pid, 8 * ptrace.RAX, state)
                    signal = _SIGUSR1
        elif status >> 16:
            totals[_EVENTS] += 1
        else:
            totals[_SIGNALS] += 1
            signal = stop
            if log is not None and pid != root:
                request(ptrace.GETREGS, pid, None, at)
                log.signal(pid, signal, not low <= regs[ptrace.RIP] < high)
        totals[_NS] += clock() - woken
        # Gone meanwhile (a SIGKILL): the next wait says so.
        request(ptrace.CONT if pid == root else ptrace.SYSCALL, pid, None, signal)


class EventLog:
    """One line a host operation, for ``lodger trace --host``."""

    def __init__(self, fd: int, names: dict[int, str]) -> None:
        self.fd = fd
        self.names = names
        self.start = time.perf_counter_ns()

    def _line(self, pid: int, mode: str, text: str) -> None:
        if self.fd < 0:
            return
        at = (time.perf_counter_ns() - self.start) / 1e3
        try:
            os.write(self.fd, f"{at:12.1f} µs  {pid:<8}{mode:<13} {text}\n".encode())
        except OSError as error:
            # The machine goes on without being written down. A reader that went away need not be told.
            self.fd = -1
            if error.errno != errno.EPIPE:
                print(f"the trace ends here: it cannot be written: {error.strerror}", file=sys.stderr, flush=True)

    def call(self, pid: int, in_kernel: bool, number: int, regs: Any) -> None:
        """A system call begins."""
        name = self.names.get(number, f"number {number}")
        if in_kernel:
            words = ", ".join(f"{regs[i]:#x}" for i in ptrace.ARGUMENTS[:4])
            self._line(pid, "guest kernel", f"host call {name}({words})")
        else:
            self._line(pid, "guest user", f"system call {name}: made harmless, redirected by SIGUSR1")

    def result(self, pid: int, value: int) -> None:
        """A host call has ended."""
        signed = value - (1 << 64) if value >> 63 else value
        self._line(pid, "guest kernel", f"  = {signed if -4096 < signed < 4096 else hex(value)}")

    def signal(self, pid: int, number: int, in_user: bool) -> None:
        """A signal is about to be delivered."""
        names = {4: "SIGILL", 5: "SIGTRAP", 7: "SIGBUS", 8: "SIGFPE", 10: "SIGUSR1", 11: "SIGSEGV", 14: "SIGALRM",
                 23: "SIGURG", 31: "SIGSYS"}  # fmt: skip
        self._line(pid, "guest user" if in_user else "guest kernel", f"signal {names.get(number, number)}")


def _never(_: Any) -> bool:
    return False


def _guard_call(regs: Any, rip: int, layout: Layout) -> bool:
    """The mprotect guard's calls come from where applications can jump to: only what is written there passes."""
    base, size = layout.kernel
    protection = 7 if rip in layout.open_sites else 0
    return (regs[ptrace.RDI], regs[ptrace.RSI], regs[ptrace.RDX]) == (base, size, protection)


def _refuse(pid: int, number: int, rip: int) -> None:
    print(f"monitor: host call {number} from {rip:#x} is not on the guest kernel's list", file=sys.stderr, flush=True)
    os.kill(pid, _SIGKILL)


def die_with(parent: int) -> bool:
    """End this process, and with it all that it traces, when ``parent`` ends; False when that has happened.

    Not by the parent-death signal: that comes when the *thread* ends that made this process.
    """
    try:
        end = os.pidfd_open(parent)
    except OSError:
        return False

    def watch() -> None:
        poller = select.poll()
        poller.register(end, select.POLLIN)
        poller.poll()
        os.kill(os.getpid(), _SIGKILL)

    _thread.start_new_thread(watch, ())
    return os.getppid() == parent


def main() -> int:
    """Start the guest kernel and trace it; the descriptors are the ones named above."""
    if not die_with(os.getppid()):
        return 1
    layout, calls = Layout(ask_kernel("layout")), checks(ask_kernel("hostcalls"))
    modes = memoryview(mmap.mmap(MEMORY, layout.kernel[1], prot=mmap.PROT_READ)).cast("I")
    counters = Counters(COUNTERS)
    for fd in (MEMORY, COUNTERS):
        os.close(fd)
    os.set_inheritable(READY, False)
    if TOGETHER in os.environ:
        ptrace.share_processor()
    if LOG in os.environ:
        os.set_inheritable(EVENTS, False)
    child = spawn(kernel_path(), ["lodger-kernel"], CONTROL, 2)
    os.close(CONTROL)
    options = ptrace.TRACESYSGOOD | ptrace.TRACEFORK | ptrace.TRACEVFORK | ptrace.TRACECLONE | ptrace.EXITKILL
    try:
        ptrace.seize(child.pid, options)
    except HostError as error:
        child.kill()
        os.write(READY, str(error).encode())
        return 1
    os.write(READY, b"ready")
    os.close(READY)
    log = None
    if LOG in os.environ:
        log = EventLog(EVENTS, call_names())
    status = trace(child.pid, layout, calls, modes, counters, os.environ.get(MODE) != WATCH, log)
    code = os.waitstatus_to_exitcode(status)
    if code == -_SIGKILL:
        os.kill(os.getpid(), _SIGKILL)  # the VMM knows the machine by us: it is to see the same end
    return code & 0xFF


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LodgerError as error:
        print(f"monitor: {error}", file=sys.stderr)
        sys.exit(125)
