"""Several maps of events in one loop; event loops: nobody starves, nobody spins, what is cancelled is not lost."""

from __future__ import annotations

import asyncio
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.collection import Collection
from purebpf.errors import Error, NotLoaded
from purebpf.lang import streaming
from purebpf.lang.backlog import AT_ONCE

ENGINES = ["vm", pytest.param("kernel", marks=pytest.mark.kernel)]


@bpf.struct
class Opened:
    number: u64


@bpf.struct
class Closed:
    number: u64
    why: u32 = 0


@bpf.struct
class Order:
    first: u32
    count: u32


opened = bpf.RingBuf[Opened](size=1 << 16)
closed = bpf.RingBuf[Closed](size=1 << 16)
old = bpf.PerfEventArray[Closed]()


@bpf.xdp
def send(ctx: bpf.XdpContext) -> bpf.XdpAction:
    order = ctx.packet.at(0, Order)
    if order is None:
        return bpf.XDP_DROP
    for i in range(order.count & 1023):
        opened.emit(Opened(number=order.first + i))
        closed.emit(Closed(number=order.first + i, why=7))
        old.output(Closed(number=order.first + i, why=8))
    return bpf.XDP_PASS


def sent(first: int, count: int) -> None:
    send.run(struct.pack("<II", first, count) + bytes(56))


@pytest.fixture(params=ENGINES)
def loaded(request: pytest.FixtureRequest) -> Iterator[Collection]:
    with send.load(request.param) as collection:
        yield collection


def numbers(pairs: list[tuple[Any, Any]], source: Any) -> list[int]:
    return [record.number for ring, record in pairs if ring is source]


@pytest.mark.usefixtures("loaded")
def test_records_of_several_maps_come_in_one_loop() -> None:
    sent(0, 600)
    pairs = list(bpf.events(opened, closed, old).records(0))
    assert all(isinstance(record, Opened if ring is opened else Closed) for ring, record in pairs)
    assert numbers(pairs, opened) == numbers(pairs, closed) == numbers(pairs, old) == list(range(600))
    sent(0, 300)
    for ring, record in bpf.events(opened, closed):
        if ring is closed and record.number == 4:
            break
    assert [record.number for record in closed.read(0)] == list(range(5, 300))
    rest = numbers(list(bpf.events(opened, closed).records(0.01)), opened)
    assert 0 < rest[0] <= AT_ONCE and rest == list(range(rest[0], 300))


@pytest.mark.usefixtures("loaded")
def test_waiting_for_several_maps_ends_when_one_has_records() -> None:
    for source in (opened, old):
        timer = threading.Timer(0.05, sent, (5, 1))
        timer.start()
        for _, record in bpf.events(source, closed):
            assert record.number == 5
            break
        timer.join()
        bpf.events(opened, closed, old).dispatch(dict.fromkeys((opened, closed, old), id), 0)


@pytest.mark.usefixtures("loaded")
def test_functions_are_called_and_what_they_raise_loses_nothing() -> None:
    found: list[int] = []

    def take(record: Opened) -> None:
        if record.number == 3:
            raise ZeroDivisionError
        found.append(record.number)

    both = bpf.events(opened, closed)
    callbacks: dict[Any, Callable[[Any], object]] = {opened: take, closed: lambda record: found.append(record.number + 100)}
    sent(0, 6)
    with pytest.raises(ZeroDivisionError):
        both.dispatch(callbacks, 0)
    assert found == [0, 1, 2]
    assert both.dispatch(callbacks, 0) == 2 + 6
    assert found == [0, 1, 2, 4, 5, *range(100, 106)]
    with pytest.raises(Error, match=r"no function for the records of `closed`"):
        both.dispatch({opened: take}, 0)


