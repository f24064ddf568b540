"""A VM and the program that has it: forks, signal handlers, copies, the end of the interpreter. On the fake guest kernel."""

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import traceback

import pytest

import lodger


@pytest.fixture
def vm(fake):
    with lodger.VM(guard="none") as machine:
        yield machine


def program(code, seconds=20):
    """(status, output, errors) of a Python program; its hanging is a failure."""
    done = subprocess.run(
        [sys.executable, "-c", "import lodger, os, signal, sys, threading\n" + textwrap.dedent(code)],
        capture_output=True, timeout=seconds, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_forked_copy_is_told_so(vm):
    process = vm.popen(["sleep", "1"])
    tries = (
        vm.stats, process.wait, process.poll, process.kill, process.communicate,
        lambda: vm.run(["true"]), lambda: vm.popen(["true"]), lambda: process.resize(1, 2),
    )  # fmt: skip
    child = os.fork()
    if child == 0:
        wrong = 0
        for attempt in tries:
            try:
                attempt()
                wrong += 1
            except lodger.VMClosed as error:
                wrong += "belongs to process" not in str(error)
        vm.close()
        os._exit(wrong)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert process.wait() == 0 and vm.run(["true"]).returncode == 0


def test_a_signal_handler_uses_the_vm_that_its_thread_waits_for(fake):
    status, output, errors = program("""
        vm = lodger.VM(guard="none")
        signal.signal(signal.SIGALRM, lambda *_: print(vm.run(["echo", "handled"], text=True).stdout, end=""))
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        print(vm.run(["sh", "-c", "sleep 1; echo waited"], text=True).stdout, end="")
        signal.setitimer(signal.ITIMER_REAL, 0)
        other = threading.Thread(target=lambda: vm.run(["sleep", "1.3"]))
        other.start()  # it reads the socket, this thread waits for it
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        print(vm.run(["sh", "-c", "sleep 1; echo again"], text=True).stdout, end="")
        other.join()
        vm.close()
    """)
    assert (status, errors) == (0, "")
    lines = output.split()
    assert lines.count("handled") >= 4 and lines[-2:] == ["handled", "again"] and "waited" in lines


def test_a_signal_handler_closes_the_vm(fake):
    assert program("""
        vm = lodger.VM(guard="none")
        signal.signal(signal.SIGALRM, lambda *_: vm.close())
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            vm.run(["sleep", "60"])
        except lodger.VMClosed:
            print("closed")
    """) == (0, "closed\n", "")


@pytest.mark.parametrize(
    "holder",
    ["vm = lodger.VM(guard='none')", "class A: pass\na = A(); a.vm = lodger.VM(guard='none'); a.a = a"],
    ids=["global", "cycle"],
)
def test_the_interpreter_ends_with_an_open_vm(fake, holder):
    status, output, errors = program(
        holder + "\nprint((vm if 'vm' in globals() else a.vm)._live.channel.connection.child.pid)"
    )
    assert (status, errors) == (0, "")
    assert not os.path.exists(f"/proc/{int(output)}")


def test_no_copies(vm):
    process = vm.popen(["cat"], stdin=lodger.PIPE)
    for thing in (vm, process):
        for way in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="neither be copied nor pickled"):
                way(thing)
    gc.collect()
    assert process.communicate(b"") == (b"", b"")


def test_results_and_errors_travel(vm):
    """To another process by pickle, as pools do it: an error that does not arrive breaks the pool."""
    result = vm.sh("echo out; echo err >&2; exit 3")
    assert pickle.loads(pickle.dumps(result)) == result
    errors = [
        lodger.ConfigError("c"), lodger.HostError("cannot do it", 13), lodger.BootError("b"), lodger.VMClosed("v"),
        lodger.GuestPanic("cheese"), lodger.ProtocolError("p"), lodger.SpawnError(2, "s", of_program=True),
        lodger.CommandError(result),
    ]  # fmt: skip
    for error in errors:
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is type(error) and str(back) == str(error) and vars(back) == vars(error)
        assert getattr(back, "errno", None) == getattr(error, "errno", None)


def test_what_ended_a_vm_is_said_to_each_with_its_own_traceback(vm):
    vm.run(["panic"])
    lengths = []
    for _ in range(5):
        with pytest.raises(lodger.GuestPanic, match="cheese") as caught:
            vm.run(["true"])
        lengths.append(len(traceback.format_exception(caught.value)))
    assert len(set(lengths)) == 1


def test_messages_of_failed_commands(vm):
    with pytest.raises(lodger.CommandError, match=r"failed with signal 15 \(SIGTERM\)"):
        vm.sh("kill $$", check=True)
    with pytest.raises(lodger.CommandError, match="fault 'timeout'"):
        vm.sh("sleep 9", check=True, timeout=0.1)
    with pytest.raises(lodger.CommandError, match=r"(?s)exit status 1: .*the end$") as caught:
        vm.run(["sh", "-c", "head -c 9999 /dev/zero >&2; echo the end >&2; exit 1", *"x" * 9999], check=True)
    assert len(str(caught.value)) < 1000


def test_two_vms(fake):
    with lodger.VM(guard="none") as one, lodger.VM(guard="none") as other:
        process = one.popen(["sleep", "0.3"])
        assert other.run(["echo", "2"]).stdout == b"2\n"
        other.close()
        assert process.wait() == 0
        assert one.run(["echo", "1"]).stdout == b"1\n"


def test_signal_0_panics_nothing(vm):
    process = vm.popen(["sleep", "9"])
    process.send_signal(0)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == -15
    process.send_signal(0)
