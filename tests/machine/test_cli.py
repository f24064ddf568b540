"""`lodger run` on a real guest."""

import hashlib
import json
import os
import re
import signal
import sys
import time

import pytest

from jobs import Terminal, stops_and_goes_on


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["true"], 0), (["false"], 1), (["sh", "-c", "exit 42"], 42), (["sh", "-c", "kill -9 $$"], 137),
        (["sh", "-c", "kill -15 $$"], 143), (["--timeout", "0.3", "sleep", "9"], 124), (["no-such"], 127),
        (["/etc/passwd"], 126), (["-w", "/no-such", "true"], 125), (["-w", "/etc/passwd", "true"], 125),
        (["-w", "/root", "-u", "1000", "./x"], 125), (["--memory", "tiny", "true"], 125), (["--monitor", "magic", "true"], 125),
    ],
)  # fmt: skip
def test_exit_status(cli, words, status):
    done = cli("run", "--guard", "none", *words) if "--monitor" not in words else cli("run", *words)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr


def test_bytes(cli):
    data = os.urandom(2_000_000)
    done = cli("run", "--guard", "none", "--", "cat", input=data)
    assert done.stdout == data and done.stderr == b""


def test_readme_line(cli):
    done = cli("run", "--", "python3", "-c", 'import os; print("hello from", os.uname(), os.getpid())')
    assert done.returncode == 0 and b"hello from" in done.stdout and b"lodger" in done.stdout


def test_options(cli, tmp_path):
    (tmp_path / "f").write_text("x")
    # uid 7 of the guest is nobody special: the host's permissions of the folder hold for it.
    tmp_path.chmod(0o755)
    words = ["-v", f"{tmp_path}:/data:ro", "-e", "A=b", "-w", "/data", "-u", "7:8", "--hostname", "inn"]
    done = cli("run", *words, "--", "sh", "-c", "pwd; echo $A; id -u; id -g; hostname; ls")
    assert done.stdout.split() == [b"/data", b"b", b"7", b"8", b"inn", b"f"]


def test_a_volume_that_cannot_be_mounted_is_named(cli, tmp_path):
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    (outer / "there").mkdir(parents=True)
    inner.mkdir()
    (outer / "file").write_text("")
    for mode, target, words in (
        (
            ":ro",
            "/data/more",
            f"{inner}:/data/more cannot be mounted.*{outer}:/data, which is read-only: create {outer}/more",
        ),
        (":ro", "/data/a/b", f"create {outer}/a/b on the host, or show that one without :ro"),
        ("", "/data/file", "is a file, or leads through one"),
        ("", "/etc/passwd/x", f"{inner}:/etc/passwd/x .*is a file, or leads through one"),
        ("", "/proc/x", f"{inner}:/proc/x .*take no more"),
        ("", "/proc/self/x", f"{inner}:/proc/self/x .*take no more"),
    ):
        done = cli("run", "--guard", "none", "-v", f"{outer}:/data{mode}", "-v", f"{inner}:{target}", "true", text=True)
        assert done.returncode == 125 and re.search(words, done.stderr), done
        assert len(done.stderr.splitlines()) == 1
    words = ["-v", f"{outer}:/data:ro", "-v", f"{inner}:/data/there", "touch", "/data/there/new"]
    assert cli("run", "--guard", "none", *words).returncode == 0 and (inner / "new").exists()


def test_a_directory_that_is_no_root_is_said(cli, tmp_path):
    for make in (lambda p: p.write_text(""), lambda p: p.symlink_to("nowhere"), lambda p: p.symlink_to("/usr")):
        make(tmp_path / "proc")
        done = cli("run", "--guard", "none", "--rootfs", str(tmp_path), "true", text=True)
        assert done.returncode == 125 and f"rootfs={str(tmp_path)!r} is no root" in done.stderr, done
        assert "/proc has to be a directory" in done.stderr and len(done.stderr.splitlines()) == 1
        (tmp_path / "proc").unlink()


def test_stats_and_trace(cli, tmp_path):
    done = cli("run", "--guard", "none", "--stats=json", "true")
    assert isinstance(json.loads(done.stderr), dict)
    trace = tmp_path / "trace"
    assert cli("run", f"--trace={trace}", "cat", "/etc/hostname").returncode == 0
    assert re.search(r'openat\(.*"/etc/hostname".*\) += \d+', trace.read_text())


def test_syscalls(cli):
    table = json.loads(cli("syscalls", "--json").stdout)
    assert {r["name"] for r in table} >= {"read", "write", "clone3", "epoll_wait"}
    assert {r["support"] for r in table} <= {"full", "partial", "missing"}


LINES = b"".join(b"line %d of more input than a terminal holds\n" % n for n in range(6000))


def test_terminal_with_piped_input_loses_nothing(cli):
    # The reader sleeps at first: the terminal fills up, and the host's writer has to wait.
    script = "stty -echo; sleep 0.5; md5sum"
    done = cli("run", "--guard", "none", "-t", "--", "sh", "-c", script, input=LINES, timeout=20)
    assert done.returncode == 0 and done.stdout.split()[-2] == hashlib.md5(LINES).hexdigest().encode(), done


def test_terminal_with_a_file_as_input(cli, tmp_path):
    (tmp_path / "lines").write_bytes(LINES)
    with (tmp_path / "lines").open("rb") as file:
        done = cli("run", "--guard", "none", "-t", "--", "sh", "-c", "stty -echo; wc -c", stdin=file)
    assert done.returncode == 0 and done.stdout.split()[-1] == b"%d" % len(LINES), done


def test_interactive_bash(kernel):
    import fcntl
    import struct
    import termios

    terminal = Terminal([sys.executable, "-m", "lodger", "run", "--guard", "none", "--", "bash", "--norc"])
    try:
        terminal.until(b"# ")
        terminal.type(b"PS1='REA''DY> '\r")
        terminal.until(b"READY> ")
        terminal.type(b"sleep 100\r")
        time.sleep(0.5)
        terminal.type(b"\x03")
        terminal.until(b"READY> ")
        terminal.type(b"echo status $?\r")
        terminal.until(b"status 130")
        terminal.type(b"sleep 100\r")
        time.sleep(0.5)
        terminal.type(b"\x1a")
        terminal.until(b"Stopped")
        terminal.type(b"jobs; fg\r")
        time.sleep(0.5)
        terminal.type(b"\x03")
        terminal.until(b"READY> ")
        fcntl.ioctl(terminal.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        terminal.child.send_signal(signal.SIGWINCH)
        time.sleep(0.3)
        terminal.type(b"stty size\r")
        terminal.until(b"33 101")
        terminal.type(b"exit 7\r")
        assert terminal.child.wait(10) == 7
    finally:
        terminal.child.kill()
        terminal.child.wait()
        os.close(terminal.ours)


def test_ctrl_z_stops_the_command_and_fg_continues_it(kernel):
    """One that Linux would not let stop by SIGTSTP: nobody in the guest could continue it."""
    stops_and_goes_on()
