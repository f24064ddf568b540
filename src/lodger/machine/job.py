"""A command as ``lodger run`` has it: one whose use of the host's terminal a shell decides."""

from __future__ import annotations

from lodger.boot.wire import ASK_READ as ASK_READ
from lodger.boot.wire import ASK_STOP as ASK_STOP
from lodger.boot.wire import SPAWN_HELD, SPAWN_JOB
from lodger.boot.wire import TERMINAL_HELD as HELD
from lodger.boot.wire import TERMINAL_OPEN as OPEN
from lodger.boot.wire import TERMINAL_REFUSED as REFUSED
from lodger.machine.vm import VM, Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lodger.machine.stdio import Stream

__all__ = ["ASK_READ", "ASK_STOP", "HELD", "OPEN", "REFUSED", "Job", "said", "start"]


class Job(Process):
    """A Process that asks for what the guest cannot decide: to read the host's terminal, and to be continued."""

    def wait_or(self, fds: Sequence[int], deadline: float | None = None) -> set[int]:
        """As Process.wait_or; the job's asking ends the wait, too."""
        return self._driver.run(self._machine.wait(self._running, deadline, fds, asks=True))

    def asked(self) -> set[int]:
        """What it has asked for since the last look: ASK_READ, ASK_STOP."""
        return self._running.end.asks.take()

    def terminal(self, state: int) -> None:
        """Whether it may read the host's terminal: OPEN, HELD (it waits), REFUSED (EIO). It may ask once more."""
        self._driver.run(self._machine.terminal(self._running, state))


def start(
    vm: VM,
    argv: Sequence[str],
    *,
    held: bool,
    stops: bool,
    pty: bool = False,
    size: tuple[int, int] = (24, 80),
    stdout: Stream = None,
) -> Job:
    """Start a command on this program's own streams, but for a ``stdout`` that is given. Raises as VM.popen.

    With ``held`` it begins as after terminal(HELD). With ``stops`` a SIGTSTP that nobody in the guest could undo stops
    it all the same: who called this is asked then (ASK_STOP), and has to continue it.
    """
    machine, driver = vm._inner
    command = machine.command(argv, None, None, None, pty, size)
    flags = (SPAWN_HELD if held else 0) | (SPAWN_JOB if stops else 0)
    return Job(machine, driver, driver.run(machine.start(command, None, stdout, None, flags=flags)))


def said(vm: VM) -> str:
    """What the machine's own host processes have written on their standard error since the last look."""
    return vm._inner[0].channel.connection.log_text()
