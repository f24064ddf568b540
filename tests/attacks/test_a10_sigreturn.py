"""A10, A13: forged signal frames, single-stepping through the gate."""


def test_forged_frames(attack, guarded):
    attack("a10_sigreturn", "guarded" if guarded else "open", timeout=120)
