"""VM and Process against the fake guest kernel."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import lodger
from lodger.machine import core, job


@pytest.fixture
def vm(fake):
    with lodger.VM(guard="none") as machine:
        yield machine


def test_run(vm):
    result = vm.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"\0\xffbytes")
    assert (result.returncode, result.stdout, result.stderr, result.fault) == (3, b"\0\xffbytes", b"err\n", None)
    assert result.args == ("sh", "-c", "cat; echo err >&2; exit 3")
    assert 0 < result.duration < 5


def test_text_check_and_merge(vm):
    assert vm.sh("echo hé", text=True).stdout == "hé\n"
    assert vm.sh("echo a; echo b >&2", stderr=lodger.STDOUT).stdout == b"a\nb\n"
    with pytest.raises(lodger.CommandError, match="exit status 4") as caught:
        vm.sh("echo no >&2; exit 4", check=True)
    assert caught.value.result.stderr == b"no\n"


def test_environment_is_not_the_hosts(vm, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    lines = vm.run(["env"], env={"MORE": "1"}, text=True).stdout.splitlines()
    assert "MORE=1" in lines and "HOME=/root" in lines and "LANG=C.UTF-8" in lines
    assert not any(line.startswith("SECRET") for line in lines)


def test_large_input_and_output_do_not_deadlock(vm):
    data = os.urandom(1 << 20) * 8
    assert vm.run(["cat"], input=data).stdout == data
    assert vm.run(["true"], input=data).returncode == 0
    result = vm.sh("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2", input=data)
    assert (len(result.stdout), len(result.stderr)) == (3000000, 3000000)


def test_timeout_kills_the_tree(vm):
    start = time.monotonic()
    result = vm.sh("sleep 60 & sleep 60; echo never", timeout=0.3)
    assert time.monotonic() - start < 5
    assert (result.returncode, result.fault) == (-9, "timeout")


@pytest.mark.parametrize("value", ["x", 9999, -1, True, 2.5, 1 << 70])
def test_host_trace_is_a_descriptor(fake, value):
    with pytest.raises(lodger.ConfigError, match="host_trace="):
        lodger.VM(guard="none", host_trace=value)


def test_a_timeout_of_years(vm):
    """More milliseconds than poll(2) takes."""
    assert vm.run(["true"], timeout=9e8).returncode == 0
    assert vm.popen(["true"]).wait(timeout=9e8) == 0


def test_signal_numbers_are_negative(vm):
    assert vm.sh("kill -TERM $$").returncode == -15


def test_spawn_errors(vm):
    with pytest.raises(lodger.SpawnError) as caught:
        vm.run(["no-such-program"])
    assert caught.value.errno == 2
    with pytest.raises(lodger.SpawnError) as caught:
        vm.run(["/etc/passwd"])
    assert caught.value.errno == 13
    with pytest.raises(lodger.SpawnError, match="200000 of them in one"):
        vm.run(["echo", "x" * 200_000])
    with pytest.raises(lodger.SpawnError, match="too long"):
        vm.run(["echo", *["x" * 100_000] * 90])


def test_more_words_than_a_packet_takes(vm):
    words = [f"{n}" * 1000 for n in range(300)]
    assert vm.run(["echo", *words], text=True).stdout.split() == words
    assert len(vm.run(["env"], env={f"V{n}": "x" * 1000 for n in range(300)}).stdout) > 300_000
    left = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert not [path for path in left if "lodger-words" in path]


@pytest.mark.parametrize("argv", ["ls", [], [3], [b"a\0b"], ["a\0b"], ["\ud800"], 7, None])
def test_bad_argv(vm, argv):
    with pytest.raises(lodger.ConfigError):
        vm.run(argv)


def test_popen(vm):
    process = vm.popen(["cat"], stdin=lodger.PIPE, stdout=lodger.PIPE)
    assert process.poll() is None and process.returncode is None
    process.stdin.write(b"hello\n")
    assert process.stdout.readline() == b"hello\n"
    process.send_signal(15)
    assert process.wait(5) == -15 == process.returncode == process.poll()
    process.send_signal(9)  # ended: nothing happens
    process.resize(1, 2)
    assert process.usage.max_rss_kib > 0
    process.close_streams()


def test_popen_communicate_devnull_and_files(vm, tmp_path):
    process = vm.popen(["sh", "-c", "cat; echo e >&2"], stdin=lodger.PIPE, stdout=lodger.PIPE, stderr=lodger.DEVNULL)
    assert process.communicate(b"in") == (b"in", b"")
    with (tmp_path / "out").open("wb") as file, vm.popen(["echo", "x"], stdin=lodger.DEVNULL, stdout=file):
        pass
    assert (tmp_path / "out").read_bytes() == b"x\n"
    with pytest.raises(lodger.ConfigError, match="STDOUT"):
        vm.popen(["true"], stdout=lodger.STDOUT)


def test_wait_times_out_and_goes_on(vm):
    with vm.popen(["sleep", "0.4"]) as process:
        with pytest.raises(TimeoutError):
            process.wait(0.05)
        assert process.wait() == 0


def test_many_threads_many_commands(vm):
    wrong = []

    def work(number):
        for turn in range(5):
            text = f"{number}-{turn}"
            if (
                vm.run(["sh", "-c", f"echo {text}; cat"], input=b"y" * 100_000).stdout
                != f"{text}\n".encode() + b"y" * 100_000
            ):
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong


def test_no_thread_is_started(vm):
    vm.run(["true"])
    assert len(os.listdir("/proc/self/task")) == threading.active_count()


def test_only_the_control_socket_and_the_log_are_inherited(fake):
    extra = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(extra, True)
    try:
        with lodger.VM(guard="none") as vm:
            found = vm.stats()["fds"]
    finally:
        os.close(extra)
    assert len(found) <= 8  # 0-3, a selector, its pipe, and the directory that lists them


def test_layers_and_stats(vm):
    assert vm.layers["guard"] == "none" and vm.layers["monitor"] == "inline" and vm.layers["seccomp"] is False
    steps = vm.stats()["steps"]
    assert steps[0][:3] == ["MOUNT", 0, "/"]
    assert vm.boot_ns == 1234


def test_panic_while_running(vm):
    result = vm.run(["panic"])
    assert result.fault == "guest_panic"
    with pytest.raises(lodger.GuestPanic, match="cheese") as caught:
        vm.run(["true"])
    assert "\x1b" not in str(caught.value)


def test_death_while_running(vm):
    assert vm.run(["die"]).fault == "killed"
    with pytest.raises(lodger.VMClosed, match="signal 9"):
        vm.run(["true"])


def test_a_command_asks(vm):
    """Nobody is bound to listen, not even after its end."""
    assert vm.run(["asks", "0 1 1 0"]).returncode == 0
    command = job.start(vm, ["asks", "0 1 0"], pty=False, size=(24, 80), held=True, stops=True)
    while command.poll() is None:
        command.wait_or([])
    assert command.asked() == {job.ASK_READ, job.ASK_STOP} and command.asked() == set()
    command.terminal(job.OPEN)  # to one that has ended: nothing
    assert vm.run(["true"]).returncode == 0
    # A hostile guest kernel could ask for four thousand million things otherwise, all of them kept.
    assert vm.run(["asks", "7"]).fault == "killed"
    with pytest.raises(lodger.ProtocolError, match="unknown: 7"):
        vm.run(["true"])


def test_garbage_ends_the_vm(vm):
    with pytest.raises(lodger.ProtocolError):
        vm.run(["garbage"])


def test_a_command_that_cannot_be_killed_is_given_up(vm, monkeypatch):
    monkeypatch.setattr(core, "KILL_SECONDS", 0.2)
    assert vm.run(["deaf"], timeout=0.1).fault == "timeout"


def test_closed(fake):
    vm = lodger.VM(guard="none")
    pid = vm._live.channel.connection.child.pid
    process = vm.popen(["sleep", "60"])
    vm.close()
    vm.close()
    assert not os.path.exists(f"/proc/{pid}")
    with pytest.raises(lodger.VMClosed):
        vm.run(["true"])
    with pytest.raises(lodger.VMClosed):
        process.wait()


def test_close_wakes_a_waiting_thread(fake):
    vm = lodger.VM(guard="none")
    process = vm.popen(["sleep", "60"])
    seen = []

    def wait():
        try:
            process.wait()
        except lodger.VMClosed as error:
            seen.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    vm.close()
    thread.join(5)
    assert seen


def test_garbage_collection_ends_it(fake):
    vm = lodger.VM(guard="none")
    pid = vm._live.channel.connection.child.pid
    del vm
    gc.collect()
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("panic", lodger.GuestPanic, "at boot"),
        ("exit", lodger.BootError, "no room at the inn"),
        ("truncated", lodger.ProtocolError, "middle of a field"),
        ("long", lodger.ProtocolError, "longer than its fields"),
        ("unknown", lodger.ProtocolError, "unknown message kind"),
        ("huge", lodger.ProtocolError, "more than"),
        ("count", lodger.ProtocolError, "claims 4294967295"),
        ("stranger", lodger.ProtocolError, "answers nothing"),
        ("refuse", lodger.BootError, "not today"),
        ("silent", lodger.BootError, "silent"),
    ],
)
def test_misbehaving_guests(fake, monkeypatch, how, error, words):
    monkeypatch.setattr(core, "BOOT_SECONDS", 1.0)
    monkeypatch.delenv("LODGER_LOG", raising=False)  # the message quotes the log
    fake(how)
    with pytest.raises(error, match=words):
        lodger.VM(guard="none")


def test_missing_kernel(monkeypatch):
    monkeypatch.setenv("LODGER_KERNEL", "/no/such")
    with pytest.raises(lodger.BootError, match="/no/such"):
        lodger.VM(guard="none")


def test_keyboard_interrupt_kills_the_command(fake):
    code = textwrap.dedent("""
        import lodger, sys
        with lodger.VM(guard="none") as vm:
            print(vm._live.channel.connection.child.pid, flush=True)
            try:
                vm.run(["sleep", "77.7"])
            except KeyboardInterrupt:
                print("interrupted", flush=True)
    """)
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    pid = int(child.stdout.readline())
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=10)[0] == b"interrupted\n"
    assert child.returncode == 0
    assert not os.path.exists(f"/proc/{pid}")


def test_async(fake):
    import asyncio

    import lodger.aio

    async def main():
        async with lodger.aio.VM(guard="none") as vm:
            results = await asyncio.gather(
                *(vm.run(["sh", "-c", f"echo {n}; cat"], input=b"z" * 90_000) for n in range(6))
            )
            assert [r.stdout[:2] for r in results] == [f"{n}\n".encode() for n in range(6)]
            assert (await vm.run(["sleep", "9"], timeout=0.1)).fault == "timeout"
            process = await vm.popen(["cat"], stdin=lodger.PIPE, stdout=lodger.PIPE)
            assert await process.communicate(b"q") == (b"q", b"")
            assert await process.wait() == 0
            task = asyncio.create_task(vm.run(["sleep", "60"]))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert "steps" in await vm.stats()
            return vm._live.channel.connection.child.pid

    pid = asyncio.run(main())
    assert not os.path.exists(f"/proc/{pid}")
