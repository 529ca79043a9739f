"""Maps whose content is a stream of records that user space reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, cast

from purebpf.engine import Engine, EngineMap, Event, EventReader
from purebpf.errors import NotLoaded
from purebpf.lang import declaring
from purebpf.lang.backlog import Backlog
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.map_types import record_types
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.lang.maps.keyed import V
from purebpf.lang.types import kept_fields
from purebpf.lang.unpacking import values_of
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    import numpy

PAGE = 4096
DEFAULT_BYTES = 64 << 10  # of each CPU's ring of a perf event array


class EventMap(MapDeclaration, Generic[V]):
    """A map whose content is a stream of records of type V, which user space reads. Iterating gives them until it is closed.

    What was read out of the ring and not handed out, because a loop ended or an exception came, is what comes next.
    """

    parameters = 1

    def __init__(self, max_entries: int, *, name: str | None = None) -> None:
        super().__init__(max_entries, name=name)
        self._backlog: Backlog | None = None
        self._lost = 0  # of the last reader

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        old, self._backlog = self._backlog, None
        super().bind(live, engine)
        if old is not None:
            self._lost = old.lost
            old.reader.close()
        if live is not None and engine is not None:
            self._lost = 0
            self._backlog = Backlog(self.open_reader(live, engine), self.value_type)

    def open_reader(self, live: EngineMap, engine: Engine) -> EventReader:
        return engine.open_events(live)

    @property
    def backlog(self) -> Backlog:
        """Its reader, and what that gave. Raises NotLoaded."""
        if self._backlog is None:
            raise self.not_loaded()
        return self._backlog

    def plain(self, name: str) -> None:
        """Raise Error for records with a lock or timer."""
        if kept := kept_fields(self.value_type):
            raise declaring.error(f"`{name}`: a record that is sent cannot hold `{kept[0].type}`", place=self.place)

    def read(self, timeout: float | None = None) -> list[V]:
        """The records that are there, waiting up to `timeout` seconds for the first (None: without end; [] when none came, or
        when another thread closed it)."""
        layout = self.value_type
        return self.backlog.take(
            lambda runs: [cast(V, value) for run in runs if run.count for value in values_of(layout, run, 0, run.count)],
            timeout,
        )

    def read_batch(self, timeout: float | None = None, *, copy: bool = True) -> numpy.ndarray[Any, Any]:
        """As `read`, into one NumPy array of records, which is yours: fields by name, `batch["size"].sum()`. There is no loop
        over the records of a ring buffer in the kernel. Raises Unsupported without NumPy.

        With `copy=False` it is the memory of that ring itself, read-only, where it can be; of records of one size, those that
        come next. It holds them until the ring is read again or closed, and until then programs have no use of their room.
        """
        from purebpf.lang.batches import from_runs
        from purebpf.lang.dtypes import numpy_module

        numpy_module()
        return self.backlog.take(partial(from_runs, self.value_type), timeout, "arrays" if copy else "view")

    def read_events(self, timeout: float | None = None) -> list[Event]:
        """As `read`, but with CPU and raw bytes."""
        runs = self.backlog.take(list, timeout, fitting=False)
        return [event for run in runs for event in run.events() if not event.lost]

    def records(self, timeout: float | None = None) -> Iterator[V]:
        """The records one by one; ends when none came for `timeout` seconds, or when it is closed. Raises NotLoaded where it
        has never been loaded: such a loop would end at once, and say nothing."""
        if not self.bound and not self._closed:
            raise self.not_loaded()
        while self.bound:
            try:
                values = self.backlog.values(timeout)
            except NotLoaded:  # another thread closed it just now
                return
            if values is not None:
                yield from values
            elif timeout is not None:
                return

    @property
    def lost(self) -> int:
        """How many records the kernel had to drop, as far as what was read tells."""
        return self._lost if self._backlog is None else self._backlog.lost

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
        return self.backlog.reader.fileno()


class PerfEventArray(EventMap[V], Generic[V]):
    """Per-CPU event rings (BPF_MAP_TYPE_PERF_EVENT_ARRAY, Linux 4.3). Iterating gives the records as type V.

    `max_entries` is the number of CPUs and filled in when it is created. `size` is bytes for each CPU's ring, a power of two
    (64 KiB). With a `watermark` the reader is woken only when so many bytes are in a ring. `lost` counts events that found a
    full ring; with `overwrite` (Linux 4.7) the newest are kept instead, and `read` gives those that are there.
    """

    kind = MapType.PERF_EVENT_ARRAY

    def __init__(
        self, *, size: int | None = None, watermark: int = 0, overwrite: bool = False, name: str | None = None
    ) -> None:
        super().__init__(1, name=name)
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < PAGE or size & (size - 1)):
            raise declaring.error(
                f"the size of a CPU's ring is a power of two from {PAGE} bytes on, not {size!r}", "size=1 << 16"
            )
        if not isinstance(watermark, int) or not 0 <= watermark < (size or DEFAULT_BYTES):
            raise declaring.error(f"a watermark is bytes, fewer than the ring has ({size or DEFAULT_BYTES}), not {watermark!r}")
        self.size, self.watermark, self.overwrite = size, watermark, overwrite

    def open_reader(self, live: EngineMap, engine: Engine) -> EventReader:
        return engine.open_events(live, self.size, watermark=self.watermark, overwrite=self.overwrite)

    def output(self, record: V, flags: int = 0xFFFF_FFFF) -> int:
        """Send a copy of a record to a CPU's ring, this one's unless `flags` says another; 0 or a negative errno."""
        _only_in_a_program("PerfEventArray.output()")

    def describe(self, name: str) -> MapSpec:
        self.plain(name)
        return MapSpec(name, self.kind, 4, 4, 0, self.flags, types=record_types(self.value_type))
