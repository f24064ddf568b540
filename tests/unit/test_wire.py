import random

import pytest

from lodger.boot import wire

SAMPLES = {
    "I": 0xDEADBEEF,
    "Q": 1 << 63,
    "q": -5,
    "B": b"\xff text",
    "L": [b"a", b"", b"c" * 300],
}


@pytest.mark.parametrize("kind", wire.FIELDS, ids=wire.NAMES.get)
def test_round_trip(kind):
    values = [SAMPLES[letter] for letter in wire.FIELDS[kind]]
    message = wire.decode(wire.encode(kind, 77, *values))
    assert (message.kind, message.id, message.fields) == (kind, 77, values)


@pytest.mark.parametrize("kind", wire.FIELDS, ids=wire.NAMES.get)
def test_every_truncation_and_any_surplus_is_refused(kind):
    packet = wire.encode(kind, 1, *[SAMPLES[letter] for letter in wire.FIELDS[kind]])
    for length in range(len(packet)):
        with pytest.raises(wire.WireError):
            wire.decode(packet[:length])
    with pytest.raises(wire.WireError, match="longer than its fields"):
        wire.decode(packet + b"\0")


def test_boot_is_laid_out_as_in_the_contract():
    packet = wire.encode(wire.BOOT, 9, 1, 2, 3, 4, "hn", *range(5, 16), 17, b"r" * 16)
    assert packet[:8] == b"\x01\0\0\0\x09\0\0\0"
    assert packet[8:28] == b"\x01\0\0\0" + b"\x02" + b"\0" * 7 + b"\x03\0\0\0\x04\0\0\0"
    assert packet[28:34] == b"\x02\0\0\0hn"
    assert len(packet) == 34 + 11 * 4 + 8 + 4 + 16


def test_hostile_counts_cost_nothing():
    head = wire.encode(wire.SPAWN, 1, [], [], b"", 0, 0, b"", b"", 0, 0, 0, 0, 0, 0, 0, 0)[:8]
    with pytest.raises(wire.WireError, match="list items"):
        wire.decode(head + b"\xff\xff\xff\xff")


def test_unknown_and_too_large():
    with pytest.raises(wire.WireError, match="unknown message kind 999"):
        wire.decode((999).to_bytes(4, "little") + b"\0" * 4)
    with pytest.raises(wire.WireError, match="more than"):
        wire.decode(b"\0" * (wire.MAX_PACKET + 1))
    with pytest.raises(wire.WireError, match="larger than"):
        wire.encode(wire.PANIC, 0, b"x" * wire.MAX_PACKET)


def test_noise_never_raises_anything_else():
    noise = random.Random(4)
    for _ in range(20_000):
        kind = noise.choice([*wire.FIELDS, 0, 50])
        packet = kind.to_bytes(4, "little") + noise.randbytes(noise.randrange(60))
        try:
            wire.decode(packet)
        except wire.WireError:
            pass
