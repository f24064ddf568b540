"""MachineConfig: everything that decides what a VM is, checked and frozen."""

from __future__ import annotations

import os

from lodger._record import record
from lodger.config import parse
from lodger.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lodger.config.parse import User

MONITORS = ("inline", "host", "process")
GUARDS = ("auto", "pkey", "none", "mprotect")
SPACES = ("multi", "remap")

MIN_MEMORY = 16 << 20
MAX_MEMORY = 1 << 42
MIN_DISK = 1 << 20
#: Writable layers may take this share of memory unless ``disk`` says otherwise.
DISK_SHARE = 2

_HOSTNAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
#: The ladder: each step changes one switch of the one before (monitor, guard, spaces).
MACHINES: dict[str, tuple[str, str, str]] = {
    "classic": ("process", "mprotect", "remap"),
    "+host": ("host", "mprotect", "remap"),
    "+pkey": ("host", "auto", "remap"),
    "+multi": ("host", "auto", "multi"),
    "default": ("inline", "auto", "multi"),
}


@record(frozen=True)
class Volume:
    """A host directory shown in the guest."""

    source: str
    target: str
    read_only: bool


@record(frozen=True)
class MachineConfig:
    """A checked machine description; make one with :func:`machine_config`."""

    rootfs: str
    volumes: tuple[Volume, ...]
    env: tuple[tuple[str, str], ...]
    workdir: str
    user: User
    hostname: str
    memory: int
    """bytes"""
    cpus: int
    pids: int
    machine: str
    """the step of the ladder that the switches were taken from"""
    monitor: str
    guard: str
    spaces: str
    trace: str | int | None
    """a file name or descriptor for trace lines; None is off"""
    count_calls: bool
    """``stats()`` tells each system call's count, host calls and time; costs two looks at the clock a call"""
    disk: int
    """bytes that the writable layers may hold"""
    max_files: int
    guard_chosen: bool
    """the user named the guard, so its weakness needs no warning"""


