"""Lodger inside what others put around it: a container's system call filter that does not know newer calls."""

import errno

import pytest

from machine.sandbox import lodger_under

PKEY, CLONE3, CLOSE_RANGE, OPENAT2, FACCESSAT2 = [329, 330, 331], [435], [436], [437], [439]
EPOLL_PWAIT2, LANDLOCK, MEMFD, PIDFD_OPEN = [441], [444, 445, 446], [319], [434]


def lodger_without(calls, *words):
    return lodger_under([f"{call}:{errno.ENOSYS}" for call in calls], *words)


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
