"""Takes records out of a ring buffer with NumPy: the headers of many are compared at once, and many are copied at once.

Records of one size are equally far apart, and the ring's memory is mapped twice in a row: however many they are, they are one
strided array. A header that differs ends it; dropped records of the same size are left out.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy

from purebpf.errors import Error
from purebpf.kernel.ring_memory import BUSY, DISCARDED, HEADER, LENGTH, RingMemory, stride_of

Array = numpy.ndarray[Any, Any]

WIDE, WORD = numpy.dtype(numpy.complex128), numpy.dtype(numpy.uint64)  # what is copied at once: sixteen bytes, or eight
SMALLEST = 1 << 12  # bytes for a batch
HELD_HERE = 3  # references to the spare memory: the ring's, the variable's, the argument's
FIRST, MOST = 64, 1 << 14  # so many records together while they may be of any size, and when they are of one


def drain(memory: RingMemory, least: int) -> list[Array]:
    """One array of bytes (`V`) for each run of records of one size. Error for a record of fewer bytes than `least`, when it is
    the first: it stays where it is."""
    batches: list[Batch] = []
    at, end = memory.at(), memory.end()
    while at < end:
        length = memory.header(at)
        if length & BUSY:
            break
        size, stride, count = length & LENGTH, stride_of(length), 1
        if size >= max(least, 1):
            if not batches or batches[-1].size != size:
                batches.append(Batch(size, _room(memory, size * ((end - at) // stride))))
            space = min((end - at) // stride, max(memory.together, FIRST))
            count = batches[-1].take(memory, memory.place(at), space)
            memory.together = min(space * 8, MOST) if count == space else 0
        elif not length & DISCARDED:
            if batches:
                break
            raise Error(f"{memory.what} holds a record of {size} bytes, fewer than {least}: take it by `read_events()`")
        at += count * stride
        memory.passed(at)
        if at == end and not batches:  # nothing but dropped ones
            end = memory.end()
    return [batch.records() for batch in batches if batch.count]


class Batch:
    """Copies of records of one size, close together, in `room` for as many as were in the ring."""

    def __init__(self, size: int, room: Array) -> None:
        self.size, self.stride, self.count = size, stride_of(size), 0
        word = WIDE if size % WIDE.itemsize == 0 else WORD
        if size % word.itemsize:
            word = numpy.dtype(f"V{size}")
        self.other = numpy.empty(MOST, numpy.bool_)
        self.words: Array = room.view(word).reshape(-1, size // word.itemsize)

    def take(self, memory: RingMemory, start: int, space: int) -> int:
        """Copy up to `space` records from a place on; how many were of this size, dropped ones among them."""
        lengths: Array = numpy.ndarray((space,), numpy.uint32, memory.data, start, (self.stride,))
        other = numpy.not_equal(lengths, self.size, out=self.other[:space])
        dropped = None
        if other.any():
            lengths = lengths.copy()  # programs go on: one look at them all
            dropped = lengths != self.size
            other = (lengths & ~numpy.uint32(DISCARDED)) != self.size  # one that is being written too
            space = int(other.argmax()) if other.any() else space
        memory.fence.pass_()
        first, self.count = self.count, self.count + space
        for n in range(self.words.shape[1]):
            place = start + HEADER + n * self.words.itemsize
            self.words[first : self.count, n] = numpy.ndarray((space,), self.words.dtype, memory.data, place, (self.stride,))
        if dropped is not None and dropped[:space].any():
            kept = self.words[first : self.count][~dropped[:space]]
            self.count = first + len(kept)
            self.words[first : self.count] = kept
        return space

    def records(self) -> Array:
        """Those that were taken."""
        return self.words[: self.count].view(f"V{self.size}").reshape(self.count)


def _room(memory: RingMemory, size: int) -> Array:
    """Bytes for a batch: those of an earlier one that nobody holds any more, since new memory costs more than the records."""
    spare: Array | None = memory.spare
    if spare is None or len(spare) < size or sys.getrefcount(spare) > HELD_HERE:
        memory.spare = spare = numpy.empty(max(size, SMALLEST), numpy.uint8)
    return spare[:size]
