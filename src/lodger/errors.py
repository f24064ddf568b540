"""Every exception that Lodger raises.

    LodgerError
    ├── ConfigError          a setting is wrong; nothing was started            (also ValueError)
    ├── HostError            the host lacks or refused something                (also OSError)
    ├── BootError            the guest kernel did not come up
    ├── VMClosed             the VM is over: closed, or its guest kernel ended
    │   ├── GuestPanic       the guest kernel panicked; ``text`` is its last word
    │   └── ProtocolError    the guest kernel sent what the contract does not allow
    ├── SpawnError           the guest refused to start a command (``errno``)
    └── CommandError         check=True and the command failed (``result``)

A message says what failed, with which value, and what to do about it. The command line prints
``lodger: <message>`` and never a traceback for one of these.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LodgerError(Exception):
    """Base of everything that Lodger raises on purpose."""


class ConfigError(LodgerError, ValueError):
    """A setting is wrong or not supported here; nothing was started."""


class HostError(LodgerError, OSError):
    """The host lacks or refused something. ``errno`` is the host's number, or 0; ``way_out`` ends the message."""

    def __init__(self, what: str, errno: int = 0, way_out: str = "") -> None:
        self.what = what
        self.way_out = way_out
        text = f"{what}: {os.strerror(errno)}" if errno else what
        super().__init__(text + way_out)
        self.errno = errno

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return HostError, (self.what, self.errno, self.way_out)


class BootError(LodgerError):
    """The guest kernel did not come up: it is missing, died, or stayed silent."""


class VMClosed(LodgerError):
    """The VM is over; no command can run in it any more."""


class GuestPanic(VMClosed):
    """The guest kernel panicked. ``text`` is what it said."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"the guest kernel panicked: {text}")

    def __reduce__(self) -> tuple[Any, ...]:
        return GuestPanic, (self.text,)


class ProtocolError(VMClosed):
    """The guest kernel broke the control protocol; the VM was ended because of it."""


class SpawnError(LodgerError):
    """The guest refused to start a command; ``errno`` is the guest's number.

    ``of_program``: the program could not be found or run; else something that it was to run with is wrong (its working
    directory, the machine's limits).
    """

    def __init__(self, errno: int, text: str, *, of_program: bool = False) -> None:
        self.errno = errno
        self.text = text
        self.of_program = of_program
        super().__init__(text or os.strerror(errno))

    def __reduce__(self) -> tuple[Any, ...]:
        return SpawnError, (self.errno, self.text), {"of_program": self.of_program}


class CommandError(LodgerError):
    """A command failed and ``check=True`` was asked for; ``result`` is its Result."""

    #: The message is for people: of a command line as long as a book it shows the beginning, of errors the end.
    SHOWN = 400

    def __init__(self, result: Any) -> None:
        self.result = result
        command = repr(list(result.args))
        if len(command) > self.SHOWN:
            command = command[: self.SHOWN] + "...]"
        tail = result.stderr[-self.SHOWN :] if result.stderr else b""
        if isinstance(tail, bytes):
            tail = tail.decode("utf-8", "replace")
        tail = tail.strip()
        super().__init__(f"command {command} failed with {_how(result)}" + (f": {tail}" if tail else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        return CommandError, (self.result,)


def _how(result: Any) -> str:
    if result.returncode >= 0:
        how = f"exit status {result.returncode}"
    else:
        import signal

        try:
            how = f"signal {-result.returncode} ({signal.Signals(-result.returncode).name})"
        except ValueError:
            how = f"signal {-result.returncode}"
    return f"fault {result.fault!r} ({how})" if result.fault else how


def again(error: LodgerError) -> LodgerError:
    """A copy to raise. One object raised by many callers would gather the tracebacks of all, and keep their frames."""
    parts: Any = error.__reduce__()
    make, arguments, *state = parts
    fresh: LodgerError = make(*arguments)
    if state and state[0]:
        fresh.__dict__.update(state[0])
    return fresh
