"""Records that were read out of a ring stay until somebody has them, whatever comes in between."""

from __future__ import annotations

import signal
import struct
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.engine import Run
from purebpf.errors import Error
from purebpf.lang.backlog import AT_ONCE

ENGINES = ["vm", pytest.param("kernel", marks=pytest.mark.kernel)]


@bpf.struct
class Numbered:
    number: u64
    thread: u64 = 0


@bpf.struct
class Order:
    first: u32
    count: u32


ring = bpf.RingBuf[Numbered](size=1 << 16)
events = bpf.PerfEventArray[Numbered]()


@bpf.xdp
def send(ctx: bpf.XdpContext) -> bpf.XdpAction:
    order = ctx.packet.at(0, Order)
    if order is None:
        return bpf.XDP_DROP
    for i in range(order.count & 1023):
        ring.emit(Numbered(number=order.first + i))
        events.output(Numbered(number=order.first + i))
    return bpf.XDP_PASS


def order(first: int, count: int) -> bytes:
    return struct.pack("<II", first, count) + bytes(56)


@pytest.fixture(params=ENGINES)
def loaded(request: pytest.FixtureRequest) -> Iterator[None]:
    with send.load(request.param):
        yield


def some(source: Any, count: int) -> list[int]:
    """The first numbers, by a loop that ends early."""
    found: list[int] = []
    for record in source:
        found.append(record.number)
        if len(found) == count:
            break
    return found


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("source", [ring, events], ids=["ring", "perf"])
def test_what_a_loop_leaves_comes_next(source: Any) -> None:
    pytest.importorskip("numpy")
    rest: dict[str, Callable[[], list[int]]] = {
        "read": lambda: [record.number for record in source.read(0)],
        "read_batch": lambda: source.read_batch(0)["number"].tolist(),
        "view": lambda: source.read_batch(0, copy=False)["number"].tolist(),
        "read_events": lambda: [struct.unpack_from("<Q", event.data)[0] for event in source.read_events(0)],
        "records": lambda: [record.number for record in source.records(0)],
    }
    for name, read in rest.items():
        send.run(order(0, 600))
        assert some(source, 3) == [0, 1, 2]
        assert some(source.records(0), AT_ONCE) == list(range(3, 3 + AT_ONCE))
        assert read() == list(range(3 + AT_ONCE, 600)), name
        assert read() == []


@pytest.mark.usefixtures("loaded")
def test_a_read_within_a_loop_ends_it_and_nothing_comes_twice() -> None:
    send.run(order(0, 600))
    found = []
    for record in ring.records(0):
        found.append(record.number)
        if record.number == 5:
            found += [each.number for each in ring.read(0)]
    assert found == list(range(600))


class Stop(BaseException):
    pass


def interrupted(signal: int, frame: FrameType | None) -> None:
    raise Stop


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # where garbage is collected it counts nothing
@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("way", ["for", "read", "read_batch", "view"])
@pytest.mark.parametrize("source", [ring, events], ids=["ring", "perf"])
def test_interrupts_lose_and_double_no_record(source: Any, way: str) -> None:
    pytest.importorskip("numpy")
    found: list[Any] = []  # what was handed out is here with one call, which nothing can interrupt

    def go() -> None:
        if way == "for":
            for record in source.records(0):
                found.append(record)
        elif way == "read":
            found.append(source.read(0))
        else:
            found.append(source.read_batch(0, copy=way != "view"))

    old = signal.signal(signal.SIGALRM, interrupted)
    stops = 0
    try:
        for turn in range(60):
            send.run(order(turn * 500, 500))
            for attempt in range(12):
                try:
                    if attempt < 10:
                        signal.setitimer(signal.ITIMER_REAL, 20e-6 + (turn * 37 % 100) * 5e-6)
                    go()
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except Stop:
                    stops += 1
            if way == "view":  # nothing was sent meanwhile that could have taken the place
                found[:] = [view.copy() for view in found]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert numbers(found) == list(range(30000)) and stops


def numbers(found: list[Any]) -> list[int]:
    """Those of records, of lists of them, and of arrays."""
    if not isinstance(found, list):
        return found["number"].tolist()  # type: ignore[no-any-return]
    return [number for each in found for number in ([each.number] if isinstance(each, Numbered) else numbers(each))]


def test_threads_that_read_one_ring_share_its_records() -> None:
    found: list[list[int]] = [[] for _ in range(8)]

    def read(mine: list[int]) -> None:
        for record in ring:
            mine.append(record.number)

    with send.load("vm"):
        threads = [threading.Thread(target=read, args=(mine,)) for mine in found]
        for thread in threads:
            thread.start()
        for turn in range(20):
            send.run(order(turn * 250, 250))
            while sum(map(len, found)) < (turn + 1) * 250:
                threads[0].join(0.001)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(number for mine in found for number in mine) == list(range(5000))


def test_parts_of_a_run() -> None:
    run = Run(b"-aa--bb--cc-", 1, 2, 4, 3, cpu=7)
    assert [event.data for event in run.events()] == [b"aa", b"bb", b"cc"]
    assert [(event.data, event.cpu) for event in run.after(1).events()] == [(b"bb", 7), (b"cc", 7)]
    assert run.part(1, 2) == b"-bb-"
    assert [event.lost for event in Run(b"", 0, 0, 0, 0, 1, 5).events()] == [5]


def test_a_record_that_is_too_short_stays() -> None:
    with send.load("vm") as collection:
        send.run(order(0, 2))
        live: Any = collection.maps["ring"]
        live.output(bytes(8))
        assert some(ring, 1) == [0]
        assert [record.number for record in ring.read(0)] == [1]
        with pytest.raises(Error, match="8 bytes is no `Numbered`"):
            ring.read(0)
        assert [len(event.data) for event in ring.read_events(0)] == [8]
        assert ring.read(0) == []
