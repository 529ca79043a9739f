"""Reads a perf event array: the rings of all CPUs, each under its CPU's number in the map."""

from __future__ import annotations

import errno
import mmap
import select
import sys
from typing import TYPE_CHECKING

from purebpf.engine import Run
from purebpf.errors import Error
from purebpf.kernel import cpus
from purebpf.kernel.map import KernelMap, handle_bytes
from purebpf.kernel.perf_backward import BackwardRing
from purebpf.kernel.perf_ring import Ring
from purebpf.kernel.reader import Reader
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.engine import Form

DEFAULT_BYTES = 64 << 10


class PerfReader(Reader):
    """Reads the events of all online CPUs. One thread reads at a time; any thread may close it, which wakes the reader.

    `size` is bytes for each CPU's ring: a power of two, at least a page. Events of one CPU come in order, those of different
    CPUs do not. CPUs that come online later are not read. With a `watermark` it is woken when so many bytes are in a ring. With
    `overwrite` a full ring keeps the newest events instead of the oldest (Linux 4.7). Needs Linux 4.4 and CAP_PERFMON.
    """

    def __init__(self, events: KernelMap, size: int = DEFAULT_BYTES, *, watermark: int = 0, overwrite: bool = False) -> None:
        if events.spec.type is not MapType.PERF_EVENT_ARRAY:
            raise Error(f"{events.descriptor.what} is no perf event array; its events cannot be read.")
        if size < mmap.PAGESIZE or size & (size - 1):
            raise Error(f"A ring of {size} bytes is not possible: it is a power of two and at least a page, {mmap.PAGESIZE}.")
        if not 0 <= watermark < size:
            raise Error(f"A watermark of {watermark} bytes is not possible in a ring of {size}.")
        super().__init__()
        self._map = events
        self._rings: list[Ring] = []
        try:
            self._open(size, watermark, overwrite)
        except BaseException:
            self._free()
            raise

    def _open(self, size: int, watermark: int, overwrite: bool) -> None:
        what, kind = self._map.descriptor.what, BackwardRing if overwrite else Ring
        for cpu in cpus.online():
            if cpu >= self._map.spec.max_entries:
                raise Error(
                    f"{what} has {self._map.spec.max_entries} entries, but there is a CPU {cpu}; events there would be lost."
                )
            try:
                ring = kind(cpu, size, what, watermark)
            except OSError as error:
                if error.errno == errno.ENODEV:  # went offline since we asked
                    continue
                raise
            self._rings.append(ring)
            self._poll.register(ring.event.number, select.EPOLLIN)
            self._map.update(cpu.to_bytes(4, sys.byteorder), handle_bytes(ring.event.number))

    def _drain(self, runs: list[Run], form: Form) -> None:
        for ring in self._rings:
            ring.drain(self._fence, runs)

    def _release(self) -> None:
        rings, self._rings = self._rings, []
        for ring in rings:
            # The map would keep the event alive, and the kernel writing into its ring.
            if not self._map.descriptor.closed and not self.inherited:
                self._map.delete(ring.cpu.to_bytes(4, sys.byteorder))
            ring.close()
