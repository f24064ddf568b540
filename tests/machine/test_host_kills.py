"""The host (its OOM killer, its administrator) ends a host process of a VM: one guest process dies at most."""

import os
import pathlib
import signal
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
