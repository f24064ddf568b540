"""plan.py decides: configuration + root file system + policy -> BootPlan. It starts nothing."""

from __future__ import annotations

import errno
import os

from lodger._record import record
from lodger.boot import wire
from lodger.errors import ConfigError
from lodger.image import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodger.config.machine import MachineConfig
    from lodger.image.tree import Step

_MOUNTS = {
    tree.OVERLAY: wire.MOUNT_OVERLAY,
    tree.HOST_RO: wire.MOUNT_HOST_RO,
    tree.HOST_RW: wire.MOUNT_HOST_RW,
    tree.TMPFS: wire.MOUNT_TMPFS,
    tree.PROC: wire.MOUNT_PROC,
    tree.DEV: wire.MOUNT_DEV,
    tree.SYS: wire.MOUNT_SYS,
}
_NODES = {tree.DIRECTORY: wire.NODE_DIRECTORY, tree.FILE: wire.NODE_FILE, tree.SYMLINK: wire.NODE_SYMLINK}

#: What diverts system calls, whatever the host offers: "dispatch" or "seccomp".
DIVERT_VARIABLE = "LODGER_DIVERT"
#: Of BOOT; the steps come after it.
FIRST_ID = 1
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@record(frozen=True)
class BootPlan:
    """Everything decided; the monitor only carries it out."""

    config: MachineConfig
    guard: str
    """the guard in force: never "auto" """
    steps: tuple[Step, ...]
    env: tuple[tuple[str, str], ...]
    """what a command's environment starts from"""
    divert: str
    """see :func:`choose_divert`"""

    def directories(self) -> list[tuple[str, bool]]:
        """(host directory, writable) of everything that the guest may reach."""
        return [(s.source, s.writable) for s in self.steps if isinstance(s, tree.Mount) and s.on_host]


def plan(config: MachineConfig) -> BootPlan:
    """Decide. Raises ConfigError for what this host cannot do."""
    if config.rootfs == "host":
        from lodger.image.hostroot import host_root, interpreter_path

        steps = host_root(config.hostname)
        search = ":".join([*interpreter_path(), SYSTEM_PATH])
    else:
        from lodger.image.directory import directory_root

        steps = directory_root(config.rootfs)
        search = SYSTEM_PATH
    for volume in config.volumes:
        steps.append(tree.Mount(tree.HOST_RO if volume.read_only else tree.HOST_RW, volume.target, volume.source))
    base = {"PATH": search, "LANG": "C.UTF-8", **dict(config.env)}
    divert = choose_divert(config)
    return BootPlan(config, choose_guard(config, divert), tuple(steps), tuple(base.items()), divert)


def choose_divert(config: MachineConfig) -> str:
    """What diverts the system calls of applications: "dispatch" (syscall user dispatch), or where the host has none
    "seccomp"; "" where the monitor needs neither. LODGER_DIVERT decides instead (tests). Raises ConfigError for an
    unknown value of it.
    """
    from lodger.host.features import has_user_dispatch

    if config.monitor == "process":
        return ""
    asked = os.environ.get(DIVERT_VARIABLE)
    if asked is None:
        return "dispatch" if has_user_dispatch() else "seccomp"
    if asked not in ("dispatch", "seccomp"):
        raise ConfigError(f"{DIVERT_VARIABLE}={asked!r} is unknown: choose one of dispatch, seccomp")
    return asked


def choose_guard(config: MachineConfig, divert: str) -> str:
    """The guard in force. Raises ConfigError when "pkey" was asked for and cannot hold."""
    from lodger.host.features import has_pkeys

    if config.guard in ("none", "mprotect"):
        return config.guard
    if divert == "seccomp":
        # An application that jumps to a system call instruction of the guest kernel's would make that call.
        if config.guard == "auto":
            return "none"
        raise ConfigError(
            "guard='pkey' cannot hold where the seccomp filter diverts system calls, because this host has no "
            "syscall user dispatch: use guard='none', or guard='mprotect' with spaces='remap' "
            "(lodger doctor says what that means)"
        )
    keys = has_pkeys()
    if config.guard == "auto":
        return "pkey" if keys else "none"
    if not keys:
        raise ConfigError(
            "guard='pkey' needs memory protection keys, which this processor or host does not offer: "
            "use guard='none' (lodger doctor says what that means)"
        )
    return config.guard


