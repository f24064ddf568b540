"""`lodger` as it is not meant to be used, beside what docker run, timeout(1) and a shell's job control do."""

import os
import signal
import subprocess
import time

import pytest

from jobs import LODGER, started, stops_and_goes_on


def lodger(*words, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 30, **options}
    return subprocess.run([*LODGER, *words], **options)


@pytest.mark.parametrize("words", [["doctor"], ["syscalls"], ["syscalls", "--json"], ["--help"], ["version"], ["run", "-h"]])  # fmt: skip
def test_output_that_cannot_be_written(fake, words):
    with open("/dev/full", "wb") as full:
        done = lodger(*words, stdout=full)
    assert (done.returncode, done.stderr) == (125, b"lodger: cannot go on: No space left on device\n")
    read, write = os.pipe()
    os.close(read)
    done = lodger(*words, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")  # as of a program that SIGPIPE ends


def test_messages_that_cannot_be_written(fake):
    with open("/dev/full", "wb") as full:
        assert lodger("run", "no-such-program", stderr=full).returncode == 127
        assert lodger("run", "--memory", "tiny", "true", stderr=full).returncode == 125


@pytest.mark.parametrize("verb", ["run", "profile", "ladder", "trace", "doctor", "syscalls", "version"])
def test_every_verb_has_help(fake, verb):
    done = lodger(verb, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: lodger {verb}".encode())
    assert lodger("help", verb).stdout == done.stdout


def test_no_verb_is_an_error(fake):
    done = lodger()
    assert (done.returncode, done.stdout) == (125, b"") and done.stderr.startswith(b"usage: lodger VERB")
    assert lodger("help").returncode == 0
    assert lodger("-V").stdout == lodger("version").stdout
    assert b"did you mean" not in lodger("run", "--rm", "true").stderr


def test_a_directory_that_is_gone(fake, tmp_path):
    for words in (["run", "-v", ".:/x", "true"], ["run", "--rootfs", "sub", "true"]):
        gone = tmp_path / "gone"
        gone.mkdir()
        # The descriptor keeps what has no name any more.
        script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
        done = subprocess.run(["sh", "-c", script, "sh", gone, *LODGER, *words], capture_output=True, timeout=30)
        assert done.returncode == 125 and done.stderr.startswith(b"lodger: "), done.stderr
        assert b"does not exist any more" in done.stderr


def test_few_descriptors(fake):
    """Whatever fails for want of descriptors, the message says what to do."""
    for limit in (8, 14, 20):
        script = f'ulimit -n {limit}; exec "$0" "$@"'
        done = subprocess.run(["sh", "-c", script, *LODGER, "run", "true"], capture_output=True, timeout=30)
        assert done.returncode == 125 and b"ulimit -n" in done.stderr and b"Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_more_signals_are_handed_on(fake, number):
    child, _ = started("trap 'echo got; exit 3' USR1 USR2; echo up; while :; do sleep 0.1; done")
    child.send_signal(number)
    assert child.communicate(timeout=10)[0] == b"got\n"
    assert child.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_command_is_ended_too(fake, number):
    child, _ = started("echo up; kill -STOP $$; sleep 20")
    time.sleep(0.2)
    child.send_signal(number)
    assert child.wait(10) == 128 + number
    child.stdout.close()


def test_ctrl_z_stops_the_command_and_fg_continues_it(fake):
    stops_and_goes_on()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["version", "run true", "--help"])
def test_closed_standard_streams(fake, tmp_path, closed, words):
    """Whatever is closed, nothing of ours is in its place, and nobody stumbles."""
    script = f'exec {closed}; "$@"; echo "status $?" >"$OUT"'
    done = subprocess.run(["sh", "-c", script, "sh", *LODGER, *words.split()], capture_output=True, timeout=30,
                          env={**os.environ, "OUT": str(tmp_path / "out")})  # fmt: skip
    assert (tmp_path / "out").read_text() == "status 0\n" and b"Traceback" not in done.stderr, done
