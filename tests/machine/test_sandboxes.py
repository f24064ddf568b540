"""Lodger inside what others put around it: a container's system call filter that does not know newer calls."""

import subprocess
import sys

import pytest

# seccomp(2): ENOSYS for the calls of argv[1], all others pass. Then argv[2:] as Python's arguments.
FILTER = """
import ctypes, os, struct, sys
def insn(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
numbers = [int(n) for n in sys.argv[1].split(",")]
program = insn(0x20, 0, 0, 0)
for number in numbers:
    program += insn(0x15, 0, 1, number) + insn(0x06, 0, 0, 0x00050000 | 38)
program += insn(0x06, 0, 0, 0x7fff0000)
libc = ctypes.CDLL(None, use_errno=True)
held = ctypes.create_string_buffer(program)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held)), 0, 0) == 0
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
PKEY, CLONE3, CLOSE_RANGE, OPENAT2, FACCESSAT2 = [329, 330, 331], [435], [436], [437], [439]
EPOLL_PWAIT2, LANDLOCK, MEMFD, PIDFD_OPEN = [441], [444, 445, 446], [319], [434]


def lodger_without(calls, *words):
    argv = [sys.executable, "-c", FILTER, ",".join(map(str, calls)), "-m", "lodger", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def test_without_what_older_filters_do_not_know(kernel):
    """Docker's profile of 2020, but for what doctor says is needed."""
    unknown = [*PKEY, *CLONE3, *CLOSE_RANGE, *FACCESSAT2, *EPOLL_PWAIT2, *LANDLOCK]
    done = lodger_without(unknown, "run", "--guard", "none", "--", "sh", "-c", "ls /usr | wc -l | tr -d 0-9; uname")
    assert (done.returncode, done.stdout, done.stderr) == (0, "\nLinux\n", "")
    done = lodger_without(unknown, "doctor")
    assert done.returncode == 0 and "A VM can run here" in done.stdout, done


@pytest.mark.parametrize(("name", "calls"), [("openat2", OPENAT2), ("pidfd", PIDFD_OPEN), ("memfd", MEMFD)])
def test_doctor_sees_what_is_needed(kernel, name, calls):
    done = lodger_without(calls, "doctor")
    assert done.returncode == 1 and f"A VM cannot run here: {name}" in done.stdout, done
    done = lodger_without(calls, "run", "--", "true")
    assert done.returncode in (125, 126) and done.stdout == "" and "Traceback" not in done.stderr, done
