"""Runs core's generators by poll(2), from any number of threads, without a thread of its own.

Of all threads that wait on one VM, one is the reader: it polls the control socket beside its own
descriptors and sets everybody's events. The others poll an eventfd of their own. A reader that leaves hands the
place on. No thread is started and nothing is polled by time.
"""

from __future__ import annotations

import os
import select
import time
from _thread import RLock

from lodger.host.descriptors import above_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from lodger.machine.channel import Channel
    from lodger.machine.core import Steps, Wait

    T = TypeVar("T")


class Driver:
    """One VM's waiting threads."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        # Both may be taken once more by their own thread: by a signal handler that uses the VM while its thread waits.
        self._reading = RLock()
        self._guard = RLock()
        self._followers: list[_Wake] = []

    def run(self, steps: Steps[T]) -> T:
        """The generator's return value; its exceptions pass through, and so does KeyboardInterrupt."""
        try:
            wait = next(steps)
            while True:
                try:
                    ready = self.block(wait)
                except BaseException as error:
                    wait = steps.throw(error)
                else:
                    wait = steps.send(ready)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def block(self, wait: Wait) -> set[int]:
        """Until one of the things waited for has happened; the ready descriptors."""
        if any(event.done for event in wait.events):
            return set()
        wake = _Wake(self._guard, wait)
        try:
            while True:
                if self._reading.acquire(False):
                    try:
                        ready = self._read(wait, wake)
                    finally:
                        self._reading.release()
                else:
                    ready = self._follow(wait, wake)
                if ready or _over(wait) or any(event.done for event in wait.events):
                    return ready
                if self._channel.dead is not None and not wait.events:
                    return ready
        finally:
            wake.close()
            self._hand_on()

    def _read(self, wait: Wait, wake: _Wake) -> set[int]:
        self._channel.drain()
        if any(event.done for event in wait.events):
            return set()
        dead = self._channel.dead is not None
        control = -1 if dead else self._channel.fd
        # The reader can be woken too: a signal handler that waits on the same VM reads in the middle of this wait.
        ready = _poll(wait, control, wake.fd)
        wake.clear(ready)
        if control in ready:
            ready.discard(control)
            self._channel.drain()
        return ready

    def _follow(self, wait: Wait, wake: _Wake) -> set[int]:
        with self._guard:
            self._followers.append(wake)
        try:
            # The reader may have left, or an event come, before we were on the list.
            if any(event.done for event in wait.events):
                return set()
            if self._reading.acquire(False):
                self._reading.release()
                return set()
            ready = _poll(wait, wake.fd)
            wake.clear(ready)
            return ready
        finally:
            with self._guard:
                if wake in self._followers:
                    self._followers.remove(wake)

    def _hand_on(self) -> None:
        with self._guard:
            if self._followers and self._reading.acquire(False):
                self._reading.release()
                self._followers.pop(0).ring()


class _Wake:
    """Ends a poll: when one of the events happens, or when it is this thread's turn to read."""

    def __init__(self, guard: RLock, wait: Wait) -> None:
        self._guard = guard
        self._events = wait.events
        self.fd = above_standard(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        for event in self._events:
            event.callbacks.append(self.ring)

    def ring(self) -> None:
        # Under the guard, so that the number cannot belong to another file by now.
        with self._guard:
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def clear(self, ready: set[int]) -> None:
        if self.fd in ready:
            ready.discard(self.fd)
            os.eventfd_read(self.fd)

    def close(self) -> None:
        for event in self._events:
            event.callbacks.remove(self.ring)
        with self._guard:
            os.close(self.fd)
            self.fd = -1


def _over(wait: Wait) -> bool:
    return wait.deadline is not None and time.monotonic() >= wait.deadline


def _poll(wait: Wait, *own: int) -> set[int]:
    poller = select.poll()
    for fd in own:
        if fd >= 0:
            poller.register(fd, select.POLLIN)
    for fd in wait.reads:
        poller.register(fd, select.POLLIN)
    for fd in wait.writes:
        poller.register(fd, select.POLLOUT)
    if wait.deadline is None:
        return {fd for fd, _ in poller.poll()}
    # Rounded up: waking a millisecond early would only mean to poll again. poll(2) takes an int; who waits for longer
    # polls again, too.
    left = min(max(0.0, wait.deadline - time.monotonic()), 1e6)
    return {fd for fd, _ in poller.poll(int(left * 1000) + 1 if left else 0)}
