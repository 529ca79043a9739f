"""Takes records out of a ring buffer with NumPy: the headers of many are compared at once, and many copied at once, or lent.

Records of one size are equally far apart, and the ring's memory is mapped twice in a row: however many they are, they are one
strided array. A header that differs ends it; dropped records of the same size are left out.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy

from purebpf.engine import Run
from purebpf.kernel.ring_memory import BUSY, DISCARDED, HEADER, RingMemory, stride_of

Array = numpy.ndarray[Any, Any]

WIDE, WORD = numpy.dtype(numpy.complex128), numpy.dtype(numpy.uint64)  # what is copied at once: sixteen bytes, or eight
SMALLEST = 1 << 12  # bytes for a batch
HELD_HERE = 3  # references to the spare memory: the ring's, the variable's, the argument's
TOGETHER = 1 << 16  # headers compared at once
FIRST, MOST = 64, 1 << 14  # so many records together while they may be of any size, and when they are of one


def drain(memory: RingMemory, runs: list[Run]) -> None:
    """Append a run for all records of one size that are next to one another, copied into an array without anything between
    them."""
    at, end = memory.at(), memory.end()
    while at < end:
        length = memory.header(at)
        if length & BUSY:
            break
        if length & DISCARDED:
            at += stride_of(length)
            memory.passed(at)
        else:
            at = _run(memory, runs, at, end, length)
        if at == end and not runs:  # nothing but dropped ones
            end = memory.end()


def _run(memory: RingMemory, runs: list[Run], at: int, end: int, size: int) -> int:
    """Append those of one size from a position on; where it goes on behind them."""
    stride, start = stride_of(size), memory.place(at)
    count, dropped = alike(memory, start, min((end - at) // stride, FIRST), size, stride)
    if count == FIRST and size:
        return _long_run(memory, runs, at, end, size)
    content = memory.data[start : start + count * stride]
    if dropped is not None:
        content = numpy.frombuffer(content, numpy.uint8).reshape(count, stride)[~dropped].tobytes()
    at += count * stride
    runs.append(Run(content, HEADER, size, stride, len(content) // stride, end=at))
    memory.passed(at)
    return at


def _long_run(memory: RingMemory, runs: list[Run], at: int, end: int, size: int) -> int:
    """The same by a batch, a cacheful of records at a time."""
    stride = stride_of(size)
    batch = Batch(size, _room(memory, size * ((end - at) // stride)))
    going, space = True, FIRST
    while going and at < end:
        space = min((end - at) // stride, space)
        count = batch.take(memory, memory.place(at), space)
        at += count * stride
        going = count == space > 0
        space = min(space * 8, MOST)
    runs.append(Run(batch.records(), 0, size, size, batch.count, end=at))
    memory.passed(at)
    return at


class Batch:
    """Copies of records of one size, close together, in `room` for as many as were in the ring."""

    def __init__(self, size: int, room: Array) -> None:
        self.size, self.stride, self.count = size, stride_of(size), 0
        word = WIDE if size % WIDE.itemsize == 0 else WORD
        if size % word.itemsize:
            word = numpy.dtype(f"V{size}")
        self.words: Array = room.view(word).reshape(-1, size // word.itemsize)

    def take(self, memory: RingMemory, start: int, space: int) -> int:
        """Copy up to `space` records from a place on; how many were of this size, dropped ones among them."""
        space, dropped = alike(memory, start, space, self.size, self.stride)
        first, self.count = self.count, self.count + space
        for n in range(self.words.shape[1]):
            place = start + HEADER + n * self.words.itemsize
            self.words[first : self.count, n] = numpy.ndarray((space,), self.words.dtype, memory.data, place, (self.stride,))
        if dropped is not None:
            kept = self.words[first : self.count][~dropped]
            self.count = first + len(kept)
            self.words[first : self.count] = kept
        return space

    def records(self) -> Array:
        """The bytes of those that were taken."""
        return self.words[: self.count].view(numpy.uint8).reshape(-1)


def lend(memory: RingMemory, runs: list[Run]) -> int | None:
    """Append one run that is the ring's memory, of all records of one size that come next, and leave them in the ring; how far
    they reach. Where programs dropped records between them it is a copy, and only records that are no use are taken out."""
    at, end = memory.at(), memory.end()
    while at < end:
        length = memory.header(at)
        if length & BUSY:
            return None
        if not length & DISCARDED:
            break
        at += stride_of(length)
        memory.passed(at)
        end = memory.end()
    else:
        return None
    size, stride, start = length, stride_of(length), memory.place(at)
    space, dropped = alike(memory, start, (end - at) // stride, size, stride)
    if memory.array is None:
        memory.array = numpy.frombuffer(memory.data, numpy.uint8)  # keeps the mapping as long as there is an array of it
    content: Array = memory.array[start : start + space * stride]
    end = at + space * stride
    if dropped is not None:
        content = content.reshape(space, stride)[~dropped].reshape(-1)
    runs.append(Run(content, HEADER, size, stride, len(content) // stride, end=end, lent=True))
    return end


def alike(memory: RingMemory, start: int, space: int, size: int, stride: int) -> tuple[int, Array | None]:
    """Of up to `space` records from a place on, how many are of one size and complete; and which of them were dropped, None if
    none."""
    if memory.other is None:
        memory.other = numpy.empty(TOGETHER, numpy.bool_)
    lengths: Array = numpy.ndarray((space,), numpy.uint32, memory.data, start, (stride,))
    for first in range(0, space, TOGETHER):
        some = lengths[first : first + TOGETHER]
        if numpy.not_equal(some, size, out=memory.other[: len(some)]).any():
            break
    else:
        memory.fence.pass_()
        return space, None
    lengths = lengths.copy()  # one look at each header: programs go on
    differs = (lengths & ~numpy.uint32(DISCARDED)) != size  # one that is being written too
    space = int(differs.argmax()) if differs.any() else space
    memory.fence.pass_()
    dropped: Array = lengths[:space] != size
    return space, dropped if dropped.any() else None


def _room(memory: RingMemory, size: int) -> Array:
    """Bytes for a batch: those of an earlier one that nobody holds any more, since new memory costs more than the records."""
    spare: Array | None = memory.spare
    if spare is None or len(spare) < size or sys.getrefcount(spare) > HELD_HERE:
        memory.spare = spare = numpy.empty(max(size, SMALLEST), numpy.uint8)
    return spare[:size]
