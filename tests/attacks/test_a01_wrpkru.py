"""A1, A2: opening the guard."""


def test_guard_stays_closed(attack, keys):
    attack("a01_wrpkru", guard="pkey", status=None)
