"""A host without syscall user dispatch: the seccomp filter diverts (docs/decisions/0009-seccomp-diverts.md)."""

import errno
import pathlib
import subprocess

import pytest

import lodger
from lodger.errors import ConfigError
from machine.sandbox import lodger_under
from programs import CACHE, build

TESTS = pathlib.Path(__file__).resolve().parent.parent
MACHINES = ["default", "+multi", "+host"]
# What depends on how a call comes in and goes out: registers, signals, restarts, new processes and threads, odd calls.
SAMPLE = [
    "signal_context", "signal_restart", "signal_jump", "signal_faults", "process_fork", "process_clone", "process_exec",
    "memory_map", "memory_vsyscall", "file_escape",
]  # fmt: skip
LINE = "python3 -c 'import os; print(sum(range(10)), os.getppid() > 0)' | tr 0-9 a-j; kill -USR1 $$; echo not reached"
THREADS = """
import threading, time, signal, subprocess
signal.signal(signal.SIGALRM, lambda *_: print("alarm", flush=True))
signal.setitimer(signal.ITIMER_REAL, 0.05)
threads = [threading.Thread(target=lambda: [time.sleep(0.001) for _ in range(50)]) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) > 0, subprocess.check_output(["echo", "child"]))
"""
# What a sandbox around Lodger may do: prctl(PR_SET_SYSCALL_USER_DISPATCH) gives EINVAL, as on Linux before 5.11.
WITHOUT_DISPATCH = [f"157/59:{errno.EINVAL}"]


@pytest.fixture(params=MACHINES)
def diverted(request, kernel, monkeypatch):
    """A VM whose calls the filter diverts, though this host has user dispatch."""
    monkeypatch.setenv("LODGER_DIVERT", "seccomp")
    with lodger.VM(machine=request.param, memory="1G", volumes={str(CACHE): "/programs:ro"}) as vm:
        assert vm.layers["divert"] == "seccomp" and vm.layers["guard"] in ("none", "mprotect")
        yield vm


@pytest.mark.parametrize("argv", [["sh", "-c", LINE], ["python3", "-c", THREADS]], ids=["shell", "threads"])
def test_programs(diverted, oracle, argv):
    oracle(argv, vm=diverted)


@pytest.mark.parametrize("name", SAMPLE)
def test_guest_programs(diverted, name):
    program = build(TESTS / "guest" / f"{name}.c")
    host = subprocess.run([program], capture_output=True, stdin=subprocess.DEVNULL, cwd="/dev/shm", timeout=60)
    guest = diverted.run([f"/programs/{program.name}"], cwd="/tmp", timeout=60)
    assert (guest.returncode, guest.stdout.decode()) == (host.returncode, host.stdout.decode())


def test_attack_on_the_diversion(diverted):
    program = build(TESTS / "attacks" / "a09_dispatch.c")
    done = diverted.run([f"/programs/{program.name}"], timeout=60, text=True)
    assert done.returncode == 0 and "HOLE" not in done.stdout, done


def test_every_call_is_counted(kernel, monkeypatch):
    monkeypatch.setenv("LODGER_DIVERT", "seccomp")
    with lodger.VM(machine="+multi") as vm:
        before = vm.stats()["trap_entries"]
        assert vm.run(["sh", "-c", "i=0; while [ $i -lt 100 ]; do kill -0 $$; i=$((i+1)); done"]).returncode == 0
        assert vm.stats()["trap_entries"] - before > 100


def test_keys_are_refused(kernel, monkeypatch):
    monkeypatch.setenv("LODGER_DIVERT", "seccomp")
    with pytest.raises(ConfigError, match="cannot hold"):
        lodger.VM(machine="default", guard="pkey")
    monkeypatch.setenv("LODGER_DIVERT", "hope")
    with pytest.raises(ConfigError, match="choose one of dispatch, seccomp"):
        lodger.VM(machine="default")


def test_chosen_where_the_host_has_nothing_else(kernel):
    done = lodger_under(WITHOUT_DISPATCH, "run", "--guard", "none", "--", "sh", "-c", "echo $(uname) | tr a-z A-Z")
    assert (done.returncode, done.stdout, done.stderr) == (0, "LINUX\n", "")
    done = lodger_under(WITHOUT_DISPATCH, "doctor")
    assert done.returncode == 0 and "the seccomp filter diverts instead" in done.stdout, done
