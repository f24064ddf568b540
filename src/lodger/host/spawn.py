"""Starting and ending the guest kernel's first process."""

from __future__ import annotations

import os
import select

from lodger.errors import HostError
from lodger.host import signals as signal
from lodger.host.descriptors import above_standard
from lodger.host.limits import way_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTROL_FD = 3
_ENVIRONMENT = {"LODGER": "guest-kernel"}


class Child:
    """A host child process and its pidfd. Reaped exactly once, by whoever comes first."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self.owner = os.getpid()
        try:
            self.pidfd = above_standard(os.pidfd_open(pid))
        except OSError as error:
            # Without it we could kill a stranger that got the same number: give up at once.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise HostError("pidfd_open (Linux 5.3 or newer is needed)", error.errno or 0) from None

    def kill(self) -> None:
        """SIGKILL; no error when it is gone already."""
        if self.status is None and self.pidfd >= 0:
            try:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def wait(self, seconds: float | None) -> bool:
        """Reap within this time (None: as long as it takes). False when it still runs."""
        if self.status is not None or self.pidfd < 0:
            return True
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        if not poller.poll(None if seconds is None else max(0, int(seconds * 1000))):
            return False
        try:
            self.status = os.waitpid(self.pid, 0)[1]
        except ChildProcessError:
            # Another thread was quicker, or the program ignores SIGCHLD and the host reaped it.
            if self.status is None:
                self.status = 0
        return True

    def release(self) -> None:
        """Close the pidfd."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def spawn(
    path: str,
    argv: Sequence[str],
    control: int,
    log: int,
    extra: Mapping[int, int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start the guest kernel with ``control`` as descriptor 3 and ``log`` as 2, in a session of its own.

    ``extra`` gives more descriptors, by the number that the child sees (from 4 on).

    The session keeps a terminal's Ctrl-C and Ctrl-Z away from guest-machine processes: they get
    signals from the guest kernel only. Raises HostError.
    """
    # dup2 targets must not clobber sources: lift both above the target range first.
    import fcntl

    extra = extra or {}
    limit = os.sysconf("SC_OPEN_MAX")
    lifted = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (control, log, *extra.values())]
    try:
        actions: list[tuple[int, int] | tuple[int, int, int] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, lifted[1], 2),
            (os.POSIX_SPAWN_DUP2, lifted[0], CONTROL_FD),
        ]
        beyond = []
        for fd in _inheritable():
            if fd in extra:
                continue
            if limit < 0 or fd < limit:
                actions.append((os.POSIX_SPAWN_CLOSE, fd))
            else:
                # Inherited from a program with a higher limit: to close it in the child would be an error (EBADF).
                os.set_inheritable(fd, False)
                beyond.append(fd)
        actions.extend((os.POSIX_SPAWN_DUP2, fd, target) for fd, target in zip(lifted[2:], extra, strict=True))
        try:
            pid = os.posix_spawn(
                path,
                list(argv),
                _ENVIRONMENT | dict(environment or {}),
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGHUP),
            )
        finally:
            for fd in beyond:
                os.set_inheritable(fd, True)
    except OSError as error:
        raise HostError(f"cannot start the guest kernel {path}", error.errno or 0, way_out(error.errno)) from None
    finally:
        for fd in lifted:
            os.close(fd)
    return Child(pid)


def limit_processors(pid: int, count: int) -> None:
    """Let ``pid`` and what it will start run on ``count`` of the host's processors at most.

    Which ones depends on ``pid``, so that small machines spread out. A process that is gone already is left alone.
    """
    mine = sorted(os.sched_getaffinity(0))
    if count < len(mine):
        first = pid % len(mine)
        try:
            os.sched_setaffinity(pid, (mine + mine)[first : first + count])
        except ProcessLookupError:
            pass


def _inheritable() -> list[int]:
    """Descriptors of this program that a child would get by accident."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > CONTROL_FD:
            try:
                if os.get_inheritable(fd):
                    found.append(fd)
            except OSError:
                pass  # the directory's own descriptor
    return found
