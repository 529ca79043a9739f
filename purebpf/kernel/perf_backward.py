"""One CPU's ring of perf events that keeps the newest ones (perf_event_open(2), "write_backward", Linux 4.7).

The kernel writes each record before the last one, downwards, and over the oldest when it has been all around. It never looks at
how far user space has read: while we read, its output is paused, and what programs send then is lost and counted.
"""

from __future__ import annotations

import fcntl
import mmap
from collections.abc import Iterator
from itertools import groupby
from typing import ClassVar

from purebpf.engine import Run
from purebpf.kernel.fence import Fence
from purebpf.kernel.perf_ring import BEFORE_DATA, HEAD, HEADER, HEADER_SIZE, LOST, RAW_SIZE, Ring
from purebpf.tables.attr import PERF_RECORD_LOST, PERF_RECORD_SAMPLE

PERF_EVENT_IOC_PAUSE_OUTPUT = 0x4004_2409  # _IOW('$', 9, __u32)
EVER = (1 << 64) - 1


class BackwardRing(Ring):
    """Gives what was written since it was read last and is still there, the oldest first. Mapped without the right to write,
    which is how the kernel knows that it may overwrite."""

    protection = mmap.PROT_READ
    fields: ClassVar = Ring.fields | {"write_backward": 1}

    def __init__(self, cpu: int, size: int, what: str, watermark: int = 0) -> None:
        super().__init__(cpu, size, what, watermark)
        self._seen = 0  # where the newest record was that has been given

    def drain(self, fence: Fence, runs: list[Run]) -> None:
        """Append what is new."""
        self._seen = next((run.end for run in reversed(runs) if run.cpu == self.cpu), self._seen)
        if self.words[HEAD] == self._seen:
            return
        fcntl.ioctl(self.event.number, PERF_EVENT_IOC_PAUSE_OUTPUT, 1)
        try:
            head = self.words[HEAD]
            fence.pass_()
            start = head & self.size - 1
            new = self._copy(start, start + min((self._seen - head) & EVER, self.size))
        finally:
            fcntl.ioctl(self.event.number, PERF_EVENT_IOC_PAUSE_OUTPUT, 0)
        runs += self._runs(new, head)
        self._seen = head

    def _runs(self, new: bytes, head: int) -> list[Run]:
        records = list(_records(new))[::-1]
        runs = []
        for (kind, stride, size), group in groupby(records, lambda record: record[:3]):
            contents = [content for _, _, _, content in group]
            if kind == PERF_RECORD_SAMPLE:
                runs.append(Run(b"".join(contents), BEFORE_DATA, size, stride, len(contents), self.cpu, end=head))
            elif kind == PERF_RECORD_LOST:
                lost = sum(LOST.unpack_from(content, HEADER_SIZE)[1] for content in contents)
                runs.append(Run(b"", 0, 0, 0, 0, self.cpu, lost, head))
        return runs


def _records(new: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, size, size of the data, and content of each record that is whole, the newest first."""
    at = 0
    while at + BEFORE_DATA <= len(new):
        kind, _misc, stride = HEADER.unpack_from(new, at)
        if stride < HEADER_SIZE or at + stride > len(new):  # the oldest has been written over in part
            return
        size = min(RAW_SIZE.unpack_from(new, at + HEADER_SIZE)[0], stride - BEFORE_DATA) if kind == PERF_RECORD_SAMPLE else 0
        yield kind, stride, size, new[at : at + stride]
        at += stride
