"""A3, A4, A5, A6: getting an instruction that opens the guard executed, or its pages mistaken."""


def test_xrstor(attack, keys):
    attack("a03_xrstor", **keys)


def test_gs(attack, keys):
    attack("a04_gs", **keys, timeout=120)


def test_aliases(attack, keys):
    attack("a05_aliases", **keys)


def test_race(attack, keys):
    attack("a06_race", **keys, timeout=120)
