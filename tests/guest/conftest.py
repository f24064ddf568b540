"""Guest programs: each runs on the bare host first, then in every kind of machine; the outputs must be the same."""

import difflib
import os
import pathlib
import subprocess
import tempfile

import pytest

import lodger
from machine.conftest import SECONDS, kernel  # noqa: F401  (the fixture)
from machines import MATRIX, NEEDS, current
from programs import CACHE, build

HERE = pathlib.Path(__file__).parent
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/guest" in item.nodeid:
            item.add_marker(pytest.mark.machine)


def needs(source):
    """The markers that a program asks for."""
    lines = [line for line in source.read_text().splitlines() if line.startswith("// needs: ")]
    words = [word for line in lines for word in line.removeprefix("// needs: ").split()]
    assert set(words) <= NEEDS.keys(), f"{source.name} needs {words}: tests/machines.py knows {', '.join(NEEDS)}"
    return [getattr(pytest.mark, word) for word in words]


def pytest_generate_tests(metafunc):
    # The machine is the outer parameter: its VM lives as long as its tests.
    if "kind" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--machine") or os.environ.get("LODGER_MACHINE")
        kinds = [current()] if asked else MATRIX
        metafunc.parametrize("kind", kinds, ids=lambda k: k.name, scope="session")
    if "program" in metafunc.fixturenames:
        sources = sorted(HERE.glob("*.c"))
        metafunc.parametrize("program", [pytest.param(s, id=s.stem, marks=needs(s)) for s in sources])


@pytest.fixture(scope="session")
def machine(kernel, kind):  # noqa: F811
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with lodger.VM(memory="1G", volumes={str(CACHE): "/programs:ro"}, **kind.options) as vm:
        yield vm


@pytest.fixture(scope="session")
def natively():
    """What the bare host says, asked once a session. Its scratch directory is on tmpfs, as /tmp is in the guest."""
    known = {}

    def run(source):
        if source not in known:
            with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
                done = subprocess.run(
                    [build(source)],
                    capture_output=True,
                    cwd=scratch,
                    env=ENVIRONMENT,
                    timeout=SECONDS,
                    stdin=subprocess.DEVNULL,
                )
            known[source] = (
                done.returncode,
                done.stdout.decode(errors="replace"),
                done.stderr.decode(errors="replace"),
            )
        return known[source]

    return run


@pytest.fixture
def same(request, natively, machine, kind):
    """Compares one program; the lines that differ are the message."""

    def check(source):
        lacking = [n for n in kind.lacks if request.node.get_closest_marker(n)]
        if lacking:
            pytest.skip(f"machine {kind.name} has no {', '.join(lacking)}")
        status, out, err = natively(source)
        assert status == 0, f"a wrong test: the host itself fails: {out}{err}"
        program = build(source)
        script = 'd=$(mktemp -d /tmp/guest.XXXXXX) && cd $d && "$0"; s=$?; cd /; rm -rf $d; exit $s'
        done = machine.run(["sh", "-c", script, f"/programs/{program.name}"], env=ENVIRONMENT, timeout=SECONDS)
        assert done.fault in (None, "signal"), f"fault {done.fault}: {done}"
        said = done.stdout.decode(errors="replace")
        lines = difflib.unified_diff(
            out.splitlines(), said.splitlines(), "Linux", f"guest ({kind.name})", lineterm="", n=1
        )
        assert said == out, "\n".join(["", *lines, done.stderr.decode(errors="replace")])
        assert done.returncode == 0, done

    return check
