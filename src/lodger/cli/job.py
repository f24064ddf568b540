"""``lodger run`` as a shell's job: the signals that it hands on, Ctrl-Z, foreground and background."""

from __future__ import annotations

import gc
import os
import time

from lodger.errors import GuestPanic
from lodger.host import signals as signal
from lodger.host import terminal
from lodger.machine.job import ASK_READ, ASK_STOP, HELD, OPEN, REFUSED, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodger.host.terminal import RawTerminal
    from lodger.machine.job import Job
    from lodger.machine.stdio import Stream
    from lodger.machine.vm import VM

#: Host signals handed on: (signal, scope). A terminal would send the first two to a whole group.
FORWARDED = (
    (signal.SIGINT, "group"),
    (signal.SIGQUIT, "group"),
    (signal.SIGTERM, "process"),
    (signal.SIGHUP, "process"),
    (signal.SIGUSR1, "process"),
    (signal.SIGUSR2, "process"),
)
#: A command that is stopped would take these when it goes on, which nobody would let it do: as timeout(1) and a
#: terminal that hangs up, we do.
WAKING = (signal.SIGTERM, signal.SIGHUP)
#: Seconds between two looks whether a job of the background has come to the foreground, which no signal tells.
GLANCE = 0.25


class Inbox:
    """Host signals as bytes in a pipe, so that they can be waited for; handlers are put back at the end."""

    def __init__(self) -> None:
        self.read = -1
        self._write = -1
        self._saved: dict[int, Any] = {}
        self._wakeup = -1

    def __enter__(self) -> Inbox:
        self.read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*(number for number, _ in FORWARDED), signal.SIGTSTP, signal.SIGCONT):
            # What the caller ignores (nohup, a background job of a plain shell) stays ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                self.watch(number)
        return self

    def watch(self, number: int) -> None:
        """Collect this signal."""
        self._saved[number] = signal.signal(number, lambda *_: None)

    def watches(self, number: int) -> bool:
        """Whether it is collected."""
        return number in self._saved

    def take(self) -> list[int]:
        """The signals that came."""
        try:
            return list(os.read(self.read, 256))
        except BlockingIOError:
            return []

    def __exit__(self, *_: object) -> None:
        for number, handler in self._saved.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self.read)
        os.close(self._write)


class Attendance:
    """Stays with a command until it ends, and does to it what a shell does to us."""

    def __init__(self, job: Job, inbox: Inbox, raw: RawTerminal | None, *, tty: bool, held: bool) -> None:
        self.job = job
        self.inbox = inbox
        self.raw = raw
        self.tty = tty
        #: It may not read the host's terminal, for that is the shell's or another job's.
        self.held = held

    def until_end(self, limit: float | None) -> bool:
        """True when it had to be killed for its time, ``limit`` seconds. Raises GuestPanic when that did not help."""
        gc.enable()
        scopes = {int(number): scope for number, scope in FORWARDED}
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            glance = time.monotonic() + GLANCE if self.held else None
            self.job.wait_or([self.inbox.read], min((t for t in (deadline, glance) if t is not None), default=None))
            asked = self.job.asked()
            if self.job.poll() is not None:
                return False
            if deadline is not None and time.monotonic() >= deadline:
                self._kill()
                return True
            for number in self.inbox.take():
                if number == signal.SIGWINCH:
                    self.job.resize(*terminal.size(1))
                elif number == signal.SIGTSTP:
                    self.stop(number)
                elif number == signal.SIGCONT:
                    self._place()  # after a SIGSTOP, which nobody sees coming
                elif number in scopes:
                    self.job.send_signal(number, scopes[number])
                    if number in WAKING:
                        self.job.send_signal(signal.SIGCONT, scopes[number])
            if ASK_STOP in asked:
                self.stop(signal.SIGTSTP, group=True)
            elif ASK_READ in asked and self.held and terminal.in_background(0):
                self.stop(signal.SIGTTIN, group=True)
            elif self.held and not terminal.in_background(0):
                self._place()

    def stop(self, number: int, *, group: bool = False) -> None:
        """What Ctrl-Z does to a program, or a read in the background: the command and we stop, until somebody lets us
        go on; with ``group`` also who is of our job (a terminal's signal they have got already).

        The command gets SIGSTOP, for no shell of the guest's could ever continue it after SIGTSTP, which Linux
        therefore ignores for it.
        """
        self.job.terminal(HELD)
        self.job.send_signal(signal.SIGSTOP, "tree")
        if self.raw is not None:
            self.raw.__exit__(None, None, None)
        continued: list[int] = []
        on_continue = signal.signal(signal.SIGCONT, lambda number, _: continued.append(number))
        ours = signal.signal(number, signal.SIG_DFL)
        os.kill(0 if group else os.getpid(), number)
        signal.signal(number, ours)
        signal.signal(signal.SIGCONT, on_continue)
        # Where nobody could continue us, we were not stopped, and a read in the background fails.
        self._place(REFUSED if number == signal.SIGTTIN and not continued else HELD, wake=True)

    def _place(self, in_background: int = HELD, *, wake: bool = False) -> None:
        """See whether we are in the foreground of the terminal, and let the command use it accordingly; with ``wake``
        it goes on.

        It does so before it may ask again: a stop that it tells of then is a new one.
        """
        self.held = terminal.in_background(0)
        if not self.held:
            if self.raw is not None:
                self.raw.__enter__()
            if self.tty and os.isatty(1):
                self.job.resize(*terminal.size(1))
        if wake:
            self.job.asked()
            self.job.send_signal(signal.SIGCONT, "tree")
        self.job.terminal(in_background if self.held else OPEN)

    def _kill(self) -> None:
        self.job.kill()
        try:
            self.job.wait(10)
        except TimeoutError:
            raise GuestPanic(
                "the command was killed for its time, but the guest kernel does not end it within 10 seconds: "
                "a bug of Lodger's, which the VM does not survive"
            ) from None


def stops(inbox: Inbox) -> bool:
    """Whether a shell of this terminal stops and continues us. Without one a guest could stop a script for good, time
    limit and all.
    """
    return terminal.controls(0) and inbox.watches(signal.SIGTSTP)


def run_to_end(vm: VM, argv: list[str], stdout: Stream = None) -> Job:
    """A command without a terminal of the guest's, as a job of our shell."""
    held = terminal.in_background(0)
    with Inbox() as inbox:
        job = start(vm, argv, held=held, stops=stops(inbox), stdout=stdout)
        Attendance(job, inbox, None, tty=False, held=held).until_end(None)
    return job
