"""Perf event arrays that are woken late, that keep the newest, and that are indexed by CPU."""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.engine import Engine
from purebpf.errors import Error
from purebpf.kernel import cpus
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.map import KernelMap
from purebpf.kernel.perf_backward import BackwardRing
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from tests.kernel.programs import output
from tests.kernel.programs import u64 as number_bytes
from tests.vm.support import engine_called

ENGINES = ["vm", pytest.param("kernel", marks=pytest.mark.kernel)]
EVENTS = MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0)


@bpf.struct
class Numbered:
    number: u64
    rest: bytes = bpf.bytes(36)


@bpf.struct
class Order:
    first: u32
    count: u32


newest = bpf.PerfEventArray[Numbered](size=4096, overwrite=True)
late = bpf.PerfEventArray[Numbered](size=1 << 13, watermark=2000)


@bpf.xdp
def send(ctx: bpf.XdpContext) -> bpf.XdpAction:
    order = ctx.packet.at(0, Order)
    if order is None:
        return bpf.XDP_DROP
    for i in range(order.count & 1023):
        newest.output(Numbered(number=order.first + i))
        late.output(Numbered(number=order.first + i))
    return bpf.XDP_PASS


@pytest.fixture(params=ENGINES)
def loaded(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        with send.load(request.param):
            yield
    finally:
        os.sched_setaffinity(0, before)


def sent(first: int, count: int) -> None:
    send.run(struct.pack("<II", first, count) + bytes(56))


@pytest.mark.usefixtures("loaded")
def test_a_ring_that_overwrites_keeps_the_newest_in_order() -> None:
    assert newest.read(0) == []
    at = 0
    for count in (3, 1000, 1, 50, 63, 64, 65, 1000, 7):
        sent(at, count)
        at += count
        found = [record.number for record in newest.read(0)]
        assert found == list(range(at - len(found), at)) and (len(found) == count or 55 < len(found) < count)
        assert newest.read(0) == [] and newest.lost == 0
    sent(0, 500)
    for record in newest:  # in a loop as well
        if record.number == 499:
            break


@pytest.mark.usefixtures("loaded")
def test_a_reader_with_a_watermark_is_woken_late() -> None:
    sent(0, 5)
    if late.fileno() >= 0:
        assert select.select([late], [], [], 0)[0] == []
    assert [record.number for record in late.read(0)] == list(range(5))  # a timeout that is over looks anyway
    sent(5, 100)
    if late.fileno() >= 0:
        assert select.select([late], [], [], 5)[0] == [late]
    assert [record.number for record in late.read()] == list(range(5, 105))


@pytest.mark.kernel
def test_what_is_sent_while_the_ring_is_read_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    copy = BackwardRing._copy

    def sending(self: BackwardRing, first: int, last: int) -> bytes:
        content = copy(self, first, last)
        if self.cpu == 0:
            sent(100, 5)  # finds the ring paused
        return content

    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        with send.load("kernel"):
            sent(0, 3)
            with monkeypatch.context() as patched:
                patched.setattr(BackwardRing, "_copy", sending)
                assert [record.number for record in newest.read(0)] == [0, 1, 2]
            sent(3, 2)
            assert [record.number for record in newest.read(0)] == [3, 4]
            assert newest.lost == 5
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.kernel
def test_the_map_is_indexed_by_cpu(kernel: KernelEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if CPU 0 were offline: the ring of CPU 1 is entry 1, not the first one."""
    if len(os.sched_getaffinity(0)) < 2 or not {0, 1} <= os.sched_getaffinity(0):
        pytest.skip("this process may not use two CPUs")
    monkeypatch.setattr(cpus, "online", lambda: (1,))
    before = os.sched_getaffinity(0)
    with (
        kernel.create_map(EVENTS) as events,
        kernel.load_program(output(), {"events": events}) as program,
        kernel.open_events(events) as reader,
    ):
        try:
            os.sched_setaffinity(0, {0})
            program.run(context=number_bytes(1))  # nobody listens there
            os.sched_setaffinity(0, {1})
            program.run(context=number_bytes(2))
        finally:
            os.sched_setaffinity(0, before)
        assert [(event.cpu, event.data[:8]) for event in reader.read(1)] == [(1, number_bytes(2))]


@pytest.mark.parametrize("name", ENGINES)
def test_ring_buffers_have_no_such_modes(name: str) -> None:
    engine: Engine = engine_called(name)
    ring = engine.create_map(MapSpec("ring", MapType.RINGBUF, 0, 0, 4096))
    try:
        for options in ({"size": 4096}, {"watermark": 8}, {"overwrite": True}):
            with pytest.raises(Error, match="is a ring buffer: size, watermark and overwrite are of perf event arrays"):
                engine.open_events(ring, **options)  # type: ignore[arg-type]
    finally:
        ring.close()


def test_impossible_sizes_are_refused_where_they_are_declared() -> None:
    for size in (0, 4095, 5000, True, "4096"):
        with pytest.raises(Error, match="the size of a CPU's ring is a power of two from 4096"):
            bpf.PerfEventArray[u64](size=size)  # type: ignore[arg-type]
    for watermark in (-1, 4096):
        with pytest.raises(Error, match="a watermark is bytes, fewer than the ring has"):
            bpf.PerfEventArray[u64](size=4096, watermark=watermark)


@pytest.mark.kernel
def test_a_watermark_beyond_the_ring_is_refused(kernel: KernelEngine) -> None:
    with kernel.create_map(EVENTS) as events, pytest.raises(Error, match="A watermark of 4096 bytes is not possible"):
        assert isinstance(events, KernelMap)
        kernel.open_events(events, 4096, watermark=4096)
