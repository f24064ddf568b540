"""The Python API on a real guest."""

import gc
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import lodger
from lodger.config.machine import machine_config


def descendants(pid):
    """Host processes below this one."""
    found = []
    try:
        names = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return found
    for task in names:
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in map(int, file.read().split()):
                    found += [child, *descendants(child)]
        except FileNotFoundError:
            pass
    return found


def gone(pids, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        left = [p for p in pids if os.path.exists(f"/proc/{p}") and "\tZ" not in _status(p)]
        if not left:
            return True
        time.sleep(0.02)
    return False


def _status(pid):
    try:
        with open(f"/proc/{pid}/status") as file:
            return file.read()
    except OSError:
        return "\tZ"


def test_hello(shared):
    result = shared.run(["echo", "hello"])
    assert (result.returncode, result.stdout, result.stderr, result.fault) == (0, b"hello\n", b"", None)


@pytest.mark.matrix
def test_bytes_are_exact_in_both_directions(shared):
    data = bytes(range(256)) * 40_000
    result = shared.run(["cat"], input=data)
    assert result.stdout == data


def test_streams_stay_apart(shared):
    result = shared.sh("echo out; echo err >&2")
    assert (result.stdout, result.stderr) == (b"out\n", b"err\n")
    assert shared.sh("echo out; echo err >&2", stderr=lodger.STDOUT).stdout == b"out\nerr\n"


@pytest.mark.matrix
@pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 10, 13, 15])
def test_death_by_signal(shared, number):
    assert shared.sh(f"kill -{number} $$").returncode == -number


@pytest.mark.parametrize("code", [0, 1, 2, 77, 126, 127, 255])
def test_exit_status(shared, code):
    assert shared.sh(f"exit {code}").returncode == code


def test_settings_of_a_command(shared):
    for path in ("/usr/lib", b"/usr/lib", pathlib.PurePosixPath("/usr/lib")):
        assert shared.run(["pwd"], cwd=path).stdout == b"/usr/lib\n"
    assert shared.sh("echo $A-$B", env={"A": "1", "B": "é"}).stdout == "1-é\n".encode()
    assert shared.run(["id", "-u"], user=1000).stdout == b"1000\n"
    assert shared.run(["id", "-g"], user="1000:100").stdout == b"100\n"


def test_timeout(shared):
    start = time.monotonic()
    result = shared.sh("sleep 100 & (setsid sleep 100 &) ; sleep 100", timeout=0.5)
    assert (result.fault, result.returncode) == ("timeout", -9)
    assert time.monotonic() - start < 5
    assert b"sleep" not in shared.run(["ps", "-e"]).stdout


def test_nobody_is_self_yet(shared):
    """Before a command runs, the guest kernel looks for its program and its directory: /proc/self is nobody's."""
    for path in ("/proc/self", "/proc/self/fd", "/proc/thread-self", "/dev/fd"):
        with pytest.raises(lodger.SpawnError, match="not found in the machine"):
            shared.run(["true"], cwd=path)
    with pytest.raises(lodger.SpawnError, match="not found in the machine"):
        shared.run(["/proc/self/exe"])
    assert shared.run(["pwd"], cwd="/proc").stdout == b"/proc\n"


def test_spawn_errors(shared):
    for argv, number in ((["no-such"], 2), (["/etc/passwd"], 13), (["/usr"], 13)):
        with pytest.raises(lodger.SpawnError) as caught:
            shared.run(argv)
        assert caught.value.errno == number, argv


@pytest.mark.matrix
def test_one_guest_for_all_commands(vm):
    sleeper = vm.popen(["sleep", "60"], stdin=lodger.DEVNULL)
    vm.sh("echo kept > /tmp/file", check=True)
    assert vm.run(["cat", "/tmp/file"]).stdout == b"kept\n"
    assert str(sleeper.pid).encode() in vm.run(["ps", "-e", "-o", "pid="]).stdout.split()
    vm.sh(f"kill -TERM {sleeper.pid}", check=True)
    assert sleeper.wait(5) == -15


def test_writable_layer_and_volumes(kernel, tmp_path):
    (tmp_path / "ro").mkdir()
    (tmp_path / "rw").mkdir()
    (tmp_path / "ro" / "file").write_text("host\n")
    volumes = {str(tmp_path / "ro"): "/ro:ro", str(tmp_path / "rw"): "/rw"}
    with lodger.VM(volumes=volumes) as vm:
        assert vm.run(["cat", "/ro/file"]).stdout == b"host\n"
        result = vm.sh("echo x > /ro/file", text=True)
        assert result.returncode != 0 and "Read-only file system" in result.stderr
        vm.sh("echo guest > /rw/new && touch /usr/new && rm /usr/bin/env", check=True)
        assert (tmp_path / "rw" / "new").read_text() == "guest\n"
        assert not os.path.exists("/usr/new") and os.path.exists("/usr/bin/env")


