"""Events from perf event arrays: one queue per CPU with the kernel's accounting of space; and the reader of all events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition
from time import monotonic
from typing import Protocol

from purebpf.engine import Event
from purebpf.errors import NotLoaded

DEFAULT_BYTES = 64 << 10  # of each CPU, as the kernel engine's
RECORD_HEADER = 8  # struct perf_event_header
LENGTH_FIELD = 4


class EventQueue:
    """The events of one CPU, at most `size` bytes of them. What finds it full is lost, and counted."""

    def __init__(self, cpu: int, size: int, arrived: Condition) -> None:
        self.cpu = cpu
        self.size = size
        self.used = 0
        self.lost = 0
        self.events: deque[Event] = deque()
        self._arrived = arrived

    def push(self, data: bytes) -> bool:
        """Add a record; False when there was no room."""
        space = RECORD_HEADER + (LENGTH_FIELD + len(data) + 7) // 8 * 8
        with self._arrived:
            if self.used + space > self.size:
                self.lost += 1
                return False
            if self.lost:
                self.events.append(Event(self.cpu, b"", self.lost))
                self.lost = 0
            self.used += space
            self.events.append(Event(self.cpu, data))
            self._arrived.notify_all()
        return True

    def drain(self) -> list[Event]:
        """Take all events out."""
        found = list(self.events)
        if self.lost:
            found.append(Event(self.cpu, b"", self.lost))
            self.lost = 0
        self.events.clear()
        self.used = 0
        return found


class Queue(Protocol):
    """Something that events are taken out of."""

    def drain(self) -> list[Event]: ...


class VmEventReader:
    """Reads the events of all CPUs. Any thread may close it, which wakes the reader."""

    def __init__(self, queues: Sequence[Queue], arrived: Condition, on_close: Callable[[], None]) -> None:
        self._queues = queues
        self._on_close = on_close
        self._arrived = arrived
        self._closed = False

    def read(self, timeout: float | None = None) -> list[Event]:
        """All events that are there; waits up to `timeout` seconds (None: without end) for the first, [] when none came.

        Also [] when another thread closes it meanwhile. Raises NotLoaded when it is closed already.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self._arrived:
            if self._closed:
                raise NotLoaded("This event reader is closed.")
            while True:
                found = [event for queue in self._queues for event in queue.drain()]
                left = None if deadline is None else deadline - monotonic()
                if found or self._closed or (left is not None and left <= 0):
                    return found
                self._arrived.wait(left)

    def fileno(self) -> int:
        """-1: there is no descriptor to wait for."""
        return -1

    def close(self) -> None:
        """Stop reading. Programs that send events get -ENOENT from now on."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
        self._on_close()

    def __enter__(self) -> VmEventReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
