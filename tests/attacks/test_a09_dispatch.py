"""A9: the selector and the dispatch that it steers."""


def test_dispatch_stays_armed(attack):
    attack("a09_dispatch")


def test_selector_cannot_be_written(attack, keys):
    attack("a09_selector", **keys)
