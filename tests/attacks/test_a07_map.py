"""A7: mapping calls over the guest kernel's region, the jump table and the RAM window."""


def test_every_call_refuses(attack):
    attack("a07_map")
