"""What all readers of events have in common: waiting for them, one thread at a time, and being closed by any other."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from purebpf.engine import Event, Run, deadline
from purebpf.errors import Error, NotLoaded
from purebpf.kernel.fence import Fence

if TYPE_CHECKING:
    from purebpf.engine import Form

UNFINISHED = 50e-6  # seconds to leave to a program that is about to finish the next record


class Reader:
    """One thread reads at a time; any thread may close it, which wakes the reader. Subclasses open, drain and free."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._closing = False
        self._process = os.getpid()
        self._fence = Fence()
        self._watchers: set[Callable[[], None]] = set()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.epoll()
        self._poll.register(self._wake, select.EPOLLIN)

    def _drain(self, runs: list[Run], form: Form) -> None:
        """Take out all that is there. `runs` may hold some that were appended, but not yet marked in the ring as taken."""
        raise NotImplementedError

    def _release(self) -> None:
        """Give up what the subclass holds; called once."""
        raise NotImplementedError

    def read(self, timeout: float | None = None) -> list[Event]:
        """All events that are there; waits up to `timeout` seconds (None: without end) for the first, [] when none came.

        Also [] when another thread closes it meanwhile. Raises NotLoaded when it is closed already.
        """
        runs: list[Run] = []
        self.collect(runs, timeout)
        return [event for run in runs for event in run.events()]

    def collect(self, runs: list[Run], timeout: float | None = None, form: Form = "bytes") -> None:
        """Append what is there to `runs`; see `EventReader`. Raises as `read`."""
        if self.inherited:
            raise Error("This reader belongs to the parent process: a fork does not inherit its memory. Open one in the child.")
        until = deadline(timeout)
        try:
            with self._reading:
                if self._closing:
                    raise NotLoaded("This event reader is closed.")
                self._collect(runs, until, form)
        finally:
            self._finish()

    def _collect(self, runs: list[Run], until: float | None, form: Form) -> None:
        self._drain(runs, form)
        while not runs and not self._closing:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                break
            ready = self._poll.poll(left)
            self._drain(runs, form)
            if ready and not runs and not self._closing:  # a record that is still being written: poll would not wait for it
                time.sleep(UNFINISHED)

    @property
    def inherited(self) -> bool:
        """Whether this is a copy that a fork has made, of which nothing may reach the parent's."""
        return os.getpid() != self._process

    def fileno(self) -> int:
        """Readable when there are events; for select, poll or asyncio. Raises NotLoaded when it is closed."""
        if self._closing:
            raise NotLoaded("This event reader is closed.")
        return self._poll.fileno()

    def watch(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when it is closed, by the thread that does it; at once if it is."""
        self._watchers.add(wake)
        if self._closing:
            wake()

    def unwatch(self, wake: Callable[[], None]) -> None:
        self._watchers.discard(wake)

    def close(self) -> None:
        """A reader that waits returns; closing again does nothing."""
        if self._closing:
            return
        self._closing = True
        if self.inherited:  # who reads is not here
            self._reading = threading.Lock()
        else:
            os.eventfd_write(self._wake, 1)
            for wake in tuple(self._watchers):
                wake()
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
