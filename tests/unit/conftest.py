"""Unit tests run on the fake guest kernel: no VM, any host."""

import pathlib
import shutil
import sys

import pytest

from machines import SWITCHES

FAKE = pathlib.Path(__file__).parent.parent / "fake_kernel.py"


def make_fake(directory: pathlib.Path, how: str = "") -> pathlib.Path:
    """An executable of the fake; ``how`` it misbehaves is part of its name."""
    path = directory / ("fake" + (f"--{how}" if how else ""))
    lines = FAKE.read_text().replace(
        'os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")',
        repr(str(FAKE.parent.parent / "src")),
    )
    path.write_text(f"#!{sys.executable} -S\n" + lines.split("\n", 1)[1])
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def no_machine(monkeypatch):
    """What the environment says of machines is for the other tests."""
    for name in SWITCHES:
        monkeypatch.delenv(f"LODGER_{name.upper()}", raising=False)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """The fake is the guest kernel; call it to make it misbehave."""

    def use(how: str = "") -> str:
        path = make_fake(tmp_path, how)
        monkeypatch.setenv("LODGER_KERNEL", str(path))
        return str(path)

    use()
    return use


assert shutil.which("sh")