def test_what_is_no_stream_is_refused() -> None:
    counts = bpf.Hash[u32, u64](max_entries=1)
    with pytest.raises(Error, match="is no RingBuf or PerfEventArray"):
        bpf.events(counts)  # type: ignore[arg-type]
    with pytest.raises(Error, match="wants the maps to read"):
        bpf.events()
    with pytest.raises(NotLoaded, match="`opened` is not loaded"):
        list(bpf.events(opened).records(0))


@pytest.mark.parametrize("sources", [(opened,), (opened, closed, old)], ids=["one", "several"])
def test_closing_from_another_thread_ends_a_loop(loaded: Collection, sources: tuple[Any, ...]) -> None:
    sent(0, 3)
    timer = threading.Timer(0.05, loaded.close)
    timer.start()
    found = list(bpf.events(*sources)) if len(sources) > 1 else list(sources[0])
    timer.join()
    assert len(found) == 3 * len(sources)


@pytest.mark.parametrize("sources", [(opened,), (opened, closed, old)], ids=["one", "several"])
def test_closing_in_a_signal_handler_ends_a_loop(loaded: Collection, sources: tuple[Any, ...]) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: loaded.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert (list(bpf.events(*sources)) if len(sources) > 1 else list(sources[0])) == []
    finally:
        signal.signal(signal.SIGALRM, before)


def test_closing_ends_an_asynchronous_loop_at_once(loaded: Collection) -> None:
    async def main() -> list[Any]:
        sent(0, 3)
        tasks = [asyncio.create_task(collected(opened)), asyncio.create_task(collected(bpf.events(closed, old)))]
        await asyncio.sleep(0.05)
        threading.Timer(0.02, loaded.close).start()
        return await asyncio.wait_for(asyncio.gather(*tasks), 20)

    one, several = asyncio.run(main())
    assert [record.number for record in one] == [0, 1, 2] and numbers(several, closed) == numbers(several, old) == [0, 1, 2]


async def collected(source: Any) -> list[Any]:
    return [each async for each in source]


@pytest.mark.usefixtures("loaded")
def test_who_waits_in_an_event_loop_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = 0
    wait = streaming.Arrivals.wait

    async def counted(self: streaming.Arrivals) -> None:
        nonlocal waits
        waits += 1
        await wait(self)

    monkeypatch.setattr(streaming.Arrivals, "wait", counted)

    async def main() -> None:
        task = asyncio.create_task(collected(bpf.events(opened, closed)))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert waits == 1


@pytest.mark.usefixtures("loaded")
def test_others_have_their_turn_while_records_come() -> None:
    turns = [0]

    async def other() -> None:
        while True:
            turns.append(turns[-1] + 1)
            await asyncio.sleep(0)

    async def main() -> int:
        sent(0, 1000)
        sent(1000, 1000)
        task = asyncio.create_task(other())
        count = 0
        async for record in opened:
            count += 1
            if record.number == 1999:
                break
        task.cancel()
        return count

    assert asyncio.run(main()) == 2000
    assert len(turns) > 5


@pytest.mark.usefixtures("loaded")
def test_a_cancelled_task_leaves_the_rest() -> None:
    found: list[int] = []

    async def slow() -> None:
        async for record in opened:
            found.append(record.number)
            await asyncio.sleep(0.001)

    async def main() -> None:
        sent(0, 100)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slow(), 0.02)
        async for record in opened:
            found.append(record.number)
            if record.number == 99:
                break

    asyncio.run(main())
    assert found == list(range(100))


@pytest.mark.usefixtures("loaded")
def test_records_and_ticks_in_one_event_loop() -> None:
    async def tick() -> None:
        async for number in bpf.every(0.01, count=3):
            sent(number, 1)

    async def main() -> list[int]:
        task = asyncio.create_task(tick())
        found = []
        async for _, record in bpf.events(opened, closed):
            found.append(record.number)
            if len(found) == 6:
                break
        await task
        return sorted(found)

    assert asyncio.run(main()) == [0, 0, 1, 1, 2, 2]
    assert list(bpf.every(0.001, count=3)) == [0, 1, 2]
