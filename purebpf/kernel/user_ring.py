"""Writes a user ring buffer: records from user space to programs (kernel/bpf/ringbuf.c, Linux 6.1).

The map's descriptor gives a page with the consumer's position, which is the kernel's, then a page with the producer's and the
data, twice in a row, which are ours. A record lies complete behind the producer's position before that moves past it.
"""

from __future__ import annotations

import errno
import mmap
from _thread import allocate_lock

from purebpf.errors import NotLoaded
from purebpf.kernel.errors import failure
from purebpf.kernel.fence import Fence
from purebpf.kernel.map import KernelMap
from purebpf.kernel.ring_memory import HEADER


class UserRingWriter:
    """Puts records in. Any thread may; one at a time does."""

    def __init__(self, ring: KernelMap) -> None:
        self._what = ring.descriptor.what
        self._size = ring.spec.max_entries
        self._lock = allocate_lock()
        self._fence = Fence()
        self._maps: list[mmap.mmap] = []
        consumer = self._mapped(ring, mmap.PAGESIZE, 0, mmap.PROT_READ)
        try:
            producer = self._mapped(ring, mmap.PAGESIZE + 2 * self._size, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE)
        except BaseException:
            consumer.release()
            self._maps.pop().close()
            raise
        self._consumer, self._producer, self._lengths = consumer.cast("Q"), producer.cast("Q"), producer.cast("I")
        self._views = [self._consumer, self._producer, self._lengths, consumer, producer]

    def _mapped(self, ring: KernelMap, length: int, offset: int, protection: int) -> memoryview:
        try:
            memory = mmap.mmap(ring.descriptor.number, length, mmap.MAP_SHARED, protection, offset=offset)
        except OSError as error:
            raise failure(error.errno or errno.ENOMEM, f"Mapping {length >> 10} KiB of {self._what}") from error
        self._maps.append(memory)
        return memoryview(memory)

    def send(self, data: bytes) -> bool:
        """Put a record in; False when there is no room for it."""
        with self._lock:
            if not self._maps:
                raise NotLoaded(f"{self._what} is closed; nothing can be sent any more.")
            taken = (len(data) + HEADER + 7) // 8 * 8
            end = self._producer[0]
            self._fence.pass_()
            if taken > self._size - (end - self._consumer[0]):
                return False
            start = mmap.PAGESIZE + (end & (self._size - 1))
            self._maps[1][start + HEADER : start + HEADER + len(data)] = data
            self._lengths[start // 4 + 1] = 0
            self._lengths[start // 4] = len(data)
            self._fence.pass_()
            self._producer[0] = end + taken
            return True

    def close(self) -> None:
        """What was not taken out is lost with the map. Closing again does nothing."""
        with self._lock:
            for view in self._views:
                view.release()
            for memory in self._maps:
                memory.close()
            self._views, self._maps = [], []
