import os
import sys
import time

import pytest

from lodger.boot.plan import choose_divert, choose_guard, plan
from lodger.config.machine import machine_config
from lodger.errors import ConfigError
from lodger.image import hostroot
from lodger.image.tree import DIRECTORY, FILE, OVERLAY, Mount, Node


def steps(**settings):
    return plan(machine_config(guard="none", **settings)).steps


def test_host_root_shows_programs_and_hides_state():
    made = steps()
    mounted = [s.source for s in made if isinstance(s, Mount) and s.on_host]
    assert "/usr" in mounted
    for secret in (
        "/",
        "/home",
        "/root",
        "/proc",
        "/sys",
        "/run",
        "/var",
        "/etc",
        "/dev",
        "/etc/ssl",
        "/etc/ssl/private",
    ):
        assert secret not in mounted
    for path in mounted:
        assert (
            path.startswith(("/usr", "/opt", "/etc/", "/bin", "/sbin", "/lib"))
            or path in hostroot.interpreter_prefixes()
        )
    kinds = {s.target: s.kind for s in made if isinstance(s, Mount)}
    assert kinds["/proc"] == "proc" and kinds["/dev"] == "dev" and kinds["/sys"] == "sys" and kinds["/tmp"] == "tmpfs"


def test_root_comes_first_and_tmp_is_open_to_all():
    made = steps()
    assert made[0] == Mount("overlay", "/")
    tmp = [i for i, s in enumerate(made) if getattr(s, "target", getattr(s, "path", "")) == "/tmp"]
    assert made[tmp[-1]] == Node(DIRECTORY, "/tmp", 0o1777)


def test_no_person_of_the_host_is_known_inside():
    text = next(s.content for s in steps() if isinstance(s, Node) and s.path == "/etc/passwd")
    numbers = [int(line.split(b":")[2]) for line in text.splitlines()]
    assert 0 in numbers
    assert all(n < 1000 or n == 65534 for n in numbers)


def test_names_and_no_secret_files():
    made = {s.path: s for s in steps(hostname="inn") if isinstance(s, Node) and s.kind == FILE}
    assert made["/etc/hostname"].content == b"inn\n"
    assert b"inn" in made["/etc/hosts"].content
    assert made["/etc/resolv.conf"].content == b""
    assert not {"/etc/shadow", "/etc/gshadow", "/etc/machine-id"} & made.keys()


def test_people_stay_unknown():
    passwd = hostroot._system_entries(b"root:x:0:0::/root:\nlogs:x:50:50::/:\nann:x:1000:1000:Ann:/home/ann:\nbad\n")
    assert passwd == b"root:x:0:0::/root:\nlogs:x:50:50::/:\n"
    groups = b"adm:x:4:ann,logs,bob\nann:x:1000:\nsudo:x:27:ann\n"
    assert hostroot._system_entries(groups, hostroot._names(passwd)) == b"adm:x:4:logs\nsudo:x:27:\n"


def test_prefix_of_the_interpreter(monkeypatch, tmp_path):
    home = tmp_path / "ann"
    prefix = home / "pythons" / "3.11"
    prefix.mkdir(parents=True)
    monkeypatch.setattr(sys, "base_prefix", str(prefix))
    monkeypatch.setattr(sys, "base_exec_prefix", str(prefix))
    monkeypatch.setattr(sys, "prefix", str(home))
    monkeypatch.setenv("HOME", str(home))
    assert hostroot.interpreter_prefixes() == [str(prefix)]
    monkeypatch.setattr(sys, "prefix", "/usr")
    assert "/usr" not in hostroot.interpreter_prefixes()


def test_directory_root(tmp_path):
    made = steps(rootfs=tmp_path)
    assert made[0] == Mount(OVERLAY, "/", str(tmp_path))
    assert any(getattr(s, "target", "") == "/tmp" for s in made)
    (tmp_path / "tmp").mkdir()
    assert not any(getattr(s, "target", "") == "/tmp" for s in steps(rootfs=tmp_path))
    (tmp_path / "tmp").rmdir()
    (tmp_path / "tmp").symlink_to("/nowhere")
    assert not any(getattr(s, "target", "") == "/tmp" for s in steps(rootfs=tmp_path))


def test_volumes_decide_what_may_be_written(tmp_path):
    (tmp_path / "a").mkdir()
    made = plan(machine_config(guard="none", volumes={str(tmp_path): "/rw", str(tmp_path / "a"): "/ro:ro"}))
    writable = [path for path, may in made.directories() if may]
    assert writable == [str(tmp_path)]
    assert (str(tmp_path / "a"), False) in made.directories()


def test_guard(monkeypatch):
    monkeypatch.setattr("lodger.host.features.has_pkeys", lambda: False)
    monkeypatch.delenv("LODGER_GUARD", raising=False)
    assert choose_guard(machine_config(), "dispatch") == "none"
    with pytest.raises(ConfigError, match="memory protection keys"):
        choose_guard(machine_config(guard="pkey"), "dispatch")
    monkeypatch.setattr("lodger.host.features.has_pkeys", lambda: True)
    assert choose_guard(machine_config(), "dispatch") == "pkey"
    assert choose_guard(machine_config(guard="none"), "dispatch") == "none"
    # Keys without user dispatch hold nothing.
    assert choose_guard(machine_config(), "seccomp") == "none"
    with pytest.raises(ConfigError, match="cannot hold"):
        choose_guard(machine_config(guard="pkey"), "seccomp")


def test_divert(monkeypatch):
    monkeypatch.delenv("LODGER_DIVERT", raising=False)
    for there, chosen in ((True, "dispatch"), (False, "seccomp")):
        monkeypatch.setattr("lodger.host.features.has_user_dispatch", lambda there=there: there)
        assert choose_divert(machine_config()) == chosen
        assert choose_divert(machine_config(machine="classic")) == ""
    monkeypatch.setenv("LODGER_DIVERT", "dispatch")
    assert choose_divert(machine_config()) == "dispatch"


def test_a_warm_plan_is_quick():
    config = machine_config(guard="none")
    plan(config)
    best = min(_seconds(lambda: plan(config)) for _ in range(20))
    assert best < 0.002 * (4 if os.environ.get("CI") else 1.5)


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_an_interpreter_beneath_tmp_is_seen(tmp_path, monkeypatch):
    prefix = os.path.realpath(tmp_path)
    if not prefix.startswith("/tmp/"):
        pytest.skip(f"temporary files of this host are in {prefix}, not beneath /tmp")
    monkeypatch.setattr("sys.prefix", prefix)
    made = [step.target for step in steps() if isinstance(step, Mount)]
    assert made.index("/tmp") < made.index(prefix)
