"""Reads a ring buffer: one ring of all CPUs (kernel/bpf/ringbuf.c; Documentation/bpf/ringbuf.rst).

The map's descriptor gives a page with the consumer's position, which we write, then a page with the producer's and the data,
twice in a row so that no record wraps around. Positions are ever-growing byte counts. A record begins with its length and two
marks: being written, dropped.
"""

from __future__ import annotations

import errno
import mmap
import select

from purebpf.engine import Event
from purebpf.errors import Error
from purebpf.kernel.errors import failure
from purebpf.kernel.map import KernelMap
from purebpf.kernel.reader import Reader
from purebpf.tables.constants import constant
from purebpf.tables.enums import MapType

NO_CPU = -1


def _bit(name: str) -> int:
    value = constant(name)
    assert value is not None, name
    return value


BUSY, DISCARDED, HEADER = (_bit(f"BPF_RINGBUF_{name}") for name in ("BUSY_BIT", "DISCARD_BIT", "HDR_SZ"))
LENGTH = ~(BUSY | DISCARDED) & 0xFFFF_FFFF


class RingReader(Reader):
    """Reads a ring buffer in the order in which records were reserved: one that is still being written holds up those behind
    it. One thread reads at a time; any thread may close it, which wakes the reader. Needs Linux 5.8."""

    def __init__(self, ring: KernelMap) -> None:
        if ring.spec.type is not MapType.RINGBUF:
            raise Error(f"{ring.descriptor.what} is no ring buffer; its records cannot be read.")
        super().__init__()
        self._size = ring.spec.max_entries
        self._what = ring.descriptor.what
        self._maps: list[mmap.mmap] = []
        self._views: list[memoryview] = []
        try:
            consumer = self._mapped(ring, mmap.PAGESIZE, 0, mmap.PROT_READ | mmap.PROT_WRITE)
            producer = self._mapped(ring, mmap.PAGESIZE + 2 * self._size, mmap.PAGESIZE, mmap.PROT_READ)
            self._consumer, self._producer, self._lengths = consumer.cast("Q"), producer.cast("Q"), producer.cast("I")
            self._views += [self._consumer, self._producer, self._lengths, consumer, producer]
            self._data = self._maps[1]
            self._poll.register(ring.descriptor.number, select.EPOLLIN)
        except BaseException:
            self._free()
            raise

    def _mapped(self, ring: KernelMap, length: int, offset: int, protection: int) -> memoryview:
        try:
            memory = mmap.mmap(ring.descriptor.number, length, mmap.MAP_SHARED, protection, offset=offset)
        except OSError as error:
            raise failure(error.errno or errno.ENOMEM, f"Mapping {length >> 10} KiB of {self._what}") from error
        self._maps.append(memory)
        return memoryview(memory)

    def _drain(self) -> list[Event]:
        """Each position is read before what it covers, and written when that has been copied."""
        events: list[Event] = []
        if not self._maps:
            return events
        at, mask, page = self._consumer[0], self._size - 1, mmap.PAGESIZE
        end = self._producer[0]
        while at < end:
            self._fence.pass_()
            start = page + (at & mask)
            length = self._lengths[start // 4]
            if length & BUSY:
                break
            self._fence.pass_()
            size = length & LENGTH
            if not length & DISCARDED:
                events.append(Event(NO_CPU, self._data[start + HEADER : start + HEADER + size]))
            at += (size + HEADER + 7) // 8 * 8
            self._fence.pass_()
            self._consumer[0] = at
            if at == end:
                end = self._producer[0]
        return events

    def _release(self) -> None:
        for view in self._views:
            view.release()
        for memory in self._maps:
            memory.close()
        self._views, self._maps = [], []
