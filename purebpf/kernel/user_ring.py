"""Writes a user ring buffer: records from user space to programs (kernel/bpf/ringbuf.c, Linux 6.1).

The map's descriptor gives a page with the consumer's position, which is the kernel's, then a page with the producer's and the
data, twice in a row, which are ours. A record lies complete behind the producer's position before that moves past it.
"""

from __future__ import annotations

from _thread import allocate_lock

from purebpf.errors import NotLoaded
from purebpf.kernel.fence import Fence
from purebpf.kernel.map import KernelMap
from purebpf.kernel.ring_memory import HEADER, RingMemory, stride_of


class UserRingWriter:
    """Puts records in. Any thread may; one at a time does."""

    def __init__(self, ring: KernelMap) -> None:
        self._what = ring.descriptor.what
        self._lock = allocate_lock()
        self._memory: RingMemory | None = RingMemory(ring, Fence(), sends=True)

    def send(self, data: bytes) -> bool:
        """Put a record in; False when there is no room for it."""
        with self._lock:
            memory = self._memory
            if memory is None:
                raise NotLoaded(f"{self._what} is closed; nothing can be sent any more.")
            taken, end = stride_of(len(data)), memory.end()
            memory.fence.pass_()
            if taken > memory.size - (end - memory.at()):
                return False
            start = memory.place(end)
            memory.data[start + HEADER : start + HEADER + len(data)] = data
            memory.lengths[start // 4 + 1] = 0
            memory.lengths[start // 4] = len(data)
            memory.sent(end + taken)
            return True

    def close(self) -> None:
        """What was not taken out is lost with the map. Closing again does nothing."""
        with self._lock:
            memory, self._memory = self._memory, None
            if memory is not None:
                memory.release()
