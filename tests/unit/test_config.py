import pytest

from lodger.config import parse
from lodger.config.machine import machine_config
from lodger.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512M", 512 << 20),
        ("512m", 512 << 20),
        ("2GiB", 2 << 30),
        ("1.5G", 3 << 29),
        (4096, 4096),
        ("64kb", 65536),
        ("7b", 7),
    ],
)
def test_sizes(text, value):
    assert parse.size(text, "memory") == value


@pytest.mark.parametrize("text", ["", "M", "lots", "-1M", "0", "1Q", "nan", "inf", None, "1e400"])
def test_bad_sizes_say_what_to_write(text):
    with pytest.raises(ConfigError, match="memory="):
        parse.size(text, "memory")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/a:/b", ("/a", "/b")),
        ("a:/b:ro", ("a", "/b:ro")),
        ("a:/b:rw", ("a", "/b:rw")),
        ("/with:colon:/b", ("/with:colon", "/b")),
        ("/with:/colon:/b c:ro", ("/with:/colon", "/b c:ro")),
        ("/a:/b:wo", ("/a", "/b:wo")),
    ],
)
def test_volumes_of_a_command_line(text, value):
    assert parse.volume_spec(text) == value


@pytest.mark.parametrize("text", ["", ":", "::", "/a", "/a:", ":/b", ":/b:ro", "ro", ":ro", "/a:ro", "/:"])
def test_no_volumes_of_a_command_line(text):
    # The one that looks like a guest path is refused as that.
    with pytest.raises(ConfigError):
        machine_config(volumes=dict([parse.volume_spec(text)]))


@pytest.mark.parametrize(("text", "value"), [(None, None), (3, 3.0), ("1.5s", 1.5), ("2m", 120.0), ("1h", 3600.0)])
def test_times(text, value):
    assert parse.seconds(text, "timeout") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (0, (0, 0)),
        ("1000", (1000, 1000)),
        ("1:2", (1, 2)),
        ((3, 4), (3, 4)),
        ("nobody", (0, None, "nobody")),
        ("nobody:7", (0, 7, "nobody")),
        ("nobody:audio", (0, 0, "nobody", "audio")),
        ("7:audio", (7, 0, "", "audio")),
        ("٣", (0, None, "٣")),
    ],
)
def test_users(text, value):
    assert parse.user(text) == parse.User(*value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rootfs": "/no/such"}, "rootfs='/no/such'"),
        ({"memory": "1M"}, "at least 16M"),
        ({"pids": 0}, "pids=0"),
        ({"cpus": "many"}, "cpus='many'"),
        ({"hostname": "a b"}, "hostname='a b'"),
        ({"hostname": ""}, "hostname="),
        ({"monitor": "magic"}, "choose one of inline"),
        ({"guard": "mprotect"}, "cannot work with spaces='multi'"),
        ({"machine": "classic", "cpus": 2}, "uniprocessor"),
        ({"machine": "fast"}, "choose one of classic"),
        ({"spaces": "flat"}, "choose one of multi"),
        ({"workdir": "tmp"}, "workdir='tmp'"),
        ({"workdir": "/a/../b"}, r"\.\."),
        ({"env": {"A=B": "c"}}, "A=B"),
        ({"env": {"A": 1}}, "A=1"),
        ({"user": ""}, "user=''"),
        ({"user": "me:"}, "user='me:'"),
        ({"user": ":me"}, "user=':me'"),
        ({"user": "-1"}, "user='-1'"),
        ({"user": "+1"}, "user='.1'"),
        ({"user": "a\0b"}, "USER"),
        ({"user": "\ud800"}, "no character"),
        ({"user": "4294967295"}, "out of range"),
        ({"env": {"A": "\ud800"}}, "no character"),
        ({"workdir": "/\ud800"}, "no character"),
        ({"rootfs": "/\ud800"}, "no character"),
        ({"volumes": {"/tmp": "/\ud800"}}, "no character"),
        ({"user": "1:2:3"}, "1:2:3"),
        ({"user": -1}, "out of range"),
        ({"volumes": {"/no/such": "/x"}}, "create it first"),
        ({"volumes": {"/tmp": "x"}}, "volume target='x'"),
        ({"volumes": {"/tmp": "/x:wo"}}, "ro or rw"),
        ({"volumes": {"/tmp": "/"}}, "whole guest"),
        ({"volumes": {"/tmp": "/x", "/usr": "/x"}}, "two volumes"),
        ({"volumes": ["/tmp:/x"]}, "not a mapping"),
        ({"volumes": {"/tmp": 3}}, "guest path 3"),
        ({"volumes": {4: "/x"}}, "volume source=4"),
        ({"env": ["A=1"]}, "not a mapping"),
        ({"rootfs": None}, "rootfs=None"),
        ({"rootfs": ""}, "rootfs=''"),
        ({"rootfs": 3}, "rootfs=3"),
        ({"hostname": 3}, "hostname=3"),
        ({"pids": True}, "pids=True"),
        ({"pids": 1.5}, "pids=1.5"),
        ({"memory": None}, "memory=None"),
        ({"user": None}, "user=None"),
        ({"user": True}, "user=True"),
        ({"user": (1, None)}, r"\(UID, GID\)"),
        ({"workdir": 3}, "workdir=3"),
        ({"monitor": 3}, "choose one of inline"),
        ({"trace": 1.5}, "trace=1.5"),
        ({"disk": 1}, "at least 1M"),
        ({"monitor": ""}, "monitor=''"),
        ({"spaces": ""}, "spaces=''"),
        ({"guard": ""}, "guard=''"),
        ({"machine": ""}, "machine=''"),
    ],
)
def test_mistakes_are_named(settings, words):
    with pytest.raises(ConfigError, match=words):
        machine_config(**settings)


