"""The default monitors: the guest-machine processes intercept their own events (inline, host).

The VMM only starts the guest kernel and tells it what to build; it is not on the data path.
"""

from __future__ import annotations

import errno
import os
import time

from lodger.boot import wire
from lodger.boot.kernel import kernel_path
from lodger.boot.plan import FIRST_ID, boot_packet, step_packet
from lodger.errors import BootError, ConfigError, HostError, VMClosed
from lodger.host import landlock
from lodger.host.descriptors import free_descriptors, pipe
from lodger.host.memory import KERNEL_REGION, memory_file
from lodger.host.spawn import limit_processors, spawn
from lodger.image.tree import Mount
from lodger.monitor import packets
from lodger.monitor.base import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodger.boot.plan import BootPlan
    from lodger.host.spawn import Child
    from lodger.monitor.counters import Counters

#: A file that takes the guest kernel's log, debug lines included.
LOG_VARIABLE = "LODGER_LOG"
#: How the guest kernel ends the name of its release.
GUEST_RELEASE = "-lodger"
#: Descriptors of the host's directories, of memory, and what spawning takes: only said when starting has failed.
NEEDED = 64


class InProcessMonitor:
    """See :class:`lodger.monitor.base.Monitor`."""

    #: What the monitor counts itself, where it is a process of its own.
    counters: Counters | None = None

    def start(self, kernel: str, control: int, log: int, memory: int) -> Child:
        """Start the guest kernel with these descriptors; ``memory`` is the kernel region's. Raises HostError."""
        return spawn(kernel, ["lodger-kernel"], control, log)

    def boot(self, plan: BootPlan, deadline: float) -> Connection:
        """Start the guest kernel and send everything up to START."""
        if os.uname().release.endswith(GUEST_RELEASE):
            raise HostError(
                "this is a machine of Lodger's already, and a VM inside a VM does not run: start it outside"
            )
        held: list[int] = []
        try:
            if 0 <= os.sysconf("SC_OPEN_MAX") < NEEDED:
                _enough_for_the_guest()
            return self._boot(plan, deadline, held)
        except (OSError, BootError) as error:
            full = os.strerror(errno.EMFILE)
            if getattr(error, "errno", 0) not in (errno.EMFILE, errno.ENFILE) and full not in str(error):
                raise
            free, limit = free_descriptors()
            raise HostError(
                f"a VM needs some {NEEDED} descriptors to start, and {max(free, 0)} of {limit} are free: "
                "raise the limit (ulimit -n)",
                errno.EMFILE,
            ) from None
        finally:
            for fd in held:
                os.close(fd)

    def _boot(self, plan: BootPlan, deadline: float, held: list[int]) -> Connection:
        began = time.monotonic_ns()
        kernel = kernel_path()
        roots: dict[str, int] = {}
        for path, _ in plan.directories():
            if path not in roots:
                roots[path] = _directory(path)
                held.append(roots[path])
        ruleset = landlock.ruleset((roots[path], writable) for path, writable in plan.directories())
        if ruleset is not None:
            held.append(ruleset)
        fds = {"kernel": memory_file("lodger-kernel", KERNEL_REGION)}
        held.append(fds["kernel"])
        fds["ram"] = memory_file("lodger-memory", plan.config.memory)
        held.append(fds["ram"])
        if ruleset is not None:
            fds["landlock"] = ruleset
        if plan.config.trace is not None:
            fds["trace"] = _trace(plan.config.trace)
            held.append(fds["trace"])
        log_read, log_write, debug = _log()
        held.append(log_write)
        ours, theirs = packets.pair()
        prepared = time.monotonic_ns()
        try:
            child = self.start(kernel, theirs.fileno(), log_write, fds["kernel"])
        except BaseException:
            ours.close()
            if log_read >= 0:
                os.close(log_read)
            raise
        finally:
            theirs.close()
        if plan.config.spaces == "multi":
            limit_processors(child.pid, plan.config.cpus)
        connection = Connection(ours, child, log_read, 0, ruleset is not None, self.counters)
        connection.began, connection.prepared = began, prepared
        try:
            numbers = {name: index for index, name in enumerate(fds)}
            first = boot_packet(plan, landlock="landlock" in fds, debug=debug, trace="trace" in fds, fds=numbers)
            packets.send(ours, first, list(fds.values()), deadline)
            ident = FIRST_ID
            for step in plan.steps:
                ident += 1
                if isinstance(step, Mount) and step.on_host:
                    packets.send(ours, step_packet(step, ident, 0), [roots[step.source]], deadline)
                else:
                    packets.send(ours, step_packet(step, ident, wire.NO_FD), (), deadline)
            connection.last_id = ident + 1
            packets.send(ours, wire.encode(wire.START, ident + 1), (), deadline)
        except wire.WireError as error:
            _abandon(connection)
            raise ConfigError(f"a setting does not fit the control protocol: {error}") from None
        except VMClosed:
            # It died, or refuses: what it already said is still in the socket, for the caller to read.
            if not child.wait(0.2):
                child.kill()
                child.wait(5)
        except BaseException:
            _abandon(connection)
            raise
        return connection


def _enough_for_the_guest() -> None:
    # The guest kernel takes the hard limit. With less it would start, and no program of the guest could open its files.
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < NEEDED:
        raise HostError("the limit of descriptors is too low", errno.EMFILE)


def _abandon(connection: Connection) -> None:
    connection.child.kill()
    connection.child.wait(5)
    connection.release()


def _directory(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BootError(f"cannot open the host directory {path}: {error.strerror}") from None


def _trace(target: str | int) -> int:
    try:
        if isinstance(target, int):
            return os.dup(target)
        return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f"trace={target!r} cannot be written: {error.strerror}") from None


def _log() -> tuple[int, int, bool]:
    """(read end or -1, write end, debug) of the kernel log; the pipe never blocks the guest kernel."""
    path = os.environ.get(LOG_VARIABLE)
    if path:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            return -1, os.open(path, flags, 0o600), True
        except OSError as error:
            raise ConfigError(f"{LOG_VARIABLE}={path} cannot be written: {error.strerror}") from None
    read, write = pipe(os.O_NONBLOCK)
    return read, write, False
