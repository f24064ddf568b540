"""A15 to A17: changed arguments, 32-bit doors, and the exhaustion of what the guest kernel counts."""

import pytest

KINDS = [
    "forks",
    "threads",
    "fds",
    "pipes",
    pytest.param("sockets", marks=pytest.mark.heavy),
    "flight",
    "cycle",
    "epolls",
    "paths",
    "maps",
    "timers",
    "sigs",
    pytest.param("files", marks=pytest.mark.heavy),
    "xattrs",
    "locks",
    "memfds",
    "args",
]


def test_odd_doors(attack):
    attack("a16_odd")


@pytest.mark.parametrize("kind", KINDS)
def test_exhaust(attack, kind):
    attack("a16_odd", kind, timeout=120, memory="256M")