def test_defaults_and_freezing(monkeypatch):
    monkeypatch.delenv("LODGER_GUARD", raising=False)
    config = machine_config(volumes={"/tmp": "/data:ro"})
    assert config.memory == 512 << 20 and config.disk == 256 << 20 and not config.guard_chosen
    assert config.volumes[0].target == "/data" and config.volumes[0].read_only
    with pytest.raises(AttributeError):
        config.memory = 1
    monkeypatch.setenv("LODGER_GUARD", "none")
    assert machine_config().guard == "none" and machine_config().guard_chosen


def test_the_environment_names_the_machine(monkeypatch):
    monkeypatch.setenv("LODGER_SPACES", "remap")
    monkeypatch.setenv("LODGER_GUARD", "mprotect")
    config = machine_config()
    assert (config.monitor, config.guard, config.spaces) == ("inline", "mprotect", "remap")
    # A machine that is named is as it is named.
    config = machine_config(machine="+multi", guard="none")
    assert (config.monitor, config.guard, config.spaces) == ("host", "none", "multi")
    monkeypatch.setenv("LODGER_MACHINE", "classic")
    monkeypatch.setenv("LODGER_MONITOR", "host")
    assert machine_config().monitor == "host"
    monkeypatch.setenv("LODGER_MONITOR", "magic")
    with pytest.raises(ConfigError, match="monitor='magic' is unknown"):
        machine_config()


def test_volumes_of_one_directory_and_one_under_another(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "a").mkdir()
    here = str(tmp_path)
    config = machine_config(volumes={f"{here}/a": ["/data/more", "/second:ro"], here: "/data"})
    assert [(v.source, v.target, v.read_only) for v in config.volumes] == [
        (f"{here}/a", "/second", True), (here, "/data", False), (f"{here}/a", "/data/more", False),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="two volumes want"):
        machine_config(volumes={here: ["/x", "/x/"]})
    with pytest.raises(ConfigError, match="is a file"):
        machine_config(volumes={f"{here}/file": "/x"})
