"""End-to-end tests: the real guest kernel, and Linux as the oracle."""

import os
import shutil
import subprocess
import sys

import pytest

import lodger

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = float(os.environ.get("LODGER_TEST_SECONDS", "180"))


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/machine" in item.nodeid:
            item.add_marker(pytest.mark.machine)


@pytest.fixture(scope="session", autouse=True)
def kernel(root, machine_kind):
    """The guest kernel, built by ./dev. Its absence is a failure, never a skip."""
    if "LODGER_KERNEL" in os.environ:
        return os.environ["LODGER_KERNEL"]
    done = subprocess.run([root / "dev", "build"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.exit(f"the guest kernel does not build:\n{done.stdout}{done.stderr}", 3)
    return str(root / "src/lodger/_kernel/lodger-kernel")


@pytest.fixture(scope="session")
def shared(kernel):
    """One VM for the tests that leave no trace in it."""
    with lodger.VM(memory="1G") as vm:
        yield vm


@pytest.fixture
def vm(kernel):
    """A fresh VM."""
    with lodger.VM(memory="1G") as machine:
        yield machine


@pytest.fixture
def oracle(shared, tmp_path):
    """Run on the host, then in the guest; both must say the same. Gives back the host's result."""

    def compare(argv, input=b"", vm=None, same_stderr=True, status=None, timeout=SECONDS):
        program = argv[0]
        assert shutil.which(program, path=PATH), f"{program} is missing on the host: see tests/packages.txt"
        scratch = tmp_path / "host"
        scratch.mkdir(exist_ok=True)
        variables = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
        host = subprocess.run(argv, input=input, capture_output=True, cwd="/tmp", env=variables, timeout=timeout)
        if status is not None:
            assert host.returncode == status, f"a wrong test: the host itself fails: {host}"
        guest = (vm or shared).run(argv, input=input, cwd="/tmp", env=variables, timeout=timeout)
        assert guest.fault is None, f"fault {guest.fault}: {guest}"
        assert guest.returncode == host.returncode, guest.stderr[-2000:]
        assert guest.stdout == host.stdout
        if same_stderr:
            assert guest.stderr == host.stderr
        return host

    return compare


@pytest.fixture
def cli(kernel):
    """`lodger ...` as a user types it."""

    def call(*words, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("timeout", SECONDS)
        if "input" in options:
            del options["stdin"]
        return subprocess.run([sys.executable, "-m", "lodger", *words], capture_output=True, **options)

    return call
