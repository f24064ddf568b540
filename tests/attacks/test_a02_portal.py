"""A2, A4, A11 under the mprotect guard: what lies open of the guest kernel there, and what can be done with it."""

import pytest

MACHINES = ["classic", "+host"]
ATTACKS = {"memory": ["memory"], "sites": ["sites"], "frames": ["frames", "23"], "bases": ["bases"]}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ATTACKS)
def test_portal_opens_nothing(attack, name, machine):
    attack("a02_portal", *ATTACKS[name], machine=machine, timeout=100)


def test_the_attack_sees_an_open_kernel(vm_says):
    """The control: without a guard the same program reads and writes guest kernel memory, and says so."""
    said = vm_says("a02_portal", "memory", machine="+pkey", guard="none")
    assert b"0x72000000 can be read" in said and b"0x72000000 can be written" in said
