"""Where overhead comes from: the machine's counters against a witness of their own, and the verbs that show them.

The witness is strace on the host: it sees what the host sees, and knows nothing of what the machine counts.
"""

import collections
import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

import pytest

import lodger

LADDER = ["classic", "+host", "+pkey", "+multi", "default"]
SCRIPT = "for i in 1 2 3; do /bin/true; done; seq 2000 | wc -l"


def host_calls(folder, prefix):
    """By process of the host: its system calls as strace wrote them."""
    return [[line for line in f.read_text().splitlines() if "(" in line] for f in folder.glob(f"{prefix}.*")]


def near(counted, seen):
    """The last counts are read a little before the machine ends; nothing is counted twice or forgotten."""
    return seen - 12 <= counted <= seen


def test_counters_of_protection_and_mapping(kernel, tmp_path):
    """Costs 2 and 3: what the guest-machine process asked its host for (+host: nobody else traces it)."""
    out = tmp_path / "stats"
    words = ["strace", "-ff", "-qq", "-o", str(tmp_path / "seen"), "-e", "trace=mprotect,mmap,munmap"]
    words += [sys.executable, "-m", "lodger", "run", "--machine", "+host", "--stats=json", "--", "sh", "-c", SCRIPT]
    with out.open("wb") as stderr:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL, timeout=60)
    assert done.stdout == b"2000\n", out.read_text()
    stats = json.loads(out.read_text())
    region = re.compile(r"mprotect\(0x70000000, 1342177280, ")
    machine = max(host_calls(tmp_path, "seen"), key=lambda lines: sum(map(bool, map(region.match, lines))))
    seen = collections.Counter(line.split("(")[0] for line in machine)
    protects = sum(map(bool, map(region.match, machine)))
    assert protects > 500 and near(stats["guard_protects"], protects), (stats["guard_protects"], protects)
    assert stats["unmaps"] > 50 and near(stats["unmaps"], seen["munmap"]), (stats["unmaps"], seen)
    sizes = [re.match(r"mmap\(0x\w+, (\d+), .*MAP_SHARED\|MAP_FIXED, ", line) for line in machine]
    pages = sum(int(m[1]) // 4096 for m in sizes if m)
    assert pages > 1000 and near(stats["pages_mapped"], pages), (stats["pages_mapped"], pages)


def test_counters_of_stops(kernel, tmp_path):
    """Cost 1: each stop is one wait of the tracer's that came back."""
    seen = tmp_path / "seen"
    with lodger.VM(machine="classic") as vm:
        vm.run(["true"])
        tracer = vm._machine.channel.connection.child.pid
        witness = subprocess.Popen(["strace", "-qq", "-e", "trace=wait4", "-o", seen, "-p", str(tracer)])
        while not re.search(r"TracerPid:\s*[1-9]", pathlib.Path(f"/proc/{tracer}/status").read_text()):
            time.sleep(0.01)
        before = vm.stats()["monitor"]
        assert vm.run(["sh", "-c", SCRIPT]).stdout == b"2000\n"
        after = vm.stats()["monitor"]
        witness.send_signal(signal.SIGINT)
        witness.wait(10)
    waits = sum(1 for line in seen.read_text().splitlines() if re.search(r"WIFSTOPPED", line))
    stops = after["stops"] - before["stops"]
    assert stops > 1000 and abs(stops - waits) <= 4, (stops, waits)
    assert after["context_switches"] - before["context_switches"] == 2 * stops
    assert after["refused"] == 0


def test_counters_of_system_calls(kernel):
    """What an application asks for, on every step of the ladder: as often as strace sees it on the bare host."""
    argv = ["sh", "-c", "cd /; pwd; umask; cd /usr; umask 077; pwd"]
    native = subprocess.run(["strace", "-qq", "-c", "-U", "calls,name", *argv], capture_output=True, text=True)
    expected = {name: int(n) for n, name in re.findall(r"^\s*(\d+) (\w+)$", native.stderr, re.M)}
    for machine in LADDER:
        with lodger.VM(machine=machine, count_calls=True) as vm:
            assert vm.run(argv, text=True).stdout == native.stdout
            calls = vm.stats()["calls"]
        for name in ("umask", "chdir", "write"):
            assert calls[name][0] == expected.get(name, 0), (machine, name, calls)


@pytest.mark.parametrize("machine", ["classic", "default"])
def test_profile(cli, machine):
    done = cli("profile", "--machine", machine, "--json", "--", "sh", "-c", SCRIPT + "; exit 3")
    found = json.loads(done.stdout)
    assert done.returncode == 3 and found["status"] == 3 and found["machine"] == machine
    costs = {c["cost"]: c for c in found["costs"]}
    parts = sum(c["seconds"] for c in costs.values()) + found["own_seconds"]
    assert parts == pytest.approx(found["seconds"], rel=0.01)
    assert {"system_calls", "initiation", "unit_costs"} <= found.keys()
    three = {"context switches", "protection", "mapping"}
    if machine == "classic":
        assert three <= costs.keys() and all(costs[c]["seconds"] > 0 for c in three)
        causes = {o["cause"]: o["count"] for o in costs["context switches"]["origins"]}
        assert sum(causes.values()) == pytest.approx(costs["context switches"]["count"], rel=0.02)
        assert any(c.startswith("system call ") for c in causes) and "host call mprotect" in causes
    else:
        assert not three & costs.keys()


def test_profile_table_and_figure(cli, tmp_path):
    plots = [tmp_path / f"p.{kind}" for kind in ("svg", "html", "png")]
    for plot in plots:
        done = cli("profile", "--machine", "classic", "--plot", str(plot), "--", "echo", "out")
        assert done.returncode == 0 and done.stdout == b"out\n", done.stderr
        for words in (b"1 host context switches", b"2 memory protection", b"3 memory mapping", b"VM initiation"):
            assert words in done.stderr
    xml.etree.ElementTree.parse(plots[0])
    assert b"<svg" in plots[1].read_bytes() and plots[2].read_bytes().startswith(b"\x89PNG")
    assert cli("profile", "--plot", "p.gif", "true").returncode == 125
    assert cli("profile").returncode == 125


def test_ladder(cli, tmp_path):
    plot = tmp_path / "ladder.svg"
    done = cli("ladder", "--repeat", "1", "--json", "--plot", str(plot), "--", "sh", "-c", SCRIPT, timeout=120)
    assert done.returncode == 0, done.stderr
    (rungs,) = json.loads(done.stdout)["works"].values()
    assert [r["machine"] for r in rungs] == ["host", *LADDER]
    assert not [r for r in rungs if r.get("note")], rungs
    counters = [r["profile"]["counters"] for r in rungs[1:]]
    # Each step has got rid of its cost.
    assert [bool(c.get("monitor_stops")) for c in counters] == [True, False, False, False, False]
    assert [bool(c["guard_protects"]) for c in counters] == [True, True, False, False, False]
    assert [bool(c["process_switches"]) for c in counters] == [True, True, True, False, False]
    assert b"run 1 of 1" in done.stderr
    xml.etree.ElementTree.parse(plot)
    failing = cli("ladder", "--plot", str(plot), "--", "false")
    assert failing.returncode == 125 and b"fails on the host already" in failing.stderr


def test_trace_of_the_host(cli, tmp_path):
    lines = {}
    for machine in ("classic", "default"):
        out = tmp_path / machine
        done = cli("trace", "--host", "-o", str(out), "--machine", machine, "--", "echo", "hi")
        assert done.returncode == 0 and done.stdout == b"hi\n", done.stderr
        lines[machine] = out.read_text()
    assert re.search(r"guest user +system call write: made harmless, redirected by SIGUSR1", lines["classic"])
    assert re.search(r"guest kernel +host call mprotect\(0x70000000, 0x50000000, 0x7", lines["classic"])
    assert "SIGUSR1" not in lines["default"] and "signal SIGSYS" in lines["default"]


def test_stats_break_initiation_down(cli):
    done = cli("run", "--stats", "--machine", "classic", "true")
    for phase in (
        "VMM start",
        "memory files",
        "process creation",
        "guest kernel boot",
        "root file system",
        "from ready to",
    ):
        assert re.search(rf"^ +{phase}.* \d+\.\d+ ms$", done.stderr.decode(), re.M), (phase, done.stderr)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--machine", "default", "--guard", "mprotect"], "multi"),
        (["--spaces", "remap", "--cpus", "2"], "uniprocessor"),
        (["--machine", "modern"], "classic"),
    ],
)
def test_combinations_that_cannot_work_say_why(cli, words, why):
    done = cli("run", *words, "true")
    assert done.returncode == 125 and why.encode() in done.stderr and b"Traceback" not in done.stderr


def test_words_that_are_no_text(cli, tmp_path):
    word = b"\xff"
    for kind in ("svg", "html", "png"):
        done = cli("profile", "--guard", "none", "--plot", str(tmp_path / f"p.{kind}"), "--", "echo", word)
        assert done.returncode == 0 and done.stdout == b"\xff\n", done
    done = cli("ladder", "--repeat", "1", "--plot", str(tmp_path / "l.html"), "--", "echo", word, timeout=120)
    assert done.returncode == 0 and b"echo \\udcff" in done.stdout, done


def test_a_figure_that_cannot_be_written_is_said_first(cli, tmp_path):
    (tmp_path / "d.svg").mkdir()
    for path, words in ((tmp_path / "no" / "p.svg", b"No such file"), (tmp_path / "d.svg", b"Is a directory")):
        for verb in ("profile", "ladder"):
            done = cli(verb, "--plot", str(path), "--", "sh", "-c", "echo ran >&2")
            assert done.returncode == 125 and words in done.stderr and b"ran" not in done.stderr, done
