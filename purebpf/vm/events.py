"""Events from perf event arrays: one queue per CPU with the kernel's accounting of space; and the reader of all events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import count, groupby
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from purebpf.data import data
from purebpf.engine import Event, Run, deadline
from purebpf.errors import NotLoaded
from purebpf.vm.arrival import Arrival

if TYPE_CHECKING:
    from purebpf.engine import Form

DEFAULT_BYTES = 64 << 10  # of each CPU, as the kernel engine's
RECORD_HEADER = 8  # struct perf_event_header
LENGTH_FIELD = 4


@data
class Kept:
    """An event and its number in its queue; the bytes that were ever sent when it was in, which tell the space in use."""

    number: int
    event: Event
    end: int


class EventQueue:
    """The events of one CPU, at most `size` bytes of them. What finds it full is lost, and counted, or with `overwrite` takes
    the place of the oldest. Who waits is woken when `watermark` bytes are there."""

    def __init__(self, cpu: int, size: int, arrived: Arrival, watermark: int = 0, overwrite: bool = False) -> None:
        self.cpu = cpu
        self.size, self.watermark, self.overwrite = size, watermark, overwrite
        self.lost = 0
        self.events: deque[Kept] = deque()
        self._numbers = count()
        self._sent = self._taken = 0  # bytes
        self._arrived = arrived

    def push(self, data: bytes) -> bool:
        """Add a record; False when there was no room."""
        space = RECORD_HEADER + (LENGTH_FIELD + len(data) + 7) // 8 * 8
        with self._arrived:
            while self.overwrite and self.events and self._sent - self._taken + space > self.size:
                self.drop(self.events[0].number)
            if self._sent - self._taken + space > self.size:
                self.lost += 1
                return False
            self._tell_lost()
            self._sent += space
            self._keep(Event(self.cpu, data))
            if self._sent - self._taken >= self.watermark:
                self._arrived.notify_all()
        return True

    def _tell_lost(self) -> None:
        if self.lost:
            self._keep(Event(self.cpu, b"", self.lost))
            self.lost = 0

    def _keep(self, event: Event) -> None:
        self.events.append(Kept(next(self._numbers), event, self._sent))

    def ready(self) -> list[tuple[int, Event]]:
        """What is there, with numbers."""
        self._tell_lost()
        return [(kept.number, kept.event) for kept in self.events]

    def drop(self, number: int) -> None:
        """Take out what is there up to a number."""
        while self.events and self.events[0].number <= number:
            self._taken = self.events[0].end
            self.events.popleft()


class Queue(Protocol):
    """Something that events are taken out of; doing it again takes no more."""

    cpu: int

    def ready(self) -> list[tuple[int, Event]]: ...
    def drop(self, number: int) -> None: ...


class VmEventReader:
    """Reads the events of all CPUs. Any thread may close it, which wakes the reader."""

    def __init__(self, queues: Sequence[Queue], arrived: Arrival, on_close: Callable[[], None]) -> None:
        self._queues = queues
        self._on_close = on_close
        self._arrived = arrived
        self._closed = False

    def read(self, timeout: float | None = None) -> list[Event]:
        """All events that are there; waits up to `timeout` seconds (None: without end) for the first, [] when none came.

        Also [] when another thread closes it meanwhile. Raises NotLoaded when it is closed already.
        """
        runs: list[Run] = []
        self.collect(runs, timeout)
        return [event for run in runs for event in run.events()]

    def collect(self, runs: list[Run], timeout: float | None = None, form: Form = "bytes") -> None:
        """Append what is there to `runs`; see `EventReader`. It is bytes in any form. Raises as `read`."""
        until = deadline(timeout)
        with self._arrived:
            if self._closed:
                raise NotLoaded("This event reader is closed.")
            for run in runs:  # of which an exception may have kept us from taking them out
                next(queue for queue in self._queues if queue.cpu == run.cpu).drop(run.end)
            while True:
                for queue in self._queues:
                    if found := _runs(queue.ready()):
                        runs += found
                        queue.drop(found[-1].end)
                left = None if until is None else until - monotonic()
                if runs or self._closed or (left is not None and left <= 0):
                    return
                self._arrived.wait(left)

    def fileno(self) -> int:
        """-1: there is no descriptor to wait for."""
        return -1

    def watch(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when events come, and when it is closed; at once if it is. It must not wait."""
        with self._arrived:
            self._arrived.watchers.add(wake)
            if self._closed:
                wake()

    def unwatch(self, wake: Callable[[], None]) -> None:
        with self._arrived:
            self._arrived.watchers.discard(wake)

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


def _runs(found: list[tuple[int, Event]]) -> list[Run]:
    """Numbered events of one queue; those that are alike together."""
    runs = []
    for (size, lost), group in groupby(found, lambda each: (len(each[1].data), each[1].lost)):
        events = list(group)
        number, event = events[-1]
        if lost:
            runs += [Run(b"", 0, 0, 0, 0, event.cpu, lost, number) for number, event in events]
        else:
            content = b"".join(event.data for _, event in events)
            runs.append(Run(content, 0, size, size, len(events), event.cpu, end=number))
    return runs
