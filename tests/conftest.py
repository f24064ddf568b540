"""What all tests share: the repository's root and the `dev` door."""

import os
import pathlib
import signal
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from machines import BY_NAME, MATRIX, NEEDS, SWITCHES, Kind, current  # noqa: E402

_left_out = pytest.StashKey[dict[tuple[str, str], int]]()


def pytest_addoption(parser):
    parser.addoption(
        "--machine", choices=list(BY_NAME), help="run all tests on this kind of machine (tests/machines.py)"
    )


def pytest_configure(config):
    # A background job is started with these ignored, and its children would be, too: not what the tests are about.
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[_left_out] = {}
    name = config.getoption("--machine")
    if name:
        become(BY_NAME[name])


def become(kind: Kind) -> None:
    """VMs that are made without options are of this kind from now on. LODGER_GUARD stays where the kind leaves it open."""
    for name in SWITCHES:
        if name != "guard":
            os.environ.pop(f"LODGER_{name.upper()}", None)
    os.environ.update(kind.environment())


def pytest_generate_tests(metafunc):
    asked = metafunc.config.getoption("--machine") or os.environ.get("LODGER_MACHINE")
    if not asked and metafunc.definition.get_closest_marker("matrix"):
        metafunc.parametrize("machine_kind", MATRIX, ids=lambda kind: kind.name, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def machine_kind(request):
    """The kind of machine that the tests run on; for tests marked ``matrix`` one after the other."""
    kind = getattr(request, "param", None)
    if kind is None:
        yield current()
        return
    before = {name: value for name, value in os.environ.items() if name.startswith("LODGER_")}
    become(kind)
    yield kind
    for name in SWITCHES:
        os.environ.pop(f"LODGER_{name.upper()}", None)
    os.environ.update(before)


def expectations() -> dict[str, str]:
    """Known failures by test id, with their exact symptom: tests/expectations."""
    lines = (ROOT / "tests" / "expectations").read_text().splitlines()
    pairs = (line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))
    return dict(pairs)


def pytest_collection_modifyitems(config, items):
    leave_out(config, items)
    # A known failure must fail: a pass that nobody expected breaks the build, so the list stays true.
    known = expectations()
    for item in items:
        if item.nodeid in known:
            item.add_marker(pytest.mark.xfail(reason=known[item.nodeid], strict=True))


def leave_out(config, items):
    """Deselects tests that need what their machine has not."""
    everywhere, gone = current(), []
    for item in items:
        call = getattr(item, "callspec", None)
        params = call.params if call else {}
        kind = next((value for value in params.values() if isinstance(value, Kind)), everywhere)
        lacking = next((need for need in NEEDS if need in kind.lacks and item.get_closest_marker(need)), None)
        if lacking:
            gone.append(item)
            reasons = config.stash[_left_out]
            reasons[kind.name, lacking] = reasons.get((kind.name, lacking), 0) + 1
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


def pytest_terminal_summary(terminalreporter, config):
    for (kind, need), count in sorted(config.stash[_left_out].items()):
        terminalreporter.write_line(f"{count} not run on machine {kind}, which lacks {need} ({NEEDS[need]})")


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
