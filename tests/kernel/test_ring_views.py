"""Records of a ring buffer as the ring's own memory: what a view shows, how long, and what the kernel sees meanwhile."""

from __future__ import annotations

import gc
import mmap
import struct
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import Error
from tests.kernel.leaks import open_descriptors

numpy = pytest.importorskip("numpy")
pytestmark = pytest.mark.kernel
ROOM = mmap.PAGESIZE // 24  # records of 16 bytes in the ring


@bpf.struct
class Pair:
    number: u64
    square: u64


@bpf.struct
class Order:
    first: u32
    count: u32
    drop: u32
    size: u32


pairs = bpf.RingBuf[Pair](size=mmap.PAGESIZE)
any_size = bpf.RingBuf[Pair](size=mmap.PAGESIZE)


@bpf.socket_filter
def send_pairs(ctx):
    """How many were sent."""
    sent = 0
    order = ctx.packet.at(0, Order)
    if order is None:
        return 0
    for i in range(order.count & 1023):
        with pairs.reserve() as pair:
            if pair is None:
                break
            pair.number = order.first + i
            pair.square = (order.first + i) * (order.first + i)
            if order.drop and i % order.drop == 0:
                pairs.discard(pair)
            else:
                sent += 1
    return sent


@bpf.socket_filter
def send_bytes(ctx):
    order = ctx.packet.at(0, Order)
    if order is None:
        return 0
    with any_size.reserve_bytes(order.size & 255) as data:
        data.write(0, Pair(number=order.first, square=order.size))
    return 0


def send(first: int, count: int, drop: int = 0) -> int:
    return int(send_pairs.run(bytes(14) + struct.pack("<IIII", first, count, drop, 0) + bytes(32)).value)


def send_size(first: int, size: int) -> None:
    send_bytes.run(bytes(14) + struct.pack("<IIII", first, 0, 0, size) + bytes(32))


@pytest.fixture
def loaded() -> Iterator[None]:
    with bpf.load(send_pairs, send_bytes, engine="kernel"):
        yield


def numbers() -> list[int]:
    return pairs.read_batch(0, copy=False)["number"].tolist()  # type: ignore[no-any-return]


@pytest.mark.usefixtures("loaded")
def test_a_view_is_the_rings_memory_wherever_it_wraps_around() -> None:
    for first in range(0, 3000, 75):
        assert send(first, 75) == 75
        view = pairs.read_batch(0, copy=False)
        assert view["number"].tolist() == list(range(first, first + 75))
        assert view["square"].tolist() == [n * n for n in range(first, first + 75)]
        assert view.strides == (24,) and not view.flags.writeable and not view.flags.owndata
    assert numbers() == []


@pytest.mark.usefixtures("loaded")
def test_the_kernel_gets_the_room_back_at_the_next_read() -> None:
    assert send(0, 500) == ROOM
    view = pairs.read_batch(0, copy=False)
    assert send(500, 1) == 0  # full: all of it is lent
    assert view["number"].tolist() == list(range(ROOM))
    assert numbers() == []
    assert send(500, 1) == 1
    assert pairs.read(0) == [Pair(number=500, square=250000)]
    assert send(501, 500) == ROOM  # a copy leaves the room to the kernel at once
    copied = pairs.read_batch(0)
    assert send(1000, 500) == ROOM
    assert copied["number"].tolist() == list(range(501, 501 + ROOM)) and numbers() == list(range(1000, 1000 + ROOM))


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("drop", [1, 2, 7, 99])
def test_dropped_records_are_left_out(drop: int) -> None:
    for first in range(0, 1000, 75):
        send(first, 75, drop)
        assert numbers() == [first + n for n in range(75) if n % drop]


@pytest.mark.usefixtures("loaded")
def test_a_view_has_records_of_one_size() -> None:
    for first, size in enumerate((16, 16, 40, 40, 40, 17)):
        send_size(first, size)
    assert [any_size.read_batch(0, copy=False).tolist() for _ in range(4)] == [
        [(0, 16), (1, 16)],
        [(2, 40), (3, 40), (4, 40)],
        [(5, 17)],
        [],
    ]
    send_size(0, 8)
    with pytest.raises(Error, match="8 bytes is no `Pair`"):
        any_size.read_batch(0, copy=False)
    assert [len(event.data) for event in any_size.read_events(0)] == [8]


@pytest.mark.usefixtures("loaded")
def test_other_reads_go_on_behind_a_view() -> None:
    for read in (pairs.read, pairs.records, pairs.read_batch, pairs.read_events):
        send(7, 3)
        view = pairs.read_batch(0, copy=False)
        send(17, 2)
        assert len(list(read(0))) == 2
        assert view["square"].tolist()[:1] == [49]  # nothing was written over it so far


def test_a_view_outlives_ring_and_map() -> None:
    with bpf.load(send_pairs, engine="kernel"):
        send(0, 100)
        before = len(open_descriptors())
        view = pairs.read_batch(0, copy=False)[::2]
    gc.collect()
    assert view["number"].tolist() == list(range(0, 100, 2))
    assert len(open_descriptors()) < before
    del view
    assert not any("bpf-map" in what for what in open_descriptors().values())


def test_the_virtual_machine_gives_a_copy() -> None:
    with bpf.load(send_pairs, engine="vm"):
        assert send(0, 100) == 100
        assert numbers() == list(range(100))
