"""Runs core's generators by poll(2), from any number of threads, without a thread of its own.

Of all threads that wait on one VM, one is the reader: it polls the control socket beside its own
descriptors and sets everybody's events. The others poll an eventfd. A reader that leaves hands the
place on. No thread is started and nothing is polled by time.
"""

from __future__ import annotations

import os
import select
import time
from _thread import allocate_lock

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
        self._reading = allocate_lock()
        self._guard = allocate_lock()
        self._followers: list[int] = []

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
        try:
            while True:
                if any(event.done for event in wait.events):
                    return set()
                if self._reading.acquire(False):
                    try:
                        ready = self._read(wait)
                    finally:
                        self._reading.release()
                else:
                    ready = self._follow(wait)
                if ready or _over(wait):
                    return ready
                if self._channel.dead is not None and not wait.events:
                    return ready
        finally:
            self._hand_on()

    def _read(self, wait: Wait) -> set[int]:
        self._channel.drain()
        if any(event.done for event in wait.events):
            return set()
        dead = self._channel.dead is not None
        ready = _poll(wait, -1 if dead else self._channel.fd)
        if self._channel.fd in ready:
            ready.discard(self._channel.fd)
            if not dead:
                self._channel.drain()
        return ready

    def _follow(self, wait: Wait) -> set[int]:
        wake = os.eventfd(0, os.EFD_CLOEXEC)

        alive = True

        def notify() -> None:
            # Under the guard, so that the number cannot belong to another file by now.
            with self._guard:
                if alive:
                    os.eventfd_write(wake, 1)

        with self._guard:
            self._followers.append(wake)
        for event in wait.events:
            event.callbacks.append(notify)
        try:
            # The reader may have left, or an event come, before we were on the list.
            if any(event.done for event in wait.events) or not self._reading.locked():
                return set()
            ready = _poll(wait, wake)
            ready.discard(wake)
            return ready
        finally:
            for event in wait.events:
                event.callbacks.remove(notify)
            with self._guard:
                if wake in self._followers:
                    self._followers.remove(wake)
                alive = False
                os.close(wake)

    def _hand_on(self) -> None:
        with self._guard:
            if self._followers and not self._reading.locked():
                os.eventfd_write(self._followers.pop(0), 1)


def _over(wait: Wait) -> bool:
    return wait.deadline is not None and time.monotonic() >= wait.deadline


def _poll(wait: Wait, extra: int) -> set[int]:
    poller = select.poll()
    if extra >= 0:
        poller.register(extra, select.POLLIN)
    for fd in wait.reads:
        poller.register(fd, select.POLLIN)
    for fd in wait.writes:
        poller.register(fd, select.POLLOUT)
    if wait.deadline is None:
        return {fd for fd, _ in poller.poll()}
    # Rounded up: waking a millisecond early would only mean to poll again.
    left = max(0.0, wait.deadline - time.monotonic())
    return {fd for fd, _ in poller.poll(int(left * 1000) + 1 if left else 0)}