def machine_config(
    *,
    rootfs: str | os.PathLike[str] = "host",
    volumes: Mapping[str, str | Sequence[str]] | None = None,
    env: Mapping[str, str] | None = None,
    workdir: str | os.PathLike[str] = "/",
    user: int | str | tuple[int, int] = 0,
    hostname: str = "lodger",
    memory: str | int = "512M",
    cpus: int | None = None,
    pids: int = 1024,
    machine: str | None = None,
    monitor: str | None = None,
    guard: str | None = None,
    spaces: str | None = None,
    trace: bool | str | int | os.PathLike[str] | None = None,
    count_calls: bool = False,
    disk: str | int | None = None,
    max_files: int = 65536,
) -> MachineConfig:
    """Check every setting. Raises ConfigError that names the setting, its value and the way out.

    ``machine`` names a step of the ladder; ``monitor``, ``guard`` and ``spaces`` set its switches singly. Where they
    are left out the environment decides (LODGER_MACHINE, LODGER_MONITOR, LODGER_GUARD, LODGER_SPACES): so a whole test
    suite runs on another machine.
    """
    root = parse.path(rootfs, "rootfs")
    if root != "host":
        root = parse.host_path(root, "rootfs")
        if not os.path.isdir(root):
            raise ConfigError(f"rootfs={rootfs!r} is neither 'host' nor a directory: give a root file system's path")
        if not os.access(root, os.R_OK | os.X_OK):
            raise ConfigError(
                f"rootfs={rootfs!r} cannot be read by user {os.geteuid()}: let it, or give another directory"
            )
    if (
        not isinstance(hostname, str)
        or not hostname
        or len(hostname) > 64
        or not set(hostname) <= _HOSTNAME
        or hostname[0] in "-."
    ):
        raise ConfigError(f"hostname={hostname!r} is not a host name: use 1 to 64 letters, digits, '-' and '.'")
    nbytes = parse.size(memory, "memory")
    if not MIN_MEMORY <= nbytes <= MAX_MEMORY:
        raise ConfigError(f"memory={memory!r} is out of range: give at least 16M and at most 4T")
    online = len(os.sched_getaffinity(0))
    environment = os.environ.get("LODGER_GUARD")
    if machine is None:
        machine = os.environ.get("LODGER_MACHINE") or "default"
        if monitor is None:
            monitor = os.environ.get("LODGER_MONITOR") or None
        if spaces is None:
            spaces = os.environ.get("LODGER_SPACES") or None
    seam("machine", machine, tuple(MACHINES))
    step = MACHINES[machine]
    monitor = step[0] if monitor is None else monitor
    spaces = step[2] if spaces is None else spaces
    asked, guard = guard, step[1] if guard is None else guard
    chosen = asked not in (None, "auto") or environment is not None
    if guard == "auto" and environment:
        guard = environment
    seam("monitor", monitor, MONITORS)
    seam("guard", guard, GUARDS)
    seam("spaces", spaces, SPACES)
    check_together(guard, spaces, cpus)
    shown = parse.mapping(volumes, "volumes", "{'./src': '/src:ro'}")
    mounts = tuple(
        Volume(*parse.volume(parse.path(source, "volume source"), target))
        for source, targets in shown.items()
        for target in (targets if isinstance(targets, (list, tuple)) else (targets,))
    )
    targets = [v.target for v in mounts]
    for target in targets:
        if targets.count(target) > 1:
            raise ConfigError(f"two volumes want the guest path {target}: give each its own")
    # In whatever order they are written: a volume at /data must not cover the one at /data/more.
    mounts = tuple(sorted(mounts, key=lambda v: v.target.count("/")))
    return MachineConfig(
        rootfs=root,
        volumes=mounts,
        env=parse.environment(env),
        workdir=parse.absolute(workdir, "workdir"),
        user=parse.user(user),
        hostname=hostname,
        memory=nbytes,
        cpus=_processors(spaces, cpus, online),
        pids=parse.count(pids, "pids", 1, 4194304),
        machine=machine,
        monitor=monitor,
        guard=guard,
        spaces=spaces,
        trace=_trace(trace),
        count_calls=bool(count_calls),
        disk=nbytes // DISK_SHARE if disk is None else _disk(disk),
        max_files=parse.count(max_files, "max_files", 16, 1 << 22),
        guard_chosen=chosen,
    )


def seam(what: str, value: str, known: tuple[str, ...]) -> None:
    """Check one of the three switches. Raises ConfigError for an unknown value."""
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{what}={value!r} is unknown: choose one of {', '.join(known)}")


def check_together(guard: str, spaces: str, cpus: int | None) -> None:
    """Refuse what cannot work together. Raises ConfigError that says why."""
    if guard == "mprotect" and spaces == "multi":
        raise ConfigError(
            "guard='mprotect' cannot work with spaces='multi': there the threads of a process run at the same time, "
            "some in the guest kernel and some in the application, and mprotect opens or closes the guest kernel's "
            "memory for all of them at once. Use spaces='remap', or guard='pkey', whose rights are a thread's own"
        )
    if spaces == "remap" and cpus is not None and cpus != 1:
        raise ConfigError(
            f"cpus={cpus} cannot work with spaces='remap': one host process is the whole machine there, and its "
            "virtual hardware is a uniprocessor. Leave cpus out, or use spaces='multi'"
        )


def _processors(spaces: str, cpus: int | None, online: int) -> int:
    if spaces == "remap":
        return 1
    return online if cpus is None else parse.count(cpus, "cpus", 1, 1024)


def _disk(value: str | int) -> int:
    number = parse.size(value, "disk")
    if number < MIN_DISK:
        raise ConfigError(f"disk={value!r} is too little for the machine's own files: give at least 1M")
    return number


def _trace(value: bool | str | int | os.PathLike[str] | None) -> str | int | None:
    if value is None or value is False:
        return None
    if value is True:
        return 2
    return value if isinstance(value, int) else parse.path(value, "trace")
