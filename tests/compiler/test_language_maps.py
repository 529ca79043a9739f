"""Maps of every kind in programs: events read back, tail calls, values per CPU, maps that forget."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import be16, s64, u8, u16, u32, u64

FRAME = bytes(range(64))


@bpf.struct
class Event:
    number: u32
    size: u16 = 0
    negative: s64 = 0
    proto: be16 = 0
    flag: bool = False
    name: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)
    items: list[u32] = bpf.array(u32, 3)


@bpf.struct
class Totals:
    runs: u64 = 0
    minus: s64 = 0


events = bpf.PerfEventArray[Event]()
numbers = bpf.PerfEventArray[u64]()
counts = bpf.Hash[u32, u64](max_entries=64)
handlers = bpf.ProgArray(max_entries=4)
on_cpu = bpf.PerCpuHash[u32, u64](max_entries=8)
on_cpu_array = bpf.PerCpuArray[Totals](max_entries=2)
recent = bpf.LruHash[u32, u32](max_entries=32)


@pytest.fixture(params=["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- events


@bpf.xdp
def emits(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = len(ctx.packet)
    mac = bpf.bytes(6)
    mac[2] = 7
    first = Event(number=1, size=n, negative=-n, proto=0x1234, flag=n > 3, name="first", mac=mac)
    first.items[2] = n
    failed = events.output(first)
    second = events.output(Event(number=2))
    return 0 if failed == 0 and second == 0 else 1


def test_events_arrive_whole_and_in_order(engine: str) -> None:
    with emits.load(engine):
        assert [emits.run(packet=bytes(size)).value for size in (64, 100)] == [0, 0]
        got: list[Event] = []
        deadline = time.monotonic() + 5
        while len(got) < 4 and time.monotonic() < deadline:
            got += events.read(timeout=1.0)
    first = [
        Event(
            number=1, size=n, negative=-n, proto=0x1234, flag=True, name="first", mac=b"\0\0\7\0\0\0", items=[0, 0, n]
        )
        for n in (64, 100)
    ]  # fmt: skip
    assert got == [first[0], Event(number=2), first[1], Event(number=2)]
    assert events.lost == 0


@bpf.xdp
def emits_numbers(ctx: bpf.XdpContext) -> bpf.XdpAction:
    for i in range(3):
        numbers.output(i * 1000 + len(ctx.packet))
    return 0


def test_events_may_be_plain_integers(engine: str) -> None:
    with emits_numbers.load(engine):
        emits_numbers.run(packet=FRAME)
        got: list[int] = []
        deadline = time.monotonic() + 5
        while len(got) < 3 and time.monotonic() < deadline:
            got += numbers.read(timeout=1.0)
    assert got == [64, 1064, 2064]


def test_reading_without_events_ends_at_the_timeout(engine: str) -> None:
    with emits_numbers.load(engine):
        before = time.monotonic()
        assert numbers.read(timeout=0.05) == []
        assert time.monotonic() - before < 2


# -- tail calls


@bpf.xdp
def entry(ctx: bpf.XdpContext) -> bpf.XdpAction:
    index = ctx.packet.at(0, u8)
    if index is None:
        return 100
    counts[0] += 1
    handlers.tail_call(ctx, index)
    counts[1] += 1  # only where there was no program to go on with
    return 99


@bpf.xdp
def handler(ctx: bpf.XdpContext) -> bpf.XdpAction:
    counts[2] += 1
    return 20


@bpf.xdp
def chained(ctx: bpf.XdpContext) -> bpf.XdpAction:
    handlers.tail_call(ctx, 0)
    return 30


def run_with(program: bpf.Program, index: int) -> int:
    return program.run(packet=bytes([index]) + FRAME).value


def test_tail_calls_and_missing_entries(engine: str) -> None:
    handlers[0], handlers[2] = handler, chained
    with entry.load(engine) as collection:
        assert [run_with(entry, i) for i in (0, 1, 2, 3, 4, 255)] == [20, 99, 20, 99, 99, 99]
        assert dict(counts.items()) == {0: 6, 1: 4, 2: 2}
        del handlers[0]
        assert [run_with(entry, i) for i in (0, 2)] == [99, 30]
        handlers[1] = handler
        assert run_with(entry, 1) == 20
        assert set(collection.spec.programs) == {"entry", "handler", "chained"}
    for index in (1, 2):
        del handlers[index]


def test_tail_calls_stop_at_the_kernels_limit(engine: str) -> None:
    """33 calls in a row; the 34th goes on behind itself."""

    @bpf.xdp
    def endless(ctx: bpf.XdpContext) -> bpf.XdpAction:
        counts[7] += 1
        handlers.tail_call(ctx, 3)
        return 5

    handlers[3] = endless
    try:
        with endless.load(engine):
            assert endless.run(packet=FRAME).value == 5
            assert counts[7] == 34
    finally:
        del handlers[3]


# -- maps per CPU, and maps that forget


@bpf.xdp
def counts_on_cpu(ctx: bpf.XdpContext) -> bpf.XdpAction:
    cpu = bpf.cpu()
    on_cpu[len(ctx.packet)] += cpu + 1
    on_cpu_array[1].runs += 1
    on_cpu_array[1].minus -= 2
    return cpu


@pytest.fixture
def cpus() -> Iterator[list[int]]:
    """The CPUs this thread may use; what it may use is put back behind the test."""
    usable = os.sched_getaffinity(0)
    yield sorted(usable)
    os.sched_setaffinity(0, usable)


@pytest.mark.kernel
def test_each_cpu_has_its_own_value(cpus: list[int]) -> None:
    with counts_on_cpu.load("kernel"):
        for cpu in cpus:
            os.sched_setaffinity(0, {cpu})
            for _ in range(cpu + 1):
                assert counts_on_cpu.run(packet=FRAME).value == cpu
        values = on_cpu[64]
        assert [values[cpu] for cpu in cpus] == [(cpu + 1) ** 2 for cpu in cpus]
        assert on_cpu.sums() == {64: sum((cpu + 1) ** 2 for cpu in cpus)}
        runs = sum(cpu + 1 for cpu in cpus)
        assert on_cpu_array.sums() == {1: Totals(runs=runs, minus=-2 * runs)}


def test_values_per_cpu_in_the_virtual_machine() -> None:
    with counts_on_cpu.load("vm"):
        cpu = counts_on_cpu.run(packet=FRAME).value
        assert on_cpu.sums() == {64: cpu + 1}
        on_cpu[3] = 5
        assert on_cpu[3].sum() == 5 * len(on_cpu[3])


@bpf.xdp
def remembers(ctx: bpf.XdpContext) -> bpf.XdpAction:
    key = ctx.packet.at(0, u32)
    if key is None:
        return 1
    recent[key] = key * 2
    return 0 if key in recent else 2


def test_an_lru_hash_keeps_the_newest(engine: str) -> None:
    with remembers.load(engine):
        runs = [remembers.run(packet=i.to_bytes(4, sys.byteorder) + FRAME) for i in range(200)]
        assert {result.value for result in runs} == {0}
        kept = dict(recent.items())
    assert 199 in kept and len(kept) <= 32
    assert all(value == key * 2 for key, value in kept.items())
