"""What programs print (`bpf_trace_printk` and its like), kept as the kernel's trace pipe would show it.

Format of a line: Documentation/trace/ftrace.rst, "trace_pipe".
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from purebpf.data import data

COMM_BYTES = 16  # TASK_COMM_LEN
DEFAULT_RECORDS = 100_000


@data
class Task:
    """The process that programs see as the current one. `thread` None stands for the thread that runs the program."""

    pid: int
    thread: int | None
    uid: int
    gid: int
    comm: bytes

    @classmethod
    def current(cls) -> Task:
        """This process; ids that the system does not have are 0."""
        uid, gid = (os.getuid(), os.getgid()) if hasattr(os, "getuid") else (0, 0)
        try:
            comm = Path("/proc/self/comm").read_bytes().rstrip(b"\n")
        except OSError:
            comm = os.path.basename(sys.argv[0] or sys.executable or "python").encode()
        return cls(os.getpid(), None, uid, gid, comm[: COMM_BYTES - 1])

    @property
    def tid(self) -> int:
        return threading.get_native_id() if self.thread is None else self.thread


@data
class TraceRecord:
    """One message, without newlines at its end. `time` is seconds since boot, `pid` the thread's number, as in the kernel."""

    task: str
    pid: int
    cpu: int
    time: float
    text: str

    def __str__(self) -> str:
        """The line of the trace pipe."""
        return f"{self.task:>16}-{self.pid:<7} [{self.cpu:03}] ....1 {self.time:12.6f}: bpf_trace_printk: {self.text}"


class Trace:
    """The messages so far, oldest first; when there are more than `size`, the oldest are dropped.

    Iterating takes them out one by one and ends when there are no more; `lines()` gives them as the trace pipe would.
    """

    def __init__(self, size: int = DEFAULT_RECORDS) -> None:
        self.records: deque[TraceRecord] = deque(maxlen=size)
        self.added = 0  # in all

    def add(self, record: TraceRecord) -> None:
        self.records.append(record)
        self.added += 1

    def since(self, added: int) -> tuple[str, ...]:
        """The bare messages that came after so many, as far as they are kept."""
        return tuple(record.text for record in list(self.records)[-(self.added - added) :]) if self.added > added else ()

    @property
    def texts(self) -> list[str]:
        """The bare messages."""
        return [record.text for record in self.records]

    def lines(self) -> Iterator[str]:
        """Take the messages out, as lines of the trace pipe."""
        return map(str, self)

    def read(self) -> list[TraceRecord]:
        """Take out all messages that are there."""
        return list(self)

    def clear(self) -> None:
        self.records.clear()

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[TraceRecord]:
        while self.records:
            yield self.records.popleft()
