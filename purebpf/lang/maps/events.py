"""Maps whose content is a stream of records that user space reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, cast

from purebpf.engine import Engine, EngineMap, Event, EventReader, Run
from purebpf.errors import Error, NotLoaded
from purebpf.lang import declaring
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.lang.maps.keyed import V
from purebpf.lang.types import kept_fields
from purebpf.lang.unpacking import values_of
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    import numpy


class EventMap(MapDeclaration, Generic[V]):
    """A map whose content is a stream of records of type V, which user space reads. Iterating gives them until it is closed."""

    parameters = 1

    def __init__(self, max_entries: int, *, name: str | None = None) -> None:
        super().__init__(max_entries, name=name)
        self.lost = 0
        self._reader: EventReader | None = None

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        reader, self._reader = self._reader, None
        super().bind(live, engine)
        if reader is not None:
            reader.close()
        if live is not None and engine is not None:
            self._reader = engine.open_events(live)

    def plain(self, name: str) -> None:
        """Raise Error for records with a lock or timer."""
        if kept := kept_fields(self.value_type):
            raise declaring.error(f"`{name}`: a record that is sent cannot hold `{kept[0].type}`", place=self.place)

    def read(self, timeout: float | None = None) -> list[V]:
        """The records that are there, waiting up to `timeout` seconds for the first (None: without end; [] when none came, or
        when another thread closed it)."""
        return [cast(V, value) for run in self._runs(timeout) for value in values_of(self.value_type, run)]

    def read_batch(self, timeout: float | None = None) -> numpy.ndarray[Any, Any]:
        """As `read`, into one NumPy array of records, which is yours: fields by name, `batch["size"].sum()`. There is no loop
        over the records of a ring buffer in the kernel. Raises Unsupported without NumPy."""
        from purebpf.lang import batches

        quick = getattr(self._open_reader(), "read_batch", None)
        if quick is not None:
            return batches.from_bytes(self.value_type, quick(self.value_type.size, timeout))
        return batches.from_runs(self.value_type, self._runs(timeout))

    def _open_reader(self) -> EventReader:
        if self._reader is None:
            raise self.not_loaded()
        return self._reader

    def _runs(self, timeout: float | None) -> list[Run]:
        """The records that are there; those of one size together, where the reader has them so."""
        together = getattr(self._open_reader(), "read_runs", None)
        if together is not None:
            runs: list[Run] = together(timeout)
        else:
            found = groupby((event.data for event in self.read_events(timeout)), len)
            joined = [(size, list(records)) for size, records in found]
            runs = [Run(b"".join(records), 0, size, size, len(records)) for size, records in joined]
        for run in runs:
            if run.size < self.value_type.size:
                wanted = f"`{self.value_type}` ({self.value_type.size})"
                raise Error(f"a record of {run.size} bytes is no {wanted}: take it by `read_events()`")
        return runs

    def read_events(self, timeout: float | None = None) -> list[Event]:
        """As `read`, but with CPU and raw bytes."""
        events = self._open_reader().read(timeout)
        self.lost += sum(event.lost for event in events)
        return [event for event in events if not event.lost]

    def records(self, timeout: float | None = None) -> Iterator[V]:
        """The records one by one; ends when none came for `timeout` seconds, or when it is closed."""
        while self.bound:
            try:
                runs = self._runs(timeout)
            except NotLoaded:  # another thread closed it just now
                return
            if not runs and timeout is not None:
                return
            for run in runs:
                yield from values_of(self.value_type, run)

    def __iter__(self) -> Iterator[V]:
        """The records until it is closed, or until Ctrl-C while it waits, which ends the loop quietly."""
        try:
            yield from self.records()
        except KeyboardInterrupt:
            return

    def __aiter__(self) -> AsyncIterator[V]:
        """`async for`: the records as they come, until it is closed."""
        from purebpf.lang.streaming import stream

        return stream(self)

    def fileno(self) -> int:
        """Readable when there are records, for select and the like; -1 in the virtual machine."""
        return self._open_reader().fileno()


class PerfEventArray(EventMap[V], Generic[V]):
    """Per-CPU event rings (BPF_MAP_TYPE_PERF_EVENT_ARRAY, Linux 4.3). Iterating gives the records as type V.

    `max_entries` is the number of CPUs and filled in when it is created. `lost` counts events that found a full ring.
    """

    kind = MapType.PERF_EVENT_ARRAY

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(1, name=name)

    def output(self, record: V, flags: int = 0xFFFF_FFFF) -> int:
        """Send a copy of a record to a CPU's ring, this one's unless `flags` says another; 0 or a negative errno."""
        _only_in_a_program("PerfEventArray.output()")

    def describe(self, name: str) -> MapSpec:
        self.plain(name)
        return MapSpec(name, self.kind, 4, 4, 0, self.flags)
