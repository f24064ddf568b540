"""Linux's own selftests: docs/reference/kselftest.md is complete, and a sample of it is still true."""

import re
import subprocess

import pytest

import lodger
from programs import CACHE, SOURCE_ARCHIVE, SOURCE_PACKAGE, build, can_install, selftests

# Short ones that need nothing but the C library.
SAMPLE = [
    "timers/posix_timers",
    "futex/functional/futex_requeue",
    "pidfd/pidfd_wait",
    "exec/null-argv",
    "sigaltstack/sas",
    "core/close_range_test",
]


@pytest.fixture(scope="module")
def table(root):
    rows = re.findall(
        r"^\| (\S+/\S+) \| (\S+) \| (\S+) \| (.*) \|$", (root / "docs/reference/kselftest.md").read_text(), re.M
    )
    return {name: (native, guest, reason.strip()) for name, native, guest, reason in rows}


def test_every_difference_has_its_reason(table):
    assert len(table) > 50
    assert not [n for n, (native, guest, reason) in table.items() if native != guest and (not reason or "**" in reason)]


@pytest.fixture(scope="module")
def family():
    """The directory of the selftests. Its absence is a failure wherever ./dev test can install the package."""
    found = selftests()
    if not found:
        say = pytest.fail if can_install(SOURCE_PACKAGE) else pytest.skip
        say(f"{SOURCE_ARCHIVE} is missing: as root on Debian 12, apt install {SOURCE_PACKAGE} (./dev test does)")
    return found


def first_that_passes(run):
    """Of three: some of them give their threads 10 ms to get somewhere, which a busy machine does not keep."""
    for _ in range(3):
        done = run()
        if done.returncode == 0:
            break
    return done


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
def test_sample(kernel, table, family, name):
    flags = ["-D_GNU_SOURCE", f"-I{family}", f"-I{family}/futex/include"]
    program = build(family / f"{name}.c", *flags)
    here = first_that_passes(
        lambda: subprocess.run([program], cwd="/tmp", capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    )
    assert here.returncode == 0, f"a wrong sample: the host itself fails: {here.stdout}"
    with lodger.VM(volumes={str(CACHE): "/k:ro"}, memory="512M") as vm:
        done = first_that_passes(lambda: vm.run([f"/k/{program.name}"], timeout=60, cwd="/tmp"))
    assert (done.returncode, table[name][1]) == (0, "pass"), done