def test_times_on_a_volume_do_not_go_back(kernel, tmp_path):
    # The host gives files finer times (6.13) than the guest's clock has; "now" is the host's for them.
    code = """
import os
for i in range(50):
    with open("/volume/file", "wb", buffering=0) as f:
        f.write(b"x"), os.fstat(f.fileno()), f.write(b"y")
        before = os.fstat(f.fileno()).st_mtime_ns
    os.utime("/volume/file")
    after = os.stat("/volume/file").st_mtime_ns
    assert after >= before, before - after
"""
    with lodger.VM(volumes={str(tmp_path): "/volume"}) as vm:
        result = vm.run(["python3", "-c", code], text=True)
        assert result.returncode == 0, result.stderr


def test_nothing_of_the_hosts_people_or_state(shared):
    home = os.path.expanduser("~")
    visible = set(shared.run(["ls", "-A", home], text=True).stdout.split())
    assert visible <= {".pyenv", ".local"}
    assert shared.sh("cat /etc/shadow").returncode != 0
    assert shared.run(["ls", "-A", "/run", "/home"]).returncode == 0
    assert b"lodger" in shared.run(["uname", "-a"]).stdout


def test_popen_talks(shared):
    process = shared.popen(["cat"], stdin=lodger.PIPE, stdout=lodger.PIPE)
    for line in (b"one\n", b"two\n"):
        process.stdin.write(line)
        assert process.stdout.readline() == line
    process.stdin.close()
    assert process.wait(5) == 0
    process.close_streams()


@pytest.mark.matrix
def test_pty(shared):
    process = shared.popen(
        ["sh", "-c", "stty size; tty; test -t 0 && echo yes"],
        stdin=lodger.PIPE,
        stdout=lodger.PIPE,
        pty=True,
        size=(30, 90),
    )
    out, _ = process.communicate()
    lines = out.split(b"\r\n")
    assert lines[0] == b"30 90" and lines[1].startswith(b"/dev/pts/") and lines[2] == b"yes"


@pytest.mark.matrix
def test_threads(shared):
    answers = {}
    # Each command waits until all are there.
    script = "mkdir -p /tmp/all; : >/tmp/all/{0}; while set -- /tmp/all/*; [ $# -lt 16 ]; do sleep 0.2; done; echo {0}"
    threads = [
        threading.Thread(target=lambda n=n: answers.__setitem__(n, shared.sh(script.format(n)).stdout))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {n: f"{n}\n".encode() for n in range(16)}


@pytest.mark.matrix
def test_layers(shared):
    assert shared.layers["seccomp"] is True
    assert shared.layers["monitor"] == machine_config().monitor
    assert isinstance(shared.stats(), dict)


@pytest.mark.matrix
def test_leaving_leaves_nothing(kernel):
    before = set(descendants(os.getpid()))
    vm = lodger.VM()
    vm.popen(["sh", "-c", "sleep 99 & sleep 99"], stdin=lodger.DEVNULL)
    pids = set(descendants(os.getpid())) - before
    assert pids
    vm.close()
    assert gone(pids)


def test_exception_and_gc_leave_nothing(kernel):
    before = set(descendants(os.getpid()))
    with pytest.raises(ZeroDivisionError), lodger.VM() as vm:
        pids = set(descendants(os.getpid())) - before
        1 / 0  # noqa: B018
    assert gone(pids)
    vm = lodger.VM()
    pids = set(descendants(os.getpid())) - before
    assert pids
    del vm
    gc.collect()
    assert gone(pids)


@pytest.mark.matrix
def test_sigkill_of_the_vmm_leaves_nothing(kernel):
    code = "import lodger; vm = lodger.VM(); vm.popen(['sh', '-c', 'sleep 99 & sleep 99']); print('up', flush=True); import time; time.sleep(99)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    time.sleep(0.3)
    pids = descendants(child.pid)
    assert pids
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert gone(pids)


@pytest.mark.matrix
def test_a_vm_made_in_a_thread_outlives_the_thread(kernel):
    made = []
    thread = threading.Thread(target=lambda: made.append(lodger.VM()))
    thread.start()
    thread.join()
    time.sleep(0.2)
    with made.pop() as vm:
        assert vm.run(["true"]).returncode == 0


def test_limits_end_in_errors_not_in_the_host(kernel):
    with lodger.VM(memory="128M", pids=20) as vm:
        result = vm.sh("for i in $(seq 50); do sleep 5 & done; wait", timeout=20)
        assert result.returncode != 0 or b"fork" in result.stderr.lower() or result.fault == "pids"
        result = vm.run(["python3", "-c", "x = bytearray(1 << 30); x[::4096] = b'x' * (1 << 18)"], timeout=30)
        assert result.returncode != 0
        assert vm.run(["true"]).returncode == 0


@pytest.mark.matrix
def test_signal_0_only_asks(shared):
    # The guest kernel has no bit for it: it panicked once.
    process = shared.popen(["sleep", "60"])
    process.send_signal(0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -15
    assert shared.run(["true"]).returncode == 0


@pytest.mark.matrix
def test_communicate_goes_on_after_its_timeout(shared):
    process = shared.popen(["sh", "-c", "echo one; sleep 1; cat"], stdin=lodger.PIPE, stdout=lodger.PIPE)
    with pytest.raises(TimeoutError):
        process.communicate(b"in", timeout=0.2)
    assert process.communicate() == (b"one\nin", b"")
