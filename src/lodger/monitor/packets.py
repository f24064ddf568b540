"""Sending packets over the control socket without ever blocking for good.

``_socket`` is what the ``socket`` module wraps; it is used directly because the wrapper's imports
cost 3 ms of every ``lodger run``.
"""

from __future__ import annotations

import _socket
import select
import time

from lodger.errors import VMClosed
from lodger.host.descriptors import above_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_FLAGS = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL


def pair() -> tuple[_socket.socket, _socket.socket]:
    """The two ends of a control channel."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    if ours.fileno() <= 2:
        ours = _socket.socket(fileno=above_standard(ours.detach()))
    return ours, theirs


def send(control: _socket.socket, packet: bytes, fds: Sequence[int], deadline: float) -> None:
    """Send one packet before the deadline (time.monotonic seconds). Raises VMClosed."""
    ancillary = []
    if fds:
        rights = b"".join(fd.to_bytes(4, "little", signed=True) for fd in fds)
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)]
    while True:
        try:
            control.sendmsg([packet], ancillary, _FLAGS)
            return
        except BlockingIOError:
            left = deadline - time.monotonic()
            poller = select.poll()
            poller.register(control.fileno(), select.POLLOUT)
            if left <= 0 or not poller.poll(left * 1000):
                raise VMClosed("the guest kernel does not take messages any more (time-out)") from None
        except OSError as error:
            raise VMClosed(f"the guest kernel is gone ({error.strerror})") from None


def receive(control: _socket.socket, most: int) -> bytes | None:
    """One packet; None when there is none yet; b"" when the other end is closed.

    A packet longer than ``most`` comes back longer than ``most`` (cut), so that the decoder refuses it.
    Descriptors are never accepted from the guest: no ancillary buffer, the host drops them.
    """
    try:
        return control.recv(most + 1, _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
