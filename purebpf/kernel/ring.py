"""Reads a ring buffer: one ring of all CPUs. Records one by one, in runs of one size, or into NumPy arrays."""

from __future__ import annotations

import select
from functools import cache
from itertools import takewhile
from struct import Struct
from typing import TYPE_CHECKING

from purebpf.engine import Event, Run
from purebpf.errors import Error
from purebpf.kernel.map import KernelMap
from purebpf.kernel.reader import Reader
from purebpf.kernel.ring_memory import BUSY, DISCARDED, HEADER, RingMemory, stride_of
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.kernel.ring_batch import Array

NO_CPU = -1
FIRST_RUN, MOST_RUN = 16, 4096  # so many records together while they may be of any size, and when they are of one


class RingReader(Reader):
    """Reads a ring buffer in the order in which records were reserved: one that is still being written holds up those behind
    it. One thread reads at a time; any thread may close it, which wakes the reader. Needs Linux 5.8."""

    def __init__(self, ring: KernelMap) -> None:
        if ring.spec.type is not MapType.RINGBUF:
            raise Error(f"{ring.descriptor.what} is no ring buffer; its records cannot be read.")
        super().__init__()
        self._memory: RingMemory | None = None
        try:
            self._memory = RingMemory(ring, self._fence)
            self._poll.register(ring.descriptor.number, select.EPOLLIN)
        except BaseException:
            self._free()
            raise

    def read_runs(self, timeout: float | None = None) -> list[Run]:
        """As `read`, with records of one size that are next to one another together."""
        return self._when_some(self._drain_runs, timeout)

    def read_batch(self, least: int, timeout: float | None = None) -> list[Array]:
        """As `read`, into NumPy arrays: one of bytes (`V`) for each run of records of one size, without a loop over them.
        Raises Error for a record of fewer bytes than `least`, which stays there. NumPy is wanted."""
        from purebpf.kernel.ring_batch import drain

        return self._when_some(lambda: drain(self._memory, least) if self._memory is not None else [], timeout)

    def _drain(self) -> list[Event]:
        events: list[Event] = []
        memory = self._memory
        if memory is None:
            return events
        at, end = memory.at(), memory.end()
        while at < end:
            length = memory.header(at)
            if length & BUSY:
                break
            if not length & DISCARDED:
                start = memory.place(at) + HEADER
                events.append(Event(NO_CPU, memory.data[start : start + length]))
            at += stride_of(length)
            memory.passed(at)
            if at == end:
                end = memory.end()
        return events

    def _drain_runs(self) -> list[Run]:
        """As many records at a time as were of one size lately, and then twice as many."""
        runs: list[Run] = []
        memory = self._memory
        if memory is None:
            return runs
        at, end, most = memory.at(), memory.end(), FIRST_RUN
        while at < end:
            length = memory.header(at)
            if length & BUSY:
                break
            stride, count = stride_of(length), 1
            if not length & DISCARDED:
                start, space = memory.place(at), min((end - at) // stride, most)
                lengths = _headers(stride).iter_unpack(memory.bytes[start : start + space * stride])
                count = sum(1 for _ in takewhile((length,).__eq__, lengths))
                most = min(most * 2, MOST_RUN) if count == most else FIRST_RUN
                memory.fence.pass_()
                runs.append(Run(memory.data[start : start + count * stride], HEADER, length, stride, count))
            at += count * stride
            memory.passed(at)
            if at == end:
                end = memory.end()
        return runs

    def _release(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.release()


@cache
def _headers(stride: int) -> Struct:
    """The length in a record's header, of records that are so far apart."""
    return Struct(f"=I{stride - 4}x")
