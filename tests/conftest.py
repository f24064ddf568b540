"""What all tests share: the repository's root and the `dev` door."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    return ROOT


@pytest.fixture(autouse=True)
def no_descriptor_leaks(request):
    """A test leaves as many open descriptors as it found."""
    if "leaks_ok" in request.keywords:
        yield
        return
    import gc

    before = set(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    after = set(os.listdir("/proc/self/fd"))
    assert len(after) <= len(before) + 1, f"descriptors left open: {after - before}"
