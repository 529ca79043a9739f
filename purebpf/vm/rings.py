"""Ring buffers (kernel/bpf/ringbuf.c): records in the order in which they were reserved, read when they are submitted.

A reserved record is memory of its own here; its space counts from its reservation until the reader has passed it.
"""

from __future__ import annotations

from collections import deque
from itertools import takewhile

from purebpf.data import data
from purebpf.engine import Event
from purebpf.spec import MapSpec
from purebpf.vm.arrival import Arrival
from purebpf.vm.facts import EINVAL, Refused, fact
from purebpf.vm.machine import Machine
from purebpf.vm.maps import VmMap
from purebpf.vm.memory import Fault

HEADER = 8  # struct bpf_ringbuf_hdr
LARGEST = 0xFFFF_FFFF // 4  # RINGBUF_MAX_RECORD_SZ
NO_CPU = -1


@data(frozen=False, eq=False)
class Record:
    """`data` is None when the program has dropped it. `end`: the bytes that were ever reserved when it was."""

    data: bytearray | None
    end: int
    region: int = 0
    busy: bool = True


class RingBuf(VmMap):
    """The ring and what is in it; `waiting` wakes the reader."""

    cpu = NO_CPU

    def __init__(self, machine: Machine, spec: MapSpec) -> None:
        super().__init__(machine, spec)
        self.records: deque[Record] = deque()
        self.open: dict[int, Record] = {}  # by address, those that are reserved
        self._sent = self._taken = 0  # bytes
        self.waiting = Arrival()

    def room(self, size: int) -> Record | None:
        """The next record, or None when the ring is full."""
        space = (size + HEADER + 7) // 8 * 8
        with self.waiting:
            if size > LARGEST or self.used + space > self.spec.max_entries - 1:
                return None
            self._sent += space
            record = Record(bytearray(size), self._sent)
            self.records.append(record)
        return record

    def reserve_record(self, size: int) -> int:
        """The address of a new record's memory, or 0."""
        record = self.room(size)
        if record is None or record.data is None:
            return 0
        memory = self.machine.memory
        record.region = memory.reserve(1, lambda _: f"a record of {self.what} that has been handed over")
        address = memory.map(record.region, record.data)
        self.open[address] = record
        return address

    def give_back(self, address: int, keep: bool) -> None:
        """Submit or discard a reserved record."""
        record = self.open.pop(address)
        self.machine.memory.unmap(record.region)
        with self.waiting:
            record.data = record.data if keep else None
            record.busy = False
            self.waiting.notify_all()

    def output(self, data: bytes) -> bool:
        """Copy a record in; False when the ring is full."""
        record = self.room(len(data))
        if record is None:
            return False
        with self.waiting:
            record.data, record.busy = bytearray(data), False
            self.waiting.notify_all()
        return True

    @property
    def used(self) -> int:
        """The bytes that records take."""
        return self._sent - self._taken

    def ready(self) -> list[tuple[int, Event]]:
        """What can be read, up to the first record that is still being written, numbered by where it ends. The caller holds
        `waiting`."""
        while self.records and not self.records[0].busy and self.records[0].data is None:
            self.drop(self.records[0].end)
        complete = takewhile(lambda record: not record.busy, self.records)
        return [(record.end, Event(NO_CPU, bytes(record.data))) for record in complete if record.data is not None]

    def drop(self, number: int) -> None:
        """Take out the records up to an end. The caller holds `waiting`."""
        while self.records and self.records[0].end <= number:
            self._taken = self.records[0].end
            self.records.popleft()

    def query(self, what: int) -> int:
        """What `ringbuf_query` tells: the bytes in use and the size; positions are not kept here."""
        if what == fact("BPF_RB_AVAIL_DATA"):
            return self.used
        if what == fact("BPF_RB_RING_SIZE"):
            return self.spec.max_entries
        raise Fault("asks for a position in a ring buffer, which the virtual machine does not keep")

    def following(self, key: bytes | None) -> bytes | None:
        raise Refused(EINVAL)


def ring_at(vm: Machine, address: int) -> RingBuf:
    found = vm.map_at(address)
    if not isinstance(found, RingBuf):
        raise Fault(f"uses {found.what} as a ring buffer, but it is a {found.kind}")
    return found


def ringbuf_output(vm: Machine, ringbuf: int, data: int, size: int, flags: int) -> int:
    ring = ring_at(vm, ringbuf)
    if flags & ~wakeups():
        return -EINVAL
    return 0 if ring.output(vm.memory.read(data, size)) else -fact("EAGAIN")


def ringbuf_reserve(vm: Machine, ringbuf: int, size: int, flags: int) -> int:
    return 0 if flags else ring_at(vm, ringbuf).reserve_record(size)


def finished(vm: Machine, address: int, keep: bool) -> int:
    for map in vm.maps.values():
        if isinstance(map, RingBuf) and address in map.open:
            map.give_back(address, keep)
            return 0
    raise Fault(f"hands over {address:#x}, which is no record that it has reserved")


def ringbuf_submit(vm: Machine, data: int, flags: int) -> int:
    return finished(vm, data, True)


def ringbuf_discard(vm: Machine, data: int, flags: int) -> int:
    return finished(vm, data, False)


def ringbuf_query(vm: Machine, ringbuf: int, flags: int) -> int:
    return ring_at(vm, ringbuf).query(flags)


def wakeups() -> int:
    return fact("BPF_RB_NO_WAKEUP") | fact("BPF_RB_FORCE_WAKEUP")


HELPERS = (ringbuf_output, ringbuf_reserve, ringbuf_submit, ringbuf_discard, ringbuf_query)
