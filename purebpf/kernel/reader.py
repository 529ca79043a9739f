"""What all readers of events have in common: waiting for them, one thread at a time, and being closed by any other."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from typing import Self, TypeVar

from purebpf.engine import Event
from purebpf.errors import Error, NotLoaded
from purebpf.kernel.fence import Fence

T = TypeVar("T")


class Reader:
    """One thread reads at a time; any thread may close it, which wakes the reader. Subclasses open, drain and free."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._closing = False
        self._process = os.getpid()
        self._fence = Fence()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.epoll()
        self._poll.register(self._wake, select.EPOLLIN)

    def _drain(self) -> list[Event]:
        """Take out all events that are there."""
        raise NotImplementedError

    def _release(self) -> None:
        """Give up what the subclass holds; called once."""
        raise NotImplementedError

    def read(self, timeout: float | None = None) -> list[Event]:
        """All events that are there; waits up to `timeout` seconds (None: without end) for the first, [] when none came.

        Also [] when another thread closes it meanwhile. Raises NotLoaded when it is closed already.
        """
        return self._when_some(self._drain, timeout)

    def _when_some(self, drain: Callable[[], list[T]], timeout: float | None) -> list[T]:
        """What `drain` takes out, as soon as it is something. See `read`."""
        if os.getpid() != self._process:
            raise Error("This reader belongs to the parent process: a fork does not inherit its memory. Open one in the child.")
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            with self._reading:
                if self._closing:
                    raise NotLoaded("This event reader is closed.")
                return self._read(drain, deadline)
        finally:
            self._finish()

    def _read(self, drain: Callable[[], list[T]], deadline: float | None) -> list[T]:
        found = drain()
        while not found and not self._closing:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            self._poll.poll(left)
            found = drain()
        return found

    def fileno(self) -> int:
        """Readable when there are events; for select, poll or asyncio. Raises NotLoaded when it is closed."""
        if self._closing:
            raise NotLoaded("This event reader is closed.")
        return self._poll.fileno()

    def close(self) -> None:
        """A reader that waits returns; closing again does nothing."""
        if self._closing:
            return
        self._closing = True
        os.eventfd_write(self._wake, 1)
        self._finish()

    def _finish(self) -> None:
        """Free everything if it is to be closed and nobody reads; else the one who reads does it, as the last thing."""
        if self._closing and self._reading.acquire(blocking=False):
            try:
                self._free()
            finally:
                self._reading.release()

    def _free(self) -> None:
        self._closing = True
        self._release()
        if not self._poll.closed:
            self._poll.close()
            os.close(self._wake)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
