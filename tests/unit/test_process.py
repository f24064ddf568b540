"""Process beside subprocess.Popen: the same misuse must be as harmless, on the fake guest kernel."""

import array
import io
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import lodger

PIPE = lodger.PIPE


@pytest.fixture
def vm(fake):
    with lodger.VM(guard="none") as machine:
        yield machine


def test_communicate_goes_on_after_its_timeout(vm):
    process = vm.popen(["sh", "-c", "echo one; echo e >&2; sleep 0.6; cat; echo two"], stdin=PIPE, stdout=PIPE, stderr=PIPE)  # fmt: skip
    with pytest.raises(TimeoutError, match=r"'sh' still runs after 0\.2 seconds"):
        process.communicate(b"in\n", timeout=0.2)
    with pytest.raises(lodger.ConfigError, match="goes on"):
        process.communicate(b"more")
    assert process.communicate() == (b"one\nin\ntwo\n", b"e\n")
    assert process.communicate() == (b"one\nin\ntwo\n", b"e\n")
    assert process.stdout.closed and process.stdin.closed


def test_after_a_timeout_the_files_block_again(vm):
    process = vm.popen(["sh", "-c", "sleep 0.5; echo late"], stdout=PIPE)
    with pytest.raises(TimeoutError):
        process.communicate(timeout=0.1)
    assert process.stdout.readline() == b"late\n"
    process.close_streams()
    process.wait()


def test_what_was_read_ahead_is_not_lost(vm):
    process = vm.popen(["printf", "one\ntwo\nthree\n"], stdout=PIPE)
    assert process.stdout.readline() == b"one\n"
    assert process.communicate() == (b"two\nthree\n", b"")


def test_input_for_nobody_is_refused(vm):
    process = vm.popen(["cat"], stdin=lodger.DEVNULL, stdout=PIPE)
    with pytest.raises(lodger.ConfigError, match="without stdin=PIPE"):
        process.communicate(b"lost")
    assert process.communicate() == (b"", b"")
    process = vm.popen(["cat"], stdin=PIPE, stdout=PIPE)
    process.stdin.close()
    with pytest.raises(lodger.ConfigError, match="closed"):
        process.communicate(b"lost")
    assert process.communicate() == (b"", b"")


def test_streams_that_are_none(vm, tmp_path):
    with pytest.raises(lodger.ConfigError, match="stdin=9999: no file is open"):
        vm.popen(["true"], stdin=9999)
    with pytest.raises(lodger.ConfigError, match="stdout="):
        vm.popen(["true"], stdout=1 << 40)
    with (tmp_path / "closed").open("w") as file:
        pass
    for wrong in (file, io.StringIO(), "out.txt", 1.5):
        with pytest.raises(lodger.ConfigError, match="has no descriptor"):
            vm.popen(["true"], stdout=wrong)
    assert vm.run(["true"]).returncode == 0


def test_a_terminal_has_one_output(vm):
    with pytest.raises(lodger.ConfigError, match="pty=True"):
        vm.popen(["true"], stdin=PIPE, stdout=PIPE, stderr=PIPE, pty=True)
    process = vm.popen(["sh", "-c", "echo e >&2"], stdin=PIPE, stdout=PIPE, stderr=lodger.STDOUT, pty=True)
    assert process.communicate()[0].strip() == b"e"


@pytest.mark.parametrize("size", [(-1, 80), (24, 70000), (1.5, 80), (24,), (24, 80, 1), "ab", None, 7])
def test_sizes_of_a_terminal(vm, size):
    with pytest.raises(lodger.ConfigError, match="size"):
        vm.popen(["true"], stdin=PIPE, stdout=PIPE, pty=True, size=size)
    if isinstance(size, tuple) and len(size) == 2:
        with vm.popen(["true"]) as process, pytest.raises(lodger.ConfigError, match="size"):
            process.resize(*size)


@pytest.mark.parametrize("number", [-1, 65, 1 << 40, "TERM", None, 1.5, True])
def test_numbers_that_are_no_signal(vm, number):
    with vm.popen(["cat"], stdin=PIPE) as process:
        with pytest.raises(lodger.ConfigError, match="signal="):
            process.send_signal(number)
        with pytest.raises(lodger.ConfigError, match="scope="):
            process.send_signal(15, [])
        process.send_signal(0)
        assert process.poll() is None


@pytest.mark.parametrize(
    "data", ["text", b"bytes", bytearray(b"ba"), memoryview(b"abcdef")[::2], array.array("H", [1, 2])]
)
def test_input(vm, data):
    expected = data.encode() if isinstance(data, str) else bytes(data)
    assert vm.run(["cat"], input=data).stdout == expected


@pytest.mark.parametrize("data", [7, ["a"], (b for b in [b"a"]), io.BytesIO(b"x")])
def test_input_of_another_kind(vm, data):
    with pytest.raises(lodger.ConfigError, match=type(data).__name__):
        vm.run(["cat"], input=data)


def test_output_held_open_by_something_left_behind(vm):
    """The command's own end is in time; what it left in the background holds the pipe, and is not waited for longer."""
    result = vm.sh("trap '' HUP; (sleep 5; echo late) & echo hi", timeout=0.5)
    assert (result.returncode, result.fault, result.stdout) == (0, None, b"hi\n")
    assert result.duration < 0.9


def test_refused_commands_leave_no_descriptor(vm):
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(lodger.SpawnError):
            vm.popen(["no-such"], stdin=PIPE, stdout=PIPE, stderr=PIPE)
        with pytest.raises(lodger.ConfigError):
            vm.popen(["true"], stdin=PIPE, stdout=PIPE, stderr="x")
        vm.popen(["true"], stdin=PIPE, stdout=PIPE, stderr=lodger.DEVNULL).communicate()
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_descriptor_of_lodgers_is_a_standard_stream(fake, closed, tmp_path):
    """A program with closed standard streams: the numbers are free for the control socket and for pipes."""
    code = textwrap.dedent("""
        import lodger, os, sys
        def held():
            return [n for n in (0, 1, 2) if os.path.lexists(f"/proc/self/fd/{n}")]
        before = held()
        with lodger.VM(guard="none") as vm:
            assert held() == before, "the machine's"
            process = vm.popen(["cat"], stdin=lodger.PIPE)
            assert held() == before, "a pipe"
            process.stdin.write(b"x")
            process.stdin.close()
            # A command that has the other end of its own input as output never sees its end.
            process.wait(10)
            vm.popen(["true"], stderr=lodger.STDOUT).wait(10)
        open(sys.argv[1], "w").write("good")
    """)
    script = f'exec "$0" -c "$1" "$2" {closed}'
    subprocess.run(["sh", "-c", script, sys.executable, code, str(tmp_path / "end")], timeout=30)
    assert (tmp_path / "end").read_text() == "good"


def test_an_interrupted_start_leaves_no_command(vm):
    """Between the request and its answer nobody has the command in hand."""
    machine = vm._live
    command = machine.command(["sleep", "99"], None, None, None, False, (24, 80))
    for stage in range(2):
        steps = machine.start(command, lodger.DEVNULL, lodger.DEVNULL, lodger.DEVNULL)
        wait = next(steps)
        if stage:
            vm.run(["true"])  # by now the answer is there
            assert wait.events[0].done
        with pytest.raises(KeyboardInterrupt):
            steps.throw(KeyboardInterrupt())
        (end,) = machine.channel._exits.values()
        while not end.done:
            vm.run(["true"])
        assert os.waitstatus_to_exitcode(end.message.number(0)) == -signal.SIGKILL
