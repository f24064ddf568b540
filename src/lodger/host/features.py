"""What this host offers: one probe a feature, each with what follows and what to do."""

from __future__ import annotations

import errno
import os

from lodger._record import record
from lodger.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OLDEST_LINUX = (5, 15)
OLDEST_PKEY_LINUX = (6, 12)


@record(frozen=True)
class Feature:
    """One line of ``lodger doctor``."""

    name: str
    present: bool
    needed: bool
    detail: str
    follows: str
    """what it means for the VM that it is there, or that it is not"""
    advice: str
    """what to do when it is missing; empty when there is nothing to do"""


def cpu_flags() -> frozenset[str]:
    """Flags of the first processor in /proc/cpuinfo; empty when it cannot be read."""
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            text = file.read(8192)
    except OSError:
        return frozenset()
    start = text.find(b"\nflags")
    if start < 0:
        return frozenset()
    return frozenset(text[start + 1 :].split(b"\n", 1)[0].decode("ascii", "replace").split()[2:])


def has_pkeys() -> bool:
    """Memory protection keys that the guard can use: in the processor (pku), switched on by the host (ospke), on a host
    that delivers signals onto a stack under a key (Linux 6.12)."""
    return {"pku", "ospke"} <= cpu_flags() and linux_version() >= OLDEST_PKEY_LINUX


def has_fsgsbase() -> bool:
    """User-mode access to the FS and GS bases."""
    return "fsgsbase" in cpu_flags()


def has_user_dispatch() -> bool:
    """Syscall user dispatch (PR_SET_SYSCALL_USER_DISPATCH, Linux 5.11). Asks by switching off what is not on."""
    from lodger.host.libc import prctl

    try:
        prctl("syscall user dispatch", 59)
    except HostError:
        return False
    return True


def has_seccomp() -> bool:
    """Seccomp filters: EFAULT for a null filter means that they are there (seccomp(2))."""
    from lodger.host.libc import in_child

    return in_child(22, 2, 0) == 14


def linux_version() -> tuple[int, int]:
    """(major, minor) of the host's Linux."""
    numbers = os.uname().release.split("-")[0].split(".")
    return int(numbers[0]), int("".join(c for c in numbers[1] if c.isdigit()) or 0)


def _memfd() -> bool:
    try:
        os.close(os.memfd_create("probe", os.MFD_CLOEXEC))
    except OSError:
        return False
    return True


def _pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _openat2() -> bool:
    # A container's filter may not know it. EINVAL for an open_how of no size means that it is there (openat2(2)).
    from lodger.host.libc import syscall

    try:
        syscall("openat2", 437, -100, b".", None, 0)
    except HostError as error:
        return error.errno == errno.EINVAL
    return False


def _low_address() -> bool:
    # Python's own image may not be there either: nothing of a normal process lives at 1.75 GiB.
    try:
        with open("/proc/sys/vm/mmap_min_addr", encoding="ascii") as file:
            return int(file.read()) <= 0x50F0000
    except (OSError, ValueError):
        return True


def _probe(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except Exception:
        return False


def features() -> list[Feature]:
    """Probe everything. Takes some milliseconds; never raises."""
    from lodger.host import landlock

    version = linux_version()
    abi = landlock.abi()
    pkeys = _probe(has_pkeys)
    dispatch = _probe(has_user_dispatch)
    seccomp = _probe(has_seccomp)
    return [
        Feature(
            "linux", version >= OLDEST_LINUX, True, os.uname().release,
            "the guest kernel can rely on what it uses of the host", "run Linux 5.15 or newer",
        ),
        Feature(
            "x86-64", os.uname().machine == "x86_64", True, os.uname().machine,
            "guest programs run directly on the processor", "use an x86-64 machine",
        ),
        Feature(
            "memory-keys", pkeys, False,
            "pku and ospke" if pkeys else "no pku/ospke in /proc/cpuinfo, or Linux older than 6.12",
            "guest programs cannot touch the guest kernel (guard: pkey)" if pkeys else
            "guard is 'none': a hostile guest program can take over its own guest kernel; "
            "guest -> host isolation (seccomp, Landlock) is not weakened by that",
            "" if pkeys else "use a processor with PKU: Intel since Skylake-SP, AMD since Zen 3 "
            "(under a hypervisor it must be passed through), with Linux 6.12 or newer",
        ),
        Feature(
            "syscall-dispatch", dispatch, False,
            "PR_SET_SYSCALL_USER_DISPATCH" if dispatch else "not offered: the seccomp filter diverts instead",
            "system calls that were not patched are diverted inside the thread" if dispatch else
            "guard 'pkey' cannot hold (auto takes 'none'), and the guest kernel's own host calls take longer",
            "" if dispatch else "run Linux 5.11 or newer, or let the sandbox that this runs in allow the prctl",
        ),
        Feature(
            "seccomp", seccomp, True, "seccomp filter mode",
            "the guest kernel gives up every host call that is not on its list",
            "use a host kernel with CONFIG_SECCOMP_FILTER",
        ),
        Feature(
            "landlock", abi > 0, False, f"ABI {abi}" if abi else "not offered",
            "no file outside the given directories can be opened" if abi else
            "host files are kept away by beneath-only opens and seccomp alone",
            "" if abi >= 6 else "a newer kernel with landlock in the lsm= boot option adds: "
            "network (ABI 4), signal and abstract-socket limits (ABI 6)",
        ),
        Feature(
            "fsgsbase", _probe(has_fsgsbase), True, "FSGSBASE instructions",
            "a thread's kernel data is found without a host call", "use a newer processor or host kernel",
        ),
        Feature(
            "memfd", _probe(_memfd), True, "memfd_create", "the VM's memory is a file", "allow memfd_create(2)",
        ),
        Feature(
            "pidfd", _probe(_pidfd), True, "pidfd_open", "guest-machine processes can be ended safely",
            "run Linux 5.3 or newer",
        ),
        Feature(
            "openat2", _probe(_openat2), True, "openat2", "host directories are opened beneath their roots only",
            "run Linux 5.6 or newer, or let the sandbox that this runs in allow openat2(2)",
        ),
        Feature(
            "low-addresses", _probe(_low_address), True, "vm.mmap_min_addr",
            "the jump table fits at its fixed address", "set vm.mmap_min_addr to 65536",
        ),
    ]  # fmt: skip
