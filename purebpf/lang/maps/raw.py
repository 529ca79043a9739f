"""Rings of records of which nobody has told the type: user space gets, and gives, their bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from purebpf.engine import Engine, EngineMap
from purebpf.errors import Error, NotLoaded
from purebpf.lang.maps.events import EventMap, PerfEventArray
from purebpf.lang.maps.inbox import UserRingBuf
from purebpf.lang.rings import RingBuf
from purebpf.lang.types import BytesType, Type


class _Bytes(EventMap["bytes"]):
    """Records as they were sent; a perf event array may have padded them."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._left: deque[bytes] = deque()  # what was read and not handed out

    @property
    def value_type(self) -> Type:
        return BytesType(0)

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        super().bind(live, engine)
        self._left.clear()

    def read(self, timeout: float | None = None) -> list[bytes]:
        self._left.extend(event.data for event in self.read_events(0 if self._left else timeout))
        left, self._left = self._left, deque()
        return list(left)

    def records(self, timeout: float | None = None) -> Iterator[bytes]:
        while self.bound:
            try:
                self._left.extend(event.data for event in self.read_events(0 if self._left else timeout))
            except NotLoaded:  # another thread closed it just now
                return
            if not self._left and timeout is not None:
                return
            while self._left:
                yield self._left.popleft()

    def read_batch(self, timeout: float | None = None, *, copy: bool = True) -> Any:
        raise Error(f"the records of `{self.name}` have no type: read them with `read` or `read_events`")


class RawPerfEventArray(_Bytes, PerfEventArray["bytes"]):
    """A perf event array (BPF_MAP_TYPE_PERF_EVENT_ARRAY, Linux 4.3)."""


class RawRingBuf(_Bytes, RingBuf["bytes"]):
    """A ring buffer (BPF_MAP_TYPE_RINGBUF, Linux 5.8)."""


class RawUserRingBuf(UserRingBuf["bytes"]):
    """A ring that user space fills (BPF_MAP_TYPE_USER_RINGBUF, Linux 6.1)."""

    def send(self, record: bytes) -> bool:
        """Put a record's bytes in; False when the ring is full."""
        if self._writer is None:
            raise self.not_loaded()
        if not isinstance(record, bytes | bytearray | memoryview):
            raise TypeError(f"a record of `{self.name}` has no type: give its bytes, not {record!r}")
        return self._writer.send(bytes(record))
