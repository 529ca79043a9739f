"""Reads what programs print with bpf_printk: trace_pipe of tracefs (Documentation/trace/ftrace.rst, "trace_pipe").

Since Linux 5.9 such a line is the event bpf_trace/bpf_trace_printk, so a tracefs instance of our own gets a copy of each and
nobody else's reader takes them away. Without that there is only the pipe that all readers of the machine share and empty.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import select
import threading
import time
from collections.abc import Iterator

from purebpf.data import data, replace
from purebpf.errors import NotLoaded
from purebpf.kernel import tracefs
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure

CHUNK = 64 << 10
BUFFER_KIB = 256  # of an own instance, for each CPU; the kernel's default of 1.4 MiB adds up on large machines
SHARED_TICK = 0.05  # seconds; poll on the shared pipe wakes only when the buffer is half full (buffer_percent)
EVENT = "events/bpf_trace/bpf_trace_printk/enable"
PREFIX = "purebpf-"

LINE = re.compile(
    r"\s*(?P<task>.+)-(?P<pid>\d+)\s+(?:\([\s\d-]+\)\s+)?\[(?P<cpu>\d+)\]\s+(?:\S+\s+)??(?P<time>\d+(?:\.\d+)?): "
    r"(?:bpf_trace_printk: )?(?P<text>.*)"
)
LOST = re.compile(r"\s*CPU:(?P<cpu>\d+) \[LOST (?P<lost>\d+) EVENTS\]")


@data
class TraceRecord:
    """One line. `pid` is the thread that ran the program, `time` seconds of the trace clock (usually since boot).

    A record with `lost` says how many lines of that CPU the kernel had to drop, and has nothing else.
    """

    task: str
    pid: int
    cpu: int
    time: float
    text: str
    lost: int = 0


def parse(lines: str) -> list[TraceRecord]:
    """Whole lines of trace_pipe as records. A line that does not begin like one continues the text before it."""
    records: list[TraceRecord] = []
    for line in lines.split("\n"):
        if found := LINE.fullmatch(line):
            task, pid, cpu, moment, text = found.group("task", "pid", "cpu", "time", "text")
            records.append(TraceRecord(task.strip(), int(pid), int(cpu), float(moment), text))
        elif found := LOST.fullmatch(line):
            records.append(TraceRecord("", 0, int(found["cpu"]), 0.0, "", int(found["lost"])))
        elif line and records and not records[-1].lost:
            records[-1] = replace(records[-1], text=f"{records[-1].text}\n{line}")
    return records


class TracePipe:
    """`mechanism` says which pipe it reads: "own tracefs instance" or "shared trace_pipe".

    The shared one also holds lines from before, and each line goes to one reader only. `pid` keeps only records of that thread.
    One thread reads at a time; any thread may close it, which wakes the reader. Needs root or a tracefs opened to others.
    Raises Error when tracefs is not mounted.
    """

    _numbers = itertools.count()

    def __init__(self, pid: int | None = None, shared: bool = False) -> None:
        self._pid = pid
        self._rest = b""
        self._reading = threading.Lock()
        self._closing = False
        root = tracefs.folder()
        self._instance = None if shared else _make_instance(root, f"{PREFIX}{os.getpid()}-{next(self._numbers)}")
        self.mechanism = "own tracefs instance" if self._instance else "shared trace_pipe"
        self._owner = os.getpid()
        path = f"{self._instance or root}/trace_pipe"
        try:
            self._pipe = Descriptor(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), path)
        except OSError as error:
            self._remove()
            raise failure(error.errno or errno.EIO, f"Opening {path}", needs=tracefs.NEEDS) from error
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.epoll()
        self._poll.register(self._wake, select.EPOLLIN)
        self._poll.register(self._pipe.number, select.EPOLLIN)

    def read(self, timeout: float | None = None) -> list[TraceRecord]:
        """All records that are there; waits up to `timeout` seconds (None: without end) for the first, [] when none came.

        Also [] when another thread closes it meanwhile. Raises NotLoaded when it is closed already.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            with self._reading:
                if self._closing:
                    raise NotLoaded("This reader of the trace pipe is closed.")
                return self._read(deadline)
        finally:
            self._finish()

    def _read(self, deadline: float | None) -> list[TraceRecord]:
        records = self._take()
        while not records and not self._closing:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            if not self._instance:
                left = SHARED_TICK if left is None else min(left, SHARED_TICK)
            self._poll.poll(left)
            records = self._take()
        return records

    def _take(self) -> list[TraceRecord]:
        """The wanted ones of the records that are there now."""
        parts = [self._rest]
        while True:
            try:
                part = os.read(self._pipe.number, CHUNK)
            except BlockingIOError:
                break
            if not part:
                break
            parts.append(part)
        whole, newline, self._rest = b"".join(parts).rpartition(b"\n")
        records = parse(whole.decode("utf-8", "replace")) if newline else []
        return [record for record in records if self._pid is None or record.lost or record.pid == self._pid]

    def __iter__(self) -> Iterator[TraceRecord]:
        """Records without end, until it is closed."""
        while not self._closing:
            yield from self.read()

    def fileno(self) -> int:
        """Readable when there are records; reliable only for an own instance. Raises NotLoaded when it is closed."""
        if self._closing:
            raise NotLoaded("This reader of the trace pipe is closed.")
        return self._poll.fileno()

    def close(self) -> None:
        """A reader that waits returns; the own instance is removed. Closing again does nothing."""
        if self._closing:
            return
        self._closing = True
        if os.getpid() == self._owner:  # else the one that reads is the parent, whose pipe it still is
            os.eventfd_write(self._wake, 1)
        self._finish()

    def _finish(self) -> None:
        """Free everything if it is to be closed and nobody reads; else the one who reads does it, as the last thing."""
        if self._closing and self._reading.acquire(blocking=False):
            try:
                if not self._poll.closed:
                    self._poll.close()
                    os.close(self._wake)
                    self._pipe.close()
                    self._remove()
            finally:
                self._reading.release()

    def _remove(self) -> None:
        instance, self._instance = self._instance, None
        if instance and os.getpid() == self._owner:
            _remove_instance(instance)

    def __enter__(self) -> TracePipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make_instance(root: str, name: str) -> str | None:
    """A tracefs instance that gets the lines of programs from now on; None where there can be none."""
    _remove_leftovers(root)
    path = f"{root}/instances/{name}"
    try:
        os.mkdir(path, 0o700)
    except OSError:
        return None
    try:
        for file, value in (("buffer_size_kb", BUFFER_KIB), ("buffer_percent", 0), (EVENT, 1)):
            with open(f"{path}/{file}", "w") as setting:
                setting.write(str(value))
    except OSError:
        _remove_instance(path)
        return None
    return path


def _remove_instance(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError as error:
        # Gone already, or held open by a forked child; what a dead process leaves is removed by the next reader.
        if error.errno not in (errno.ENOENT, errno.EBUSY):
            raise


def _remove_leftovers(root: str) -> None:
    """Instances that readers of killed processes left. One that is in use cannot be removed (EBUSY)."""
    try:
        names = os.listdir(f"{root}/instances")
    except OSError:
        return
    for name in names:
        owner = name.removeprefix(PREFIX).partition("-")[0]
        if name.startswith(PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            _remove_instance(f"{root}/instances/{name}")
