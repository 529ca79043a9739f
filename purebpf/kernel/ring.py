"""Reads a ring buffer: one ring of all CPUs. Records in runs of one size, copied as bytes or into NumPy arrays, or lent."""

from __future__ import annotations

import select
from functools import cache
from itertools import takewhile
from struct import Struct
from typing import TYPE_CHECKING

from purebpf.engine import Run
from purebpf.errors import Error
from purebpf.kernel.map import KernelMap
from purebpf.kernel.reader import Reader
from purebpf.kernel.ring_memory import BUSY, DISCARDED, HEADER, RingMemory, stride_of
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.engine import Form

FIRST_RUN, MOST_RUN = 16, 4096  # so many records together while they may be of any size, and when they are of one


class RingReader(Reader):
    """Reads a ring buffer in the order in which records were reserved: one that is still being written holds up those behind
    it. One thread reads at a time; any thread may close it, which wakes the reader. Needs Linux 5.8."""

    def __init__(self, ring: KernelMap) -> None:
        if ring.spec.type is not MapType.RINGBUF:
            raise Error(f"{ring.descriptor.what} is no ring buffer; its records cannot be read.")
        super().__init__()
        self._memory: RingMemory | None = None
        self._lent: int | None = None  # how far the ring is lent as a view
        try:
            self._memory = RingMemory(ring, self._fence)
            self._poll.register(ring.descriptor.number, select.EPOLLIN)
        except BaseException:
            self._free()
            raise

    def _drain(self, runs: list[Run], form: Form) -> None:
        memory = self._memory
        if memory is None:
            return
        if runs and runs[-1].lent:  # nobody has taken it yet
            self._lent = runs[-1].end
            return
        behind = runs[-1].end if runs else self._lent
        if behind is not None and behind > memory.at():
            memory.passed(behind)
        self._lent = None
        if form == "bytes":
            drain(memory, runs)
            return
        from purebpf.kernel import ring_batch

        if form == "arrays":
            ring_batch.drain(memory, runs)
        elif not runs:
            self._lent = ring_batch.lend(memory, runs)

    def _release(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            if self._lent is not None and not self.inherited:
                memory.passed(self._lent)
            memory.release()


def drain(memory: RingMemory, runs: list[Run]) -> None:
    """Append all that is there. As many records at a time as were of one size lately, and then twice as many."""
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
            content = memory.data[start : start + count * stride]
            runs.append(Run(content, HEADER, length, stride, count, end=at + count * stride))
        at += count * stride
        memory.passed(at)
        if at == end:
            end = memory.end()


@cache
def _headers(stride: int) -> Struct:
    """The length in a record's header, of records that are so far apart."""
    return Struct(f"=I{stride - 4}x")
