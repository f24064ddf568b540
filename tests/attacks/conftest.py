"""What the attacks share: a VM with the attack inside, and the proof that the VM lived on."""

import os
import pathlib

import pytest

import lodger
from machine.conftest import kernel  # noqa: F401  (the fixture)
from programs import CACHE, build

HERE = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/attacks" in item.nodeid:
            item.add_marker(pytest.mark.machine)


@pytest.fixture
def attack(kernel):  # noqa: F811
    """Builds NAME.c, runs it in a VM, checks that it reports no hole and that the VM goes on."""
    machines = []

    def run(name, *words, status=0, alive=True, timeout=60, **options):
        program = build(HERE / f"{name}.c")
        options.setdefault("memory", "512M")
        options.setdefault("pids", 200)
        volumes = {str(CACHE): "/attacks:ro", **options.pop("volumes", {})}
        vm = lodger.VM(volumes=volumes, **options)
        vm.__enter__()
        machines.append(vm)
        done = vm.run([f"/attacks/{program.name}", *words], timeout=timeout)
        text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        assert done.fault != "guest_panic", text
        assert "HOLE" not in text, text
        if status is not None:
            assert done.returncode == status, (done.returncode, text)
        if alive:
            after = vm.run(["sh", "-c", "echo alive; ls / | wc -l"], timeout=timeout)
            assert after.returncode == 0 and after.stdout.startswith(b"alive\n"), after
        return done

    yield run
    for vm in machines:
        vm.__exit__(None, None, None)


@pytest.fixture
def guarded():
    """True where VMs of these tests have a guard."""
    from lodger.host.features import has_pkeys

    return has_pkeys() and os.environ.get("LODGER_GUARD") != "none"


@pytest.fixture
def keys(guarded):
    """Attacks on the guard itself mean something only where there is one."""
    if not guarded:
        pytest.skip("no memory protection keys on this host (or LODGER_GUARD=none): no guard to attack")
