"""The host terminal in raw mode, and back again whatever happens."""

from __future__ import annotations

import os
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def size(fd: int) -> tuple[int, int]:
    """(rows, columns) of a terminal, 24 x 80 when it does not know."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return 24, 80
    return rows or 24, columns or 80


def controls(fd: int) -> bool:
    """Whether this is the terminal of our session, whose shell stops and continues jobs."""
    try:
        os.tcgetpgrp(fd)
    except OSError:
        return False
    return True


def in_background(fd: int) -> bool:
    """Whether this is our terminal, and another job has it: a read would stop us (SIGTTIN)."""
    try:
        return os.isatty(fd) and os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:
        return False  # a terminal, but not the one that controls our session


class RawTerminal:
    """Context manager: the guest's line discipline does the work, so the host's must do none."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.saved: list[int | list[bytes | int]] | None = None

    def __enter__(self) -> RawTerminal:
        try:
            self._enter()
        except termios.error:
            pass  # the terminal is gone (hang-up), which SIGHUP tells whom it concerns
        return self

    def _enter(self) -> None:
        mode = termios.tcgetattr(self.fd)
        if self.saved is None:
            self.saved = termios.tcgetattr(self.fd)
        mode[0] &= ~(
            termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON | termios.INLCR
            | termios.IGNCR | termios.PARMRK | termios.IGNBRK
        )  # fmt: skip
        mode[1] &= ~termios.OPOST
        mode[2] = (mode[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
        mode[6][termios.VMIN] = 1
        mode[6][termios.VTIME] = 0
        termios.tcsetattr(self.fd, termios.TCSADRAIN, mode)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.saved is not None:
            try:
                termios.tcsetattr(self.fd, termios.TCSADRAIN, self.saved)
            except termios.error:
                pass  # the terminal is gone (hang-up)
            self.saved = None
