import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from lodger.cli.options import Option, parse
from lodger.cli.run import OPTIONS, settings
from lodger.errors import ConfigError

LODGER = [sys.executable, "-m", "lodger"]


def lodger(*words, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([*LODGER, *words], capture_output=True, timeout=30, **options)


def test_options():
    values, rest = parse(
        OPTIONS, ["-v", "/a:/b", "-e", "A=1", "-eB=2", "--memory=1G", "-u5", "-T", "--trace", "ls", "-l"]
    )
    assert values == {
        "volume": ["/a:/b"],
        "env": ["A=1", "B=2"],
        "memory": "1G",
        "user": "5",
        "no_tty": True,
        "trace": True,
    }
    assert rest == ["ls", "-l"]
    assert parse(OPTIONS, ["--stats=json", "--", "--x"]) == ({"stats": "json"}, ["--x"])
    assert parse(OPTIONS, ["cat", "--", "-"])[1] == ["cat", "--", "-"]


@pytest.mark.parametrize("words", [["--memroy", "1"], ["-v"], ["-T=1"], ["-x"]])
def test_wrong_options(words):
    with pytest.raises(ConfigError, match="option"):
        parse(OPTIONS, words)


def test_near_miss():
    with pytest.raises(ConfigError, match="did you mean --memory"):
        parse((Option("--memory", "value", ""),), ["--memroy=1"])


def test_settings(monkeypatch):
    monkeypatch.setenv("TAKEN", "yes")
    monkeypatch.delenv("ABSENT", raising=False)
    values, _ = parse(OPTIONS, ["-v/a:/b:ro", "-e", "TAKEN", "-e", "ABSENT", "-w", "/x"])
    assert settings(values) == {"workdir": "/x", "volumes": {"/a": ["/b:ro"]}, "env": {"TAKEN": "yes"}}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["run", "true"], 0),
        (["run", "--", "false"], 1),
        (["run", "sh", "-c", "exit 42"], 42),
        (["run", "sh", "-c", "kill -9 $$"], 137),
        (["run", "--timeout", "0.2", "sleep", "9"], 124),
        (["run", "no-such-program"], 127),
        (["run", "/etc/passwd"], 126),
        (["run", "--memory", "tiny", "true"], 125),
        (["run"], 125),
        (["run", "--monitor", "magic", "true"], 125),
        (["run", "--stats=xml", "true"], 125),
        (["run", "--timeout", "0", "sh", "-c", "sleep 0.1; exit 3"], 3),
        (["run", "-e", "", "true"], 125),
        (["run", "-e", "=x", "true"], 125),
        (["run", "--rootfs", "", "true"], 125),
        (["run", "-w", "", "true"], 125),
        (["run", "-u", "", "true"], 125),
        (["doctor", "bogus"], 125),
        (["syscalls", "bogus"], 125),
        (["version", "bogus"], 125),
        (["walk"], 125),
        (["run", "panic"], 125),
        (["run", "die"], 125),
    ],
)
def test_exit_status(fake, words, status):
    done = lodger(*words)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr
    if status >= 125 and status < 128:
        assert done.stderr.startswith((b"lodger: ", b"lodger: warning"))


def test_bytes_pass_through(fake):
    data = os.urandom(300_000)
    done = subprocess.run(
        [*LODGER, "run", "sh", "-c", "cat; printf e >&2"], input=data, capture_output=True, timeout=30
    )
    assert done.stdout == data
    assert done.stderr.endswith(b"e")


def test_the_missing_guard_is_loud_unless_chosen(fake, monkeypatch):
    monkeypatch.delenv("LODGER_GUARD", raising=False)
    from lodger.host.features import has_pkeys

    assert (b"warning" in lodger("run", "true").stderr) is not has_pkeys()
    assert lodger("run", "--guard", "none", "true").stderr == b""
    monkeypatch.setenv("LODGER_GUARD", "none")
    assert lodger("run", "true").stderr == b""


def test_stats(fake):
    done = lodger("run", "--guard", "none", "--stats=json", "true")
    numbers = json.loads(done.stderr)
    assert "steps" in numbers and numbers["command"]["max_rss_kib"] > 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_signals_are_handed_on(fake, number, status):
    child = subprocess.Popen([*LODGER, "run", "sh", "-c", "echo up; exec sleep 60"], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    child.send_signal(number)
    assert child.wait(10) == status
    child.stdout.close()


def test_terminal_is_raw_and_comes_back(fake):
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    child = subprocess.Popen(
        [*LODGER, "run", "sh", "-c", "echo up; read x; exit 5"], stdin=theirs, stdout=theirs, stderr=theirs
    )
    seen = b""
    while b"up" not in seen and select.select([ours], [], [], 10)[0]:
        seen += os.read(ours, 1000)
    assert not termios.tcgetattr(theirs)[3] & termios.ICANON
    os.write(ours, b"x\n")
    assert child.wait(10) == 5
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_doctor(fake):
    done = lodger("doctor", "--json")
    found = {f["name"]: f for f in json.loads(done.stdout)}
    assert found["guest-kernel"]["present"] and found["linux"]["present"]
    assert b"memory-keys" in lodger("doctor").stdout


def test_syscalls_and_version(fake):
    assert json.loads(lodger("syscalls", "--json").stdout)[0]["name"] == "read"
    assert b"read" in lodger("syscalls").stdout
    assert b"guest kernel fake 0" in lodger("version").stdout


def test_starting_is_cheap(fake, monkeypatch):
    """The Python half of `lodger run` beside `python3 -c pass`; the limit leaves the rest to the guest kernel."""

    def median(argv):
        times = []
        for _ in range(9):
            start = time.perf_counter()
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True)
            times.append(time.perf_counter() - start)
        return sorted(times)[4]

    code = "import lodger.cli.run, lodger.monitor.inprocess, lodger.image.hostroot, lodger.host.libc"
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    subprocess.run([sys.executable, "-c", code], check=True)  # writes the .pyc files
    assert median([sys.executable, "-c", code]) < 2.5 * median([sys.executable, "-c", "pass"])


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors(closed, tmp_path):
    """They are /dev/null then: no pipe of Lodger's own becomes a command's stream."""
    code = "import sys; from lodger.cli import main; main._fill_standard_descriptors(); import os; r, w = os.pipe(); open(sys.argv[1], 'w').write(str(min(r, w)))"
    script = f'exec "$0" -c "$1" "$2" {closed}'
    subprocess.run(["sh", "-c", script, sys.executable, code, str(tmp_path / "lowest")], check=True, timeout=20)
    assert int((tmp_path / "lowest").read_text()) > 2
