"""Ring buffers in programs and in user space: what is sent arrives whole, in order, typed; leaving a block in any way sends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import be16, s64, u8, u16, u32, u64
from purebpf.errors import Error, NotLoaded
from purebpf.net import Ethernet
from tests.compiler.results import ENGINES


@bpf.struct
class Inner:
    a: u16 = 0
    b: u8 = 0


@bpf.struct
class Event:
    number: u32
    size: u16 = 0
    negative: s64 = 0
    proto: be16 = 0
    flag: bool = False
    comm: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)
    items: list[u32] = bpf.array(u32, 3)
    inner: Inner = Inner()


@bpf.struct
class Small:
    value: u64 = 0
    note: u32 = 7


ring = bpf.RingBuf[Event](size=1 << 16)
small = bpf.RingBuf[Small](size=4096)
numbers = bpf.RingBuf[u64](size=4096)
stored = bpf.Hash[u32, Small](max_entries=8)


@bpf.xdp
def emits(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.XDP_ABORTED
    n = len(ctx.packet)
    sent = ring.emit(Event(number=n, negative=-n, proto=eth.proto, comm=bpf.current.comm, mac=eth.src, inner=Inner(a=3)))
    return bpf.XDP_PASS if sent else bpf.XDP_DROP


@pytest.mark.parametrize("engine", ENGINES)
def test_a_record_arrives_as_it_was_built(engine: str) -> None:
    packet = bytes(range(12)) + b"\x86\xdd" + bytes(50)
    with emits.load(engine):
        assert emits.run(packet=packet).value == bpf.XDP_PASS
        (event,) = ring.read(1.0)
    assert (event.number, event.negative, event.proto, event.size, event.flag) == (64, -64, 0x86DD, 0, False)
    assert event.mac == bytes(range(6, 12)) and event.items == [0, 0, 0] and event.inner == Inner(a=3)
    assert 0 < len(event.comm) < 16


def by_way(ctx: bpf.XdpContext, way: int) -> int:
    """Every way to leave the block: falling off, return, break, continue, discard on some ways."""
    for i in range(3):
        with small.reserve() as e:
            if e is None:
                return 100
            assert_zero = e.value + e.note
            if assert_zero != 0:
                return 99
            e.value = way * 10 + i
            if way == 1 and i == 1:
                return 1
            if way == 2 and i == 1:
                break
            if way == 3 and i == 1:
                continue
            if way == 4 and i == 1:
                small.discard(e)
            elif way == 5:
                e.note = 5
                small.discard(e)
                continue
            elif way == 6:
                small.discard(e)
                return 6
            else:
                e.note = 1
    return 0


@bpf.xdp
def leaves(ctx: bpf.XdpContext) -> int:
    return by_way(ctx, ctx.packet.at(0, u8) or 0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("way", "result", "values"),
    [
        (0, 0, [(0, 1), (1, 1), (2, 1)]),
        (1, 1, [(10, 1), (11, 0)]),
        (2, 0, [(20, 1), (21, 0)]),
        (3, 0, [(30, 1), (31, 0), (32, 1)]),
        (4, 0, [(40, 1), (42, 1)]),
        (5, 0, []),
        (6, 6, []),
    ],
)
def test_leaving_the_block_in_any_way_submits(engine: str, way: int, result: int, values: list[tuple[int, int]]) -> None:
    with leaves.load(engine):
        assert leaves.run(packet=bytes([way]) + bytes(63)).value == result
        assert [(r.value, r.note) for r in small.read(0)] == values


@bpf.xdp
def nested(ctx: bpf.XdpContext) -> int:
    with small.reserve() as a, ring.reserve() as b:
        if a is None or b is None:
            return 1
        a.value = 1
        b.number = 2
        stored[1] = Small(value=3)
        found = stored.get(1)
        if found is None:
            return 2
        a.value += found.value
        numbers.emit(a.value)
        small.emit(found)
    return 0


@pytest.mark.parametrize("engine", ENGINES)
def test_blocks_nest_and_values_and_stored_records_are_copied(engine: str) -> None:
    with nested.load(engine):
        assert nested.run(packet=bytes(64)).value == 0
        assert small.read(1.0) == [Small(value=4, note=0), Small(value=3)]
        assert ring.read(1.0)[0].number == 2
        assert numbers.read(1.0) == [4]


@bpf.xdp
def fills(ctx: bpf.XdpContext) -> int:
    lost = 0
    for i in range(300):
        if not small.emit(Small(value=i)):
            lost += 1
    with small.reserve() as e:
        if e is not None:
            return 0
    return lost + small.dropped * 1000


@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_ring_drops_and_counts(engine: str) -> None:
    with fills.load(engine):
        fits = 4096 // 24  # 16 bytes and a header of 8
        lost = 300 - fits
        assert fills.run(packet=bytes(64)).value == lost + (lost + 1) * 1000
        assert small.dropped == lost + 1
        assert [r.value for r in small.read(0)] == list(range(fits))
        assert small.read(0) == []


@bpf.xdp
def sends(ctx: bpf.XdpContext) -> int:
    return int(small.emit(Small(value=ctx.rx_queue_index)))


@pytest.mark.parametrize("engine", ENGINES)
def test_records_go_round_the_ring_in_order(engine: str) -> None:
    @bpf.xdp
    def counts(ctx: bpf.XdpContext) -> int:
        number = bpf.atomic.fetch_add(serial[0], 1)
        return int(ring.emit(Event(number=number)))

    with counts.load(engine):
        seen: list[int] = []
        for _ in range(40):
            for _ in range(37):
                assert counts.run(packet=bytes(64)).value == 1
            seen += [event.number for event in ring.read(0)]
        assert seen == list(range(40 * 37))


serial = bpf.Array[u32](max_entries=1)


@pytest.mark.parametrize("engine", ENGINES)
def test_reading_waits_for_a_record_and_not_for_ever(engine: str) -> None:
    with sends.load(engine):
        started = time.monotonic()
        assert small.read(0.05) == []
        assert 0.04 < time.monotonic() - started < 2
        timer = threading.Timer(0.05, lambda: sends.run(packet=bytes(64)))
        timer.start()
        assert len(small.read(5.0)) == 1
        timer.join()
        sends.run(packet=bytes(64))
        assert len(list(small.records(timeout=0.01))) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_closing_ends_the_iteration(engine: str) -> None:
    loaded = sends.load(engine)
    sends.run(packet=bytes(64))
    seen: list[int] = []

    def read() -> None:
        seen.extend(1 for _ in small)

    thread = threading.Thread(target=read)
    thread.start()
    while not seen:
        time.sleep(0.01)
    loaded.close()
    thread.join(5)
    assert not thread.is_alive() and seen == [1]
    with pytest.raises(NotLoaded):
        small.read(0)
    with pytest.raises(NotLoaded):
        print(small.dropped)


@pytest.mark.parametrize("engine", ENGINES)
def test_records_come_asynchronously(engine: str) -> None:
    async def take() -> list[int]:
        loaded = sends.load(engine)
        seen: list[int] = []

        async def reads() -> None:
            async for record in small:
                seen.append(record.note)

        task = asyncio.create_task(reads())
        for n in range(3):
            await asyncio.sleep(0.05)
            assert len(seen) == n
            sends.run(packet=bytes(64))
        await asyncio.sleep(0.1)
        loaded.close()
        await asyncio.wait_for(task, 2)
        return seen

    assert asyncio.run(take()) == [7, 7, 7]


@bpf.xdp
def short(ctx: bpf.XdpContext) -> int:
    with small.reserve_bytes(5) as data:
        return data.write(0, b"12345")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_record_that_is_too_short_is_told(engine: str) -> None:
    with short.load(engine):
        assert short.run(packet=bytes(64)).value == 0
        with pytest.raises(Error, match=r"5 bytes is no `Small` \(16\)"):
            small.read(1.0)


@pytest.mark.kernel
def test_many_writers_lose_nothing() -> None:
    @bpf.xdp
    def counts(ctx: bpf.XdpContext) -> int:
        with small.reserve() as e:
            if e is None:
                return 0
            e.value = bpf.atomic.fetch_add(serial[0], 1)
        return 1

    with counts.load("kernel"):
        sent: list[int] = []
        seen: list[int] = []
        done = threading.Event()

        def write() -> None:
            sent.append(sum(counts.run(packet=bytes(64)).value for _ in range(800)))

        def read() -> None:
            while not done.is_set():
                seen.extend(r.value for r in small.read(0.01))

        reader = threading.Thread(target=read)
        writers = [threading.Thread(target=write) for _ in range(3)]
        for thread in (reader, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        reader.join()
        seen.extend(r.value for r in small.read(0))
        assert len(seen) == sum(sent) and len(set(seen)) == len(seen)
        assert sum(sent) + small.dropped == 2400


@pytest.mark.parametrize("size", [0, 100, 4095, 5000, 6144, True, "4096", 1 << 32])
def test_sizes_that_no_ring_has(size: int) -> None:
    with pytest.raises(Error, match="a power of two from 4096 bytes on"):
        bpf.RingBuf[u64](size=size)


@pytest.mark.parametrize("method", [lambda: small.emit(Small()), lambda: small.reserve(), lambda: small.discard(Small())])
def test_programs_send_user_space_reads(method: Callable[[], object]) -> None:
    with pytest.raises(Error, match="runs only inside a program"):
        method()