def boot_packet(plan: BootPlan, *, landlock: bool, debug: bool, trace: bool, fds: dict[str, int]) -> bytes:
    """BOOT. ``fds`` gives each descriptor's index: kernel, ram, landlock, trace."""
    config = plan.config
    flags = (
        (wire.FLAG_TRACE if trace else 0)
        | (wire.FLAG_DEBUG_LOG if debug else 0)
        | (wire.FLAG_LANDLOCK if landlock else 0)
        | (wire.FLAG_COUNT if config.count_calls else 0)
        | (wire.FLAG_SECCOMP_TRAP if plan.divert == "seccomp" else 0)
    )
    return wire.encode(
        wire.BOOT, FIRST_ID, wire.VERSION, config.memory, config.pids, config.cpus, config.hostname,
        wire.MONITOR_NUMBERS[config.monitor], wire.GUARD_NUMBERS[plan.guard], wire.SPACES_NUMBERS[config.spaces],
        flags, os.getuid(), os.getgid(), fds["kernel"], fds["ram"], fds.get("landlock", wire.NO_FD),
        fds.get("trace", wire.NO_FD), config.max_files, config.disk, os.urandom(16),
    )  # fmt: skip


def step_packet(step: Step, ident: int, fd_index: int) -> bytes:
    """MOUNT or NODE."""
    if isinstance(step, tree.Mount):
        return wire.encode(wire.MOUNT, ident, _MOUNTS[step.kind], step.target, step.source, fd_index)
    return wire.encode(wire.NODE, ident, _NODES[step.kind], step.path, step.mode, step.uid, step.gid, step.content)


def refused_mount(plan: BootPlan, ident: int, text: str) -> ConfigError | None:
    """Why the guest kernel could not mount what the user's settings ask for, if message ``ident`` was about that;
    ``text`` is what it says.
    """
    place = ident - FIRST_ID - 1
    if not 0 <= place < len(plan.steps):
        return None
    step = plan.steps[place]
    name = text.rpartition(" ")[2]
    number = getattr(errno, name, 0) if name.isidentifier() else 0
    volume = next((v for v in plan.config.volumes if isinstance(step, tree.Mount) and v.target == step.target), None)
    if volume is None:
        if plan.config.rootfs == "host" or not isinstance(step, tree.Mount) or not number:
            return None
        return ConfigError(
            f"rootfs={plan.config.rootfs!r} is no root file system: its {step.target} has to be a directory, or not "
            f"to be there ({os.strerror(number)})"
        )
    around = max(
        (v for v in plan.config.volumes if volume.target.startswith(v.target + "/")),
        key=lambda v: len(v.target),
        default=None,
    )
    what = f"volume {volume.source}:{volume.target} cannot be mounted: "
    if number == errno.ENOTDIR:
        return ConfigError(what + "its guest path is a file, or leads through one: choose another")
    if around is not None and number in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC):
        inner = os.path.join(around.source, volume.target[len(around.target) + 1 :])
        why = "is read-only" if number == errno.EROFS else f"takes none ({os.strerror(number)})"
        way = ", or show that one without :ro" if number == errno.EROFS else ""
        return ConfigError(
            f"{what}there is no such directory in the volume {around.source}:{around.target}, which {why}: "
            f"create {inner} on the host{way}"
        )
    if number == errno.EPERM or (number == errno.EEXIST and volume.target.startswith("/proc/")):
        return ConfigError(
            what + "the machine's own file systems (/proc, /sys) take no more: choose another guest path"
        )
    return ConfigError(what + (os.strerror(number) if number else text))
