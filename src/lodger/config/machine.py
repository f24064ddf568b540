"""MachineConfig: everything that decides what a VM is, checked and frozen."""

from __future__ import annotations

import os

from lodger._record import record
from lodger.config import parse
from lodger.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MONITORS = ("inline", "host", "process")
GUARDS = ("auto", "pkey", "none", "mprotect")
SPACES = ("multi", "remap")

MIN_MEMORY = 16 << 20
MAX_MEMORY = 1 << 42
#: Writable layers may take this share of memory unless ``disk`` says otherwise.
DISK_SHARE = 2

_HOSTNAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
_NOT_BUILT = {
    "monitor": {"process"},
    "guard": {"mprotect"},
    "spaces": {"remap"},
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
    user: tuple[int, int]
    hostname: str
    memory: int
    """bytes"""
    cpus: int
    pids: int
    monitor: str
    guard: str
    spaces: str
    trace: str | int | None
    """a file name or descriptor for trace lines; None is off"""
    disk: int
    """bytes that the writable layers may hold"""
    max_files: int
    guard_chosen: bool
    """the user named the guard, so its weakness needs no warning"""


def machine_config(
    *,
    rootfs: str | os.PathLike[str] = "host",
    volumes: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    workdir: str = "/",
    user: int | str | tuple[int, int] = 0,
    hostname: str = "lodger",
    memory: str | int = "512M",
    cpus: int | None = None,
    pids: int = 1024,
    monitor: str = "inline",
    guard: str = "auto",
    spaces: str = "multi",
    trace: bool | str | int | os.PathLike[str] | None = None,
    disk: str | int | None = None,
    max_files: int = 65536,
) -> MachineConfig:
    """Check every setting. Raises ConfigError that names the setting, its value and the way out."""
    root = os.fspath(rootfs)
    if root != "host":
        root = os.path.abspath(os.path.expanduser(root))
        if not os.path.isdir(root):
            raise ConfigError(f"rootfs={rootfs!r} is neither 'host' nor a directory: give a root file system's path")
    if not hostname or len(hostname) > 64 or not set(hostname) <= _HOSTNAME or hostname[0] in "-.":
        raise ConfigError(f"hostname={hostname!r} is not a host name: use 1 to 64 letters, digits, '-' and '.'")
    nbytes = parse.size(memory, "memory")
    if not MIN_MEMORY <= nbytes <= MAX_MEMORY:
        raise ConfigError(f"memory={memory!r} is out of range: give at least 16M and at most 4T")
    online = len(os.sched_getaffinity(0))
    environment = os.environ.get("LODGER_GUARD")
    chosen = guard != "auto" or environment is not None
    if guard == "auto" and environment:
        guard = environment
    seam("monitor", monitor, MONITORS)
    seam("guard", guard, GUARDS)
    seam("spaces", spaces, SPACES)
    mounts = tuple(Volume(*parse.volume(os.fspath(s), t)) for s, t in (volumes or {}).items())
    targets = [v.target for v in mounts]
    for target in targets:
        if targets.count(target) > 1:
            raise ConfigError(f"two volumes want the guest path {target}: give each its own")
    return MachineConfig(
        rootfs=root,
        volumes=mounts,
        env=parse.environment(env or {}),
        workdir=parse.absolute(workdir, "workdir"),
        user=parse.user(user),
        hostname=hostname,
        memory=nbytes,
        cpus=online if cpus is None else parse.count(cpus, "cpus", 1, 1024),
        pids=parse.count(pids, "pids", 1, 4194304),
        monitor=monitor,
        guard=guard,
        spaces=spaces,
        trace=_trace(trace),
        disk=nbytes // DISK_SHARE if disk is None else parse.size(disk, "disk"),
        max_files=parse.count(max_files, "max_files", 16, 1 << 22),
        guard_chosen=chosen,
    )


def seam(what: str, value: str, known: tuple[str, ...]) -> None:
    """Check one of the three switches. Raises ConfigError for an unknown or not yet built value."""
    if value not in known:
        raise ConfigError(f"{what}={value!r} is unknown: choose one of {', '.join(known)}")
    if value in _NOT_BUILT[what]:
        built = [k for k in known if k not in _NOT_BUILT[what]]
        raise ConfigError(f"{what}={value!r} is not built yet: choose one of {', '.join(built)}")


def _trace(value: bool | str | int | os.PathLike[str] | None) -> str | int | None:
    if value is None or value is False:
        return None
    if value is True:
        return 2
    return value if isinstance(value, int) else os.fspath(value)
