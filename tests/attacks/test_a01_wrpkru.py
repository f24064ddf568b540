"""A1, A2: opening the guard."""

#: Its text is where the jump table is in other address spaces.
OVER_TABLE = ["-no-pie", "-Wl,-Ttext-segment=0x50f0000"]


def test_guard_stays_closed(attack, keys):
    attack("a01_wrpkru", **keys, timeout=120)


def test_guard_stays_closed_over_the_table(attack, keys):
    attack("a01_wrpkru", **keys, flags=OVER_TABLE, timeout=120)
