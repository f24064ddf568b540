"""The host (its OOM killer, its administrator) ends a host process of a VM: one guest process dies at most."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import lodger


@pytest.fixture
def vm(kernel):
    # Where the guest kernel schedules, all of a VM is one host process (tests/machine has it in the matrix).
    with lodger.VM(machine="default") as machine:
        yield machine


def host_processes(vm):
    supervisor = vm._machine.channel.connection.child.pid
    return [int(pid) for pid in pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()]


def until(condition):
    deadline = time.monotonic() + 20
    while not (value := condition()):
        assert time.monotonic() < deadline, "does not happen"
        time.sleep(0.01)
    return value


def test_a_running_program(vm):
    command = vm.popen(["sh", "-c", "echo up; while :; do :; done"], stdout=lodger.PIPE)
    assert command.stdout.readline() == b"up\n"
    time.sleep(0.2)  # it may be within its write(2) still, in the guest kernel
    (pid,) = host_processes(vm)
    os.kill(pid, signal.SIGKILL)
    assert command.wait(timeout=20) == -9 and command.fault == "killed"
    assert vm.sh("echo on").stdout == b"on\n"


def test_processes_that_wait_for_a_program(vm):
    """They are made when a second program starts; a VM that has lost them makes others."""
    for _ in range(3):
        assert vm.sh("/bin/echo one; /bin/echo two; /bin/echo three").stdout == b"one\ntwo\nthree\n"
        waiting = until(lambda: len(host_processes(vm)) == 2 and host_processes(vm))
        for pid in waiting:
            os.kill(pid, signal.SIGKILL)
        until(lambda gone=waiting: not set(gone) & set(host_processes(vm)))


def test_an_idle_vm_has_none(vm):
    assert host_processes(vm) == []
    assert vm.run(["true"]).returncode == 0
    until(lambda: host_processes(vm) == [])


def family(pid):
    """A process and all that descends from it: {pid: state}, zombies not."""
    states, parents = {}, {}
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = entry.read_text().partition(" (")
        except OSError:
            continue
        state, parent = rest.rpartition(") ")[2].split()[:2]
        states[int(number)], parents[int(number)] = state, int(parent)
    found, more = {}, {pid}
    while more:
        found |= {p: states[p] for p in more if states.get(p, "Z") not in "ZX"}
        more = {p for p, q in parents.items() if q in more} - found.keys()
    return found


# A classic machine has two processes of its own, the tracer and the guest kernel's first; where a machine is one host
# process, none sleeps while a program computes.
@pytest.mark.parametrize(
    ("machine", "victim"),
    [("default", "first"), ("default", "sleeping"), ("+host", "first"), ("classic", "first"), ("classic", "second")],
)
def test_the_end_of_a_machine_reaches_everybody(kernel, machine, victim):
    """Whatever dies that all of a VM hangs on: every command ends with a fault, new ones are refused, nothing stays."""
    with lodger.VM(machine=machine) as vm:
        commands = [
            vm.popen(["sleep", "100"]),
            vm.popen(["sh", "-c", "echo up; while :; do :; done"], stdout=lodger.PIPE),
        ]
        commands[1].stdout.readline()
        commands.append(vm.popen(["cat"], stdin=lodger.PIPE, stdout=lodger.PIPE))
        first = vm._machine.channel.connection.child.pid
        if victim == "sleeping":
            until(lambda: "S" in [state for pid, state in family(first).items() if pid != first])
        everybody = family(first)
        others = [pid for pid in everybody if pid != first]
        # A program that sleeps does so in the guest kernel, whose locks and books nobody could vouch for then.
        pid = {"first": [first], "second": others, "sleeping": [p for p in others if everybody[p] == "S"]}[victim][0]
        os.kill(pid, signal.SIGKILL)
        fault = "guest_panic" if victim == "sleeping" else "killed"
        for command in commands:
            assert command.wait(20) == -9 and command.fault == fault
        assert commands[2].communicate(timeout=20) == (b"", b"")
        with pytest.raises(
            lodger.VMClosed, match="killed inside the guest kernel" if victim == "sleeping" else "signal 9"
        ):
            vm.run(["true"])
        with pytest.raises(lodger.VMClosed):
            vm.stats()
    until(lambda: not [p for p in everybody if p in family(p)])


@pytest.mark.parametrize("machine", ["default", "+host", "classic"])
def test_nothing_outlives_the_vmm(kernel, machine):
    code = (
        f"import lodger, time; vm = lodger.VM(machine={machine!r}); vm.popen(['sh', '-c', 'setsid sleep 100 & sleep 100']);"
        "vm.sh('true; true'); print('up', flush=True); vm.run(['sleep', '100'])"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    everybody = family(child.pid)
    assert len(everybody) > 1
    child.kill()
    child.communicate()
    until(lambda: not [p for p in everybody if p in family(p)])
