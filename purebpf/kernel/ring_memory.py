"""The memory of a ring buffer that the kernel shares (kernel/bpf/ringbuf.c; Documentation/bpf/ringbuf.rst).

The map's descriptor gives a page with the consumer's position, which we write, then a page with the producer's and the data,
twice in a row so that no record wraps around. Positions are ever-growing byte counts. A record begins with its length and two
marks: being written, dropped.
"""

from __future__ import annotations

import errno
import mmap
from contextlib import suppress
from typing import Any

from purebpf.kernel.errors import failure
from purebpf.kernel.fence import Fence
from purebpf.kernel.map import KernelMap
from purebpf.tables.constants import constant


def _bit(name: str) -> int:
    value = constant(name)
    assert value is not None, name
    return value


BUSY, DISCARDED, HEADER = (_bit(f"BPF_RINGBUF_{name}") for name in ("BUSY_BIT", "DISCARD_BIT", "HDR_SZ"))
LENGTH = ~(BUSY | DISCARDED) & 0xFFFF_FFFF
PAGE = mmap.PAGESIZE


class RingMemory:
    """`data` is the producer's page and the records behind it; `lengths` the same as 32-bit numbers. The kernel writes one of
    the positions and the records, or their reader's only where we are the producer (`sends`, a user ring buffer). `passed` and
    `sent` are told with the fences that keep positions apart from what they cover."""

    def __init__(self, ring: KernelMap, fence: Fence, sends: bool = False) -> None:
        self.size, self.what, self.fence = ring.spec.max_entries, ring.descriptor.what, fence
        self.spare: Any = None  # memory for the next batch, if nobody has the last one any more
        self.other: Any = None  # memory for comparing many headers
        self.array: Any = None  # all of `data` as a NumPy array, once that was wanted
        self._maps: list[mmap.mmap] = []
        self._views: list[memoryview] = []
        try:
            ours, theirs = mmap.PROT_READ | mmap.PROT_WRITE, mmap.PROT_READ
            consumer = self._mapped(ring, PAGE, 0, theirs if sends else ours)
            self.bytes = self._mapped(ring, PAGE + 2 * self.size, PAGE, ours if sends else theirs)
            self.data = self._maps[1]
            self._consumer, self._producer, self.lengths = consumer.cast("Q"), self.bytes.cast("Q"), self.bytes.cast("I")
            self._views += [self._consumer, self._producer, self.lengths, consumer, self.bytes]
        except BaseException:
            self.release()
            raise

    def _mapped(self, ring: KernelMap, length: int, offset: int, protection: int) -> memoryview:
        try:
            memory = mmap.mmap(ring.descriptor.number, length, mmap.MAP_SHARED, protection, offset=offset)
        except OSError as error:
            raise failure(error.errno or errno.ENOMEM, f"Mapping {length >> 10} KiB of {self.what}") from error
        self._maps.append(memory)
        return memoryview(memory)

    def at(self) -> int:
        """Where the next record is to be read."""
        return self._consumer[0]

    def end(self) -> int:
        """How far records have been reserved."""
        return self._producer[0]

    def place(self, position: int) -> int:
        """Where in `data` a position is."""
        return PAGE + (position & self.size - 1)

    def header(self, position: int) -> int:
        """The length of the record at a position, and its marks."""
        self.fence.pass_()
        length = self.lengths[self.place(position) // 4]
        self.fence.pass_()
        return length

    def passed(self, position: int) -> None:
        """Give the kernel what is before a position."""
        self.fence.pass_()
        self._consumer[0] = position

    def sent(self, position: int) -> None:
        """Give the kernel the records up to a position."""
        self.fence.pass_()
        self._producer[0] = position

    def release(self) -> None:
        """Unmap it; what is lent out keeps the memory until the last array of it goes."""
        self.spare = self.array = None
        for view in self._views:
            view.release()
        for memory in self._maps:
            with suppress(BufferError):
                memory.close()
        self._views, self._maps = [], []


def stride_of(length: int) -> int:
    """From the beginning of a record to that of the next; `length` is its header's, marks included."""
    return ((length & LENGTH) + HEADER + 7) // 8 * 8
