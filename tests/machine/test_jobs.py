"""`lodger run` as a job of a shell at a terminal, beside an ordinary program as one: they must do the same."""

import os
import re
import subprocess
import sys
import time

import pytest

from jobs import Terminal

LODGER = f"{sys.executable} -m lodger run --guard none"
OTHERS = [f"{sys.executable} -m lodger {verb} --guard none --" for verb in ("profile", "trace --host -o /dev/null")]


@pytest.fixture
def shell(kernel, tmp_path):
    """An interactive bash; $P is how a program is started, ``""`` on the host."""
    made = []

    def start(prefix):
        variables = {**os.environ, "PS1": "READY> ", "P": prefix, "TERM": "dumb", "HISTFILE": ""}
        made.append(
            Terminal(["setsid", "-c", "-w", "bash", "--norc", "--noprofile", "-i"], env=variables, cwd=tmp_path)
        )
        made[-1].until(b"READY> ")
        return made[-1]

    yield start
    for terminal in made:
        terminal.close()


def told(terminal, command, words):
    """What the shell says to a command, from its first line of output to these words."""
    terminal.type(command + b"; echo E''ND\n")
    text = terminal.until(b"END\r\n")
    assert words in text, text
    return text


def states(terminal):
    """The states of the shell's jobs."""
    return re.findall(rb"\] *[+-]? *\d+ (Stopped \([a-z ]+\)|\S+)", told(terminal, b"jobs -l", b""))


@pytest.mark.matrix
@pytest.mark.parametrize(
    "how", ["", f"{LODGER} -t --", f"{LODGER} -T --", *OTHERS], ids=["host", "tty", "no-tty", "profile", "trace-host"]
)
def test_a_reader(shell, how):
    terminal = shell(how)
    terminal.type(b"$P cat\n")
    terminal.again_and_again(b"hello\n", b"hello\r\nhello\r\n")
    terminal.type(b"\x1a")
    terminal.until(b"READY> ")
    assert states(terminal) == [b"Stopped"] or states(terminal) == [b"Stopped (signal)"]
    # What is typed now is the shell's, whatever the job would do.
    for line in (b"one", b"two"):
        told(terminal, b"echo shell-" + line, b"shell-" + line)
    terminal.type(b"bg\n")
    terminal.again_and_again(b"jobs -l\n", b"Stopped (tty input)")
    told(terminal, b"echo shell-three", b"shell-three")
    terminal.type(b"fg\n")
    terminal.again_and_again(b"again\n", b"again\r\nagain\r\n")
    terminal.type(b"\x03")
    terminal.until(b"READY> ")
    told(terminal, b"echo status $?", b"status 130")


@pytest.mark.parametrize("how", ["", f"{LODGER} -t --", f"{LODGER} -T --"], ids=["host", "tty", "no-tty"])
def test_in_the_background_from_the_start(shell, how):
    terminal = shell(how)
    # Who does not read is not stopped.
    terminal.type(b"$P sh -c 'sleep 0.3; echo do''ne' & wait $!; echo status $?\n")
    terminal.until(b"done\r")
    terminal.until(b"status 0")
    terminal.type(b"$P cat &\n")
    terminal.again_and_again(b"jobs -l\n", b"Stopped (tty input)")
    told(terminal, b"echo shell", b"shell")
    terminal.type(b"fg\n")
    terminal.again_and_again(b"mine\n", b"mine\r\nmine\r\n")
    terminal.type(b"\x04")
    terminal.until(b"READY> ")
    told(terminal, b"echo status $?", b"status 0")


@pytest.mark.parametrize("how", ["", f"{LODGER} -t --", f"{LODGER} -T --"], ids=["host", "tty", "no-tty"])
def test_one_that_only_polls_is_found_in_the_foreground(shell, how):
    """No signal tells a running job that it is in the foreground now, and poll(2) asks for nothing."""
    script = b"""import os, select
line = ''
while not line.startswith('line'):
    select.select([0], [], [])
    line = os.read(0, 100).decode()
    print('got', line)
"""
    terminal = shell(how)
    terminal.type(b'$P python3 -c "' + script + b'" &\n')
    terminal.again_and_again(b"jobs -l\n", b"Running")
    # It may see this before the shell has read it, and stop for reading in the background: then once more.
    terminal.again_and_again(b"fg\nline\n", b"got line\r\n")


@pytest.mark.parametrize("how", ["", f"{LODGER} -t --", f"{LODGER} -T --"], ids=["host", "tty", "no-tty"])
@pytest.mark.parametrize("itself", ["-TSTP 0", "-TSTP $$", "-STOP $$"])
def test_a_program_that_stops_itself(shell, how, itself):
    """As an editor does on Ctrl-Z, top(1) by SIGSTOP."""
    terminal = shell(how)
    terminal.type(b"$P sh -c 'echo be''fore; kill " + itself.encode() + b"; echo af''ter'\n")
    terminal.until(b"before\r\n")
    terminal.until(b"READY> ")
    terminal.type(b"fg\n")
    terminal.until(b"after\r\n")
    terminal.until(b"READY> ")
    told(terminal, b"echo status $?", b"status 0")


def test_a_shell_in_the_guest_keeps_its_own_jobs(shell):
    terminal = shell(f"{LODGER} --")
    terminal.type(b"$P bash --norc\n")
    terminal.again_and_again(b"PS1='IN''NER> '\n", b"INNER> ")
    terminal.type(b"sh -c 'echo rea''dy; sleep 100'\n")
    terminal.until(b"ready\r\n")
    terminal.again_and_again(b"\x1a", b"Stopped")
    terminal.until(b"INNER> ")
    terminal.type(b"\x1a")
    terminal.again_and_again(b"echo in''side\n", b"inside\r\n")


def test_a_terminal_that_hangs_up(shell, tmp_path):
    """Its window is closed: everything ends, and nobody says anything into the void."""
    terminal = shell(f"{LODGER} -v {tmp_path}:/mnt -t --")
    script = b"trap 'echo hung >/mnt/hung; exit' HUP; echo rea''dy; while :; do sleep 0.1; done"
    terminal.type(b'$P sh -c "' + script + b'" 2>err\n')
    terminal.until(b"ready\r\n")
    os.close(terminal.ours)
    terminal.ours = os.open(os.devnull, os.O_RDONLY)
    end = time.monotonic() + 10
    while subprocess.run(["pgrep", "-f", f"{tmp_path}:/mnt"], capture_output=True).returncode == 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (tmp_path / "hung").read_text() == "hung\n" and not (tmp_path / "err").read_text()
