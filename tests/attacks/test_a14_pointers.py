"""A14: pointers into the guest kernel's memory in every call; random calls."""

import pytest


@pytest.mark.matrix
def test_pointer_table(attack):
    attack("a14_pointers", timeout=300)


@pytest.mark.parametrize("seed", [0, 10, 20])
def test_noise(attack, seed):
    attack("a14_noise", str(seed), "10", timeout=120, memory="128M")
