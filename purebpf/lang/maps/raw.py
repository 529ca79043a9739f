"""Rings of records of which nobody has told the type: user space gets, and gives, their bytes."""

from __future__ import annotations

from typing import Any

from purebpf.errors import Error
from purebpf.lang.maps.events import EventMap, PerfEventArray
from purebpf.lang.maps.inbox import UserRingBuf
from purebpf.lang.rings import RingBuf
from purebpf.lang.types import BytesType, Type


class _Bytes(EventMap["bytes"]):
    """Records as they were sent; a perf event array may have padded them."""

    @property
    def value_type(self) -> Type:
        return BytesType(0)

    def read_batch(self, timeout: float | None = None, *, copy: bool = True) -> Any:
        hint = "say which when the package is made (`purebpf gen --type RING=STRUCT`), or of an object by `of(Event)`"
        raise Error(f"the records of `{self.name}` have no type: read them with `read`; {hint}")


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
