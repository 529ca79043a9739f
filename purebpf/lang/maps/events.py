"""Maps whose content is a stream of records that user space reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, cast

from purebpf.engine import Engine, EngineMap, Event, EventReader
from purebpf.errors import Error, NotLoaded
from purebpf.lang import declaring
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.lang.maps.keyed import V
from purebpf.lang.types import kept_fields
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType


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
        size, decode = self.value_type.size, self.value_type.decode
        events = self.read_events(timeout)
        for event in events:
            if len(event.data) < size:
                raise Error(
                    f"a record of {len(event.data)} bytes is no `{self.value_type}` ({size}): take it by `read_events()`"
                )
        return [cast(V, decode(event.data[:size])) for event in events]

    def read_batch(self, timeout: float | None = None) -> Any:
        """As `read`, as one NumPy array of the records' dtype; empty when none came. Raises Unsupported without NumPy."""
        from purebpf.lang.dtypes import dtype_of, numpy_module

        size, kind = self.value_type.size, dtype_of(self.value_type)
        records = [event.data for event in self.read_events(timeout)]
        short = next((data for data in records if len(data) < size), None)
        if short is not None:
            raise Error(f"a record of {len(short)} bytes is no `{self.value_type}` ({size}): take it by `read_events()`")
        return numpy_module().frombuffer(bytearray(b"".join(data[:size] for data in records)), kind)

    def read_events(self, timeout: float | None = None) -> list[Event]:
        """As `read`, but with CPU and raw bytes."""
        reader = self._reader
        if reader is None:
            raise self.not_loaded()
        events = reader.read(timeout)
        self.lost += sum(event.lost for event in events)
        return [event for event in events if not event.lost]

    def records(self, timeout: float | None = None) -> Iterator[V]:
        """The records one by one; ends when none came for `timeout` seconds, or when it is closed."""
        while self.bound:
            try:
                found = self.read(timeout)
            except NotLoaded:  # another thread closed it just now
                return
            if not found and timeout is not None:
                return
            yield from found

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
        if self._reader is None:
            raise self.not_loaded()
        return self._reader.fileno()


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
