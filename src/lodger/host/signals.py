"""Signals without the ``signal`` module's enumerations: importing those costs 5 ms of every start.

``_signal`` is the C half of ``signal``; numbers are plain integers here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIG_DFL as SIG_DFL
    from signal import SIG_IGN as SIG_IGN
    from signal import SIGCONT as SIGCONT
    from signal import SIGHUP as SIGHUP
    from signal import SIGINT as SIGINT
    from signal import SIGKILL as SIGKILL
    from signal import SIGPIPE as SIGPIPE
    from signal import SIGQUIT as SIGQUIT
    from signal import SIGSTOP as SIGSTOP
    from signal import SIGTERM as SIGTERM
    from signal import SIGTSTP as SIGTSTP
    from signal import SIGTTIN as SIGTTIN
    from signal import SIGUSR1 as SIGUSR1
    from signal import SIGUSR2 as SIGUSR2
    from signal import SIGWINCH as SIGWINCH
    from signal import SIGXFSZ as SIGXFSZ
    from signal import getsignal as getsignal
    from signal import pidfd_send_signal as pidfd_send_signal
    from signal import set_wakeup_fd as set_wakeup_fd
    from signal import signal as signal
else:
    from _signal import (
        SIG_DFL,
        SIG_IGN,
        SIGCONT,
        SIGHUP,
        SIGINT,
        SIGKILL,
        SIGPIPE,
        SIGQUIT,
        SIGSTOP,
        SIGTERM,
        SIGTSTP,
        SIGTTIN,
        SIGUSR1,
        SIGUSR2,
        SIGWINCH,
        SIGXFSZ,
        getsignal,
        pidfd_send_signal,
        set_wakeup_fd,
        signal,
    )

    __all__ = [
        "SIGCONT",
        "SIGHUP",
        "SIGINT",
        "SIGKILL",
        "SIGPIPE",
        "SIGQUIT",
        "SIGSTOP",
        "SIGTERM",
        "SIGTSTP",
        "SIGTTIN",
        "SIGUSR1",
        "SIGUSR2",
        "SIGWINCH",
        "SIGXFSZ",
        "SIG_DFL",
        "SIG_IGN",
        "getsignal",
        "pidfd_send_signal",
        "set_wakeup_fd",
        "signal",
    ]
