"""One CPU's ring of perf events (perf_event_open(2), "MMAP layout"; kernel/events/ring_buffer.c).

The kernel writes data_head and we write data_tail, both ever-growing byte counts; data between them is ours.
"""

from __future__ import annotations

import errno
import mmap
from itertools import takewhile
from struct import Struct
from typing import ClassVar

from purebpf.engine import Run
from purebpf.errors import Error
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.fence import Fence
from purebpf.kernel.syscall import perf_event_open
from purebpf.tables.attr import (
    INTEGERS,
    PERF_COUNT_SW_BPF_OUTPUT,
    PERF_RECORD_LOST,
    PERF_RECORD_SAMPLE,
    PERF_SAMPLE_RAW,
    PERF_TYPE_SOFTWARE,
    SIZES,
)

HEAD = INTEGERS["perf_event_mmap_page"]["data_head"][0] // 8
TAIL = INTEGERS["perf_event_mmap_page"]["data_tail"][0] // 8
HEADER_SIZE = SIZES["perf_event_header"]
HEADER = Struct("=IHH")  # perf_event_header: type, misc, size
RAW_SIZE = Struct("=I")
BEFORE_DATA = HEADER_SIZE + RAW_SIZE.size
LOST = Struct("=QQ")  # id, number of records lost
LEAST = {PERF_RECORD_SAMPLE: BEFORE_DATA, PERF_RECORD_LOST: HEADER_SIZE + LOST.size}
FIRST_RUN, MOST_RUN = 16, 4096  # so many records together while they may be of any size, and when they are of one


class Ring:
    """One CPU's perf event and its memory. Holds two descriptors until it is closed: the event's, and mmap's copy of it."""

    protection = mmap.PROT_READ | mmap.PROT_WRITE
    fields: ClassVar = {
        "type": PERF_TYPE_SOFTWARE,
        "config": PERF_COUNT_SW_BPF_OUTPUT,
        "sample_type": PERF_SAMPLE_RAW,
        "sample_period": 1,
    }

    def __init__(self, cpu: int, size: int, what: str, watermark: int = 0) -> None:
        self.cpu, self.size = cpu, size
        wakeup = {"watermark": 1, "wakeup_watermark": watermark} if watermark else {"wakeup_events": 1}
        answer = perf_event_open(self.fields | wakeup, pid=-1, cpu=cpu)
        if answer < 0:
            raise failure(-answer, f"Opening the events of {what} on CPU {cpu}", needs=("CAP_PERFMON",))
        self.event = Descriptor(answer, f"the events of {what} on CPU {cpu}")
        try:
            self.memory = mmap.mmap(self.event.number, mmap.PAGESIZE + size, prot=self.protection)
        except OSError as error:
            self.event.close()
            reasons = {errno.EPERM: "It is more than /proc/sys/kernel/perf_event_mlock_kb allows without CAP_IPC_LOCK."}
            number = error.errno or errno.ENOMEM
            raise failure(number, f"Mapping {size >> 10} KiB for {self.event.what}", reasons=reasons) from error
        self.bytes = memoryview(self.memory)
        self.words = self.bytes.cast("Q")  # positions are read and written as one aligned access

    def drain(self, fence: Fence, runs: list[Run]) -> None:
        """Append all that is there, those of one size that are next to one another together."""
        mine = next((run.end for run in reversed(runs) if run.cpu == self.cpu), 0)
        tail, head = max(self.words[TAIL], mine), self.words[HEAD]
        if self.words[TAIL] == head:
            return
        fence.pass_()
        most = FIRST_RUN
        try:
            while tail < head:
                # Records begin at multiples of 8, so a header does not wrap around.
                kind, _misc, size = HEADER.unpack_from(self.memory, mmap.PAGESIZE + (tail & self.size - 1))
                if size < LEAST.get(kind, HEADER_SIZE) or tail + size > head:
                    tail = head
                    raise Error(f"The ring of CPU {self.cpu} holds a record of {size} bytes, which cannot be; it is skipped.")
                count = 1
                if kind == PERF_RECORD_SAMPLE:
                    runs.append(run := self._run(tail, head, size, most))
                    count, most = run.count, min(most * 2, MOST_RUN) if run.count == most else FIRST_RUN
                elif kind == PERF_RECORD_LOST:
                    runs.append(Run(b"", 0, 0, 0, 0, self.cpu, self._lost(tail), tail + size))
                tail += count * size
        finally:
            fence.pass_()
            self.words[TAIL] = tail

    def _run(self, position: int, end: int, stride: int, most: int) -> Run:
        """Samples that are alike from a position on, up to the end of the memory; one that wraps around alone."""
        start = position & self.size - 1
        space = max(min(end - position, self.size - start, most * stride) // stride, 1)
        content = self._copy(start, start + space * stride)
        count = alike(content, stride)
        size = min(RAW_SIZE.unpack_from(content, HEADER_SIZE)[0], stride - BEFORE_DATA)
        return Run(content[: count * stride], BEFORE_DATA, size, stride, count, self.cpu, end=position + count * stride)

    def _lost(self, position: int) -> int:
        """How many records were lost, as a record of that says."""
        start = position & self.size - 1
        return int(LOST.unpack(self._copy(start + HEADER_SIZE, start + HEADER_SIZE + LOST.size))[1])

    def _copy(self, first: int, last: int) -> bytes:
        """Bytes between two positions, of which the first is below twice the ring's size and the last may be behind its end."""
        start = first & self.size - 1
        end = start + last - first
        base = mmap.PAGESIZE
        if end <= self.size:
            return self.memory[base + start : base + end]
        return self.memory[base + start :] + self.memory[base : base + end - self.size]

    def close(self) -> None:
        self.words.release()
        self.bytes.release()
        self.memory.close()
        self.event.close()


def alike(content: bytes, stride: int) -> int:
    """How many samples are as the first: their kind, their size, and that of their data."""
    headers = Struct(f"=I2xHI{stride - BEFORE_DATA}x").iter_unpack(content)
    return 1 + sum(1 for _ in takewhile(next(headers).__eq__, headers))
