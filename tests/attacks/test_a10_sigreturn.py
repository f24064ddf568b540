"""A10, A13: forged signal frames, single-stepping through the gate."""


def test_forged_frames(attack, guarded):
    attack("a10_sigreturn", "guarded" if guarded else "open", timeout=120)


def test_forged_frames_under_the_guard(attack, keys):
    attack("a10_sigreturn", "guarded", **keys, timeout=120)
