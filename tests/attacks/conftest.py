"""What the attacks share: a VM with the attack inside, and the proof that the VM lived on."""

import os
import pathlib

import pytest

import lodger
from machine.conftest import kernel  # noqa: F401  (the fixture)
from machines import BY_NAME
from programs import CACHE, build

HERE = pathlib.Path(__file__).parent

#: What has a part in the `pkey` guard differs between these: who makes pages executable, who takes traps.
PKEY_MACHINES = ["default", "+multi", "+pkey", "remap", "process"]


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/attacks" in item.nodeid:
            item.add_marker(pytest.mark.machine)


@pytest.fixture
def attack(kernel):  # noqa: F811
    """Builds NAME.c, runs it in a VM, checks that it reports no hole and that the VM goes on."""
    machines = []

    def run(name, *words, status=0, alive=True, timeout=60, flags=(), **options):
        program = build(HERE / f"{name}.c", *flags)
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


@pytest.fixture(params=PKEY_MACHINES)
def keys(request, guarded):
    """Options of a machine with the `pkey` guard. Attacks on the guard itself mean something only where there is one."""
    if not guarded:
        pytest.skip("no memory protection keys on this host (or LODGER_GUARD=none): no guard to attack")
    return {**BY_NAME[request.param].options, "guard": "pkey"}


@pytest.fixture
def vm_says(kernel):  # noqa: F811
    """What an attack's program says in a VM that it may take over."""

    def run(name, *words, **options):
        program = build(HERE / f"{name}.c")
        with lodger.VM(memory="256M", volumes={str(CACHE): "/attacks:ro"}, **options) as vm:
            return vm.run([f"/attacks/{program.name}", *words], timeout=60).stdout

    return run
