"""Ring buffers: one stream of records for all CPUs, in the order in which they were reserved."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from purebpf.lang import declaring
from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.map_types import record_types
from purebpf.lang.maps import Array, EventMap
from purebpf.lang.scalars import u64
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

V = TypeVar("V")
T = TypeVar("T")
PAGE = 4096
HEADER = 8  # bytes that the kernel puts before each record


class Reserved:
    """Bytes reserved in a ring, of a size known at run time."""

    def at(self, offset: int, type: type[T]) -> T | None:
        """What is at an offset, to be read and written; None where the bytes end before."""
        _only_in_a_program("Reserved.at()")

    def read(self, offset: int, type: type[T]) -> T | None:
        """A copy of what is at an offset; None where the bytes end before."""
        _only_in_a_program("Reserved.read()")

    def write(self, offset: int, data: Any) -> int:
        """Copy a record, array, text or bytes to an offset; 0, -7 (E2BIG) beyond the end, -22 (EINVAL) when the ring was
        full."""
        _only_in_a_program("Reserved.write()")


def _power(size: object) -> str:
    """The size to take instead of one that is none."""
    fits = isinstance(size, int) and 0 < size < 1 << 31
    return f"size={max(PAGE, 1 << (size - 1).bit_length())}" if fits else "bpf.RingBuf[T](size=1 << 16)"  # type: ignore[operator]


class RingBuf(EventMap[V], Generic[V]):
    """A ring of records (BPF_MAP_TYPE_RINGBUF, Linux 5.8). Iterating gives them as type V.

    `size` is bytes: a power of two and a multiple of the page size; each record takes 8 more than its own, rounded up to 8.
    Raises Error for another size.
    """

    kind = MapType.RINGBUF

    def __init__(self, size: int, *, name: str | None = None) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < PAGE or size & (size - 1) or size >= 1 << 32:
            raise declaring.error(f"the size of a ring is a power of two from {PAGE} bytes on, not {size!r}", _power(size))
        super().__init__(size, name=name)
        self.losses = Array[u64](max_entries=1)
        """Where programs count the records that found no room."""

    def describe(self, name: str) -> MapSpec:
        self.plain(name)
        if self.value_type.size + HEADER >= self.max_entries:
            what = f"a record of {self.value_type.size} bytes never fits the ring `{name}` of {self.max_entries}"
            raise declaring.error(what, f"size={1 << (self.value_type.size + HEADER).bit_length()}", self.place)
        return MapSpec(name, self.kind, 0, 0, self.max_entries, self.flags, types=record_types(self.value_type))

    @property
    def dropped(self) -> int:
        """How many records found the ring full, since it was loaded."""
        self.live  # noqa: B018
        return self.losses[0] if self.losses.bound else 0

    def emit(self, record: V, flags: int = 0) -> bool:
        """Send a record; False when the ring is full. `flags`: `bpf.BPF_RB_NO_WAKEUP`, `bpf.BPF_RB_FORCE_WAKEUP`."""
        _only_in_a_program("RingBuf.emit()")

    def reserve(self) -> AbstractContextManager[V | None]:
        """`with ring.reserve() as record:`: a zeroed record in the ring, or None when it is full. The end of the block sends
        it."""
        _only_in_a_program("RingBuf.reserve()")

    def reserve_bytes(self, size: int) -> AbstractContextManager[Reserved]:
        """`with ring.reserve_bytes(n) as data:`: as `reserve`, of a size known at run time (Linux 5.19). When the ring is full
        there are no bytes: `data.at` gives None. User space gets them by `read_events`."""
        _only_in_a_program("RingBuf.reserve_bytes()")

    def discard(self, record: V | Reserved) -> None:
        """Drop a reserved record instead of sending it."""
        _only_in_a_program("RingBuf.discard()")
