"""Rings of records from user space to programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from purebpf.engine import Engine, EngineMap, RecordWriter
from purebpf.lang import declaring
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.map_types import record_types
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.lang.maps.keyed import V
from purebpf.lang.types import kept_fields
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

PAGE = 4096


class UserRingBuf(MapDeclaration, Generic[V]):
    """A ring of records that user space fills and a program empties (BPF_MAP_TYPE_USER_RINGBUF, Linux 6.1).

    `size` is bytes: a power of two and a multiple of the page size; each record takes 8 more than its own, rounded up to 8.
    """

    kind = MapType.USER_RINGBUF
    parameters = 1

    def __init__(self, size: int, *, name: str | None = None) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < PAGE or size & (size - 1) or size >= 1 << 32:
            raise declaring.error(f"the size of a ring is a power of two from {PAGE} bytes on, not {size!r}", self._usage())
        super().__init__(size, name=name)
        self._writer: RecordWriter | None = None

    def describe(self, name: str) -> MapSpec:
        if kept := kept_fields(self.value_type):
            raise declaring.error(f"`{name}`: a record that is sent cannot hold `{kept[0].type}`", place=self.place)
        return MapSpec(name, self.kind, 0, 0, self.max_entries, self.flags, types=record_types(self.value_type))

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        super().bind(live, engine)
        if live is not None and engine is not None:
            self._writer = engine.open_writer(live)

    def send(self, record: V) -> bool:
        """Put a record in; False when the ring is full. User space only."""
        if self._writer is None:
            raise self.not_loaded()
        try:
            data = self.value_type.encode(record)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"a record of `{self.name}` is a `{self.value_type}`: {error}") from None
        return self._writer.send(data)

    def drain(self, f: Callable[[V | None], bool | None]) -> int:
        """In a program: call `f(record)` for each record there is, until one gives True; how many were taken out, or a negative
        errno. The record is a copy, None where what user space put in is shorter than one."""
        _only_in_a_program("UserRingBuf.drain()")
