"""A8: int 0x80, sysenter, x32, vsyscall, system calls from anywhere."""

import pytest


@pytest.mark.matrix
def test_no_other_way_in(attack):
    attack("a08_entry")
