"""H1, H3, H4: a guest kernel that has fallen meets the filter, Landlock and the host's own rules.

Without a guard an application can write the byte that sends its system calls to the host, which makes it the hostile guest
kernel of the threat model.
"""

import os
import signal
import subprocess

import pytest

import lodger
from lodger.host import landlock
from programs import CACHE, build

# Files, and signals to the host, are Landlock's to refuse: a host without it (or with an older one) relies on the rest.
BY_LANDLOCK = {"openat2", "openat2 /proc", "openat2 memory", "openat2 host root", "openat2 device"}


@pytest.fixture(scope="module")
def h01():
    from pathlib import Path

    return build(Path(__file__).parent / "h01_host.c")


@pytest.mark.parametrize("number", range(4))
def test_the_way_to_the_host_is_open(kernel, h01, number):
    """The control: what the filter allows does arrive at the host by the way that the attempts below take."""
    with lodger.VM(volumes={str(CACHE): "/attacks:ro"}, memory="64M", machine="default", guard="none") as vm:
        done = vm.run([f"/attacks/{h01.name}", "control", str(number), str(CACHE / h01.name)], timeout=20)
        assert done.returncode == 0, done


@pytest.mark.parametrize("number", range(70))
def test_host_call(kernel, h01, tmp_path, number):
    if number >= int(subprocess.run([h01], capture_output=True, check=True).stdout):
        pytest.fail("the table is shorter than this test thinks")
    secret = tmp_path / "secret"
    secret.write_text("the host's own\n")
    with subprocess.Popen(["sleep", "60"]) as victim:
        try:
            with lodger.VM(volumes={str(CACHE): "/attacks:ro"}, memory="64M", machine="default", guard="none") as vm:
                done = vm.run([f"/attacks/{h01.name}", str(number), str(secret), str(victim.pid)])
                name = done.stdout.decode(errors="replace").partition("\n")[0]
                if name in BY_LANDLOCK and not landlock.abi():
                    pytest.skip("this host has no Landlock: host files are confined by descriptors alone")
                if name == "tgkill" and landlock.abi() < 6:
                    pytest.skip("this host's Landlock has no signal scope")
                assert b"HOLE" not in done.stdout, done.stdout
            assert victim.poll() is None, f"{name}: a host process was killed"
            assert secret.read_text() == "the host's own\n"
            assert not os.path.lexists("/tmp/stolen")
        finally:
            victim.send_signal(signal.SIGKILL)
