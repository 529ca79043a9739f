"""Records of a ring buffer many at once: typed, and into NumPy arrays."""

from __future__ import annotations

import struct

import pytest

import purebpf as bpf
from purebpf import be16, chars, s16, u32, u64
from purebpf.errors import Error

numpy = pytest.importorskip("numpy")
pytestmark = pytest.mark.kernel


@bpf.struct
class Pair:
    number: u64
    square: u64


@bpf.struct
class Odd:
    number: s16
    flag: bool
    port: be16
    name: chars(5)  # type: ignore[valid-type]


@bpf.struct
class Order:
    first: u32
    count: u32
    drop: u32
    size: u32


pairs = bpf.RingBuf[Pair](size=1 << 13)
odds = bpf.RingBuf[Odd](size=1 << 13)
numbers = bpf.RingBuf[u64](size=1 << 13)
any_size = bpf.RingBuf[Pair](size=1 << 13)


@bpf.socket_filter
def send_pairs(ctx):
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
    return 0


@bpf.socket_filter
def send_odds(ctx):
    order = ctx.packet.at(0, Order)
    if order is None:
        return 0
    for i in range(order.count & 1023):
        odds.emit(Odd(number=s16(7 - i), flag=i % 3 == 0, port=be16(80 + i), name="abc"))
        numbers.emit(u64(order.first) + i)
    return 0


@bpf.socket_filter
def send_bytes(ctx):
    order = ctx.packet.at(0, Order)
    if order is None:
        return 0
    with any_size.reserve_bytes(order.size & 255) as data:
        data.write(0, Pair(number=order.first, square=order.size))
    return 0


def order(first: int = 0, count: int = 0, drop: int = 0, size: int = 0) -> bytes:
    """The packet for the programs above: a raw socket's filter sees it behind fourteen bytes."""
    return bytes(14) + struct.pack("<IIII", first, count, drop, size) + bytes(32)


def test_batches_are_what_reading_gives_wherever_the_ring_wraps_around() -> None:
    with send_pairs.load(engine="kernel"):
        for first in range(0, 3000, 150):
            send_pairs.run(order(first, 150))
            batch = pairs.read_batch(0)
            assert batch["number"].tolist() == list(range(first, first + 150))
            assert batch["square"].tolist() == [n * n for n in range(first, first + 150)]
            send_pairs.run(order(first, 150))
            assert [(p.number, p.square) for p in pairs.read(0)] == [tuple(row) for row in batch.tolist()]
        assert len(pairs.read_batch(0)) == 0


@pytest.mark.parametrize("drop", [1, 2, 3, 50, 99])
def test_dropped_records_are_left_out(drop: int) -> None:
    with send_pairs.load(engine="kernel"):
        wanted = [n for n in range(100) if n % drop]
        send_pairs.run(order(0, 100, drop))
        assert pairs.read_batch(0)["number"].tolist() == wanted
        send_pairs.run(order(0, 100, drop))
        assert [pair.number for pair in pairs.records(0)] == wanted


def test_records_of_any_layout() -> None:
    with send_odds.load(engine="kernel"):
        send_odds.run(order(5, 70))
        batch, wanted = odds.read_batch(0), [(7 - i, i % 3 == 0, 80 + i) for i in range(70)]
        assert [row[:3] for row in batch.tolist()] == wanted
        assert set(batch["name"].tolist()) == {b"abc"}
        assert numbers.read_batch(0).tolist() == list(range(5, 75))
        send_odds.run(order(5, 70))
        found = odds.read(0)
        assert [(odd.number, odd.flag, odd.port) for odd in found] == wanted
        assert {odd.name for odd in found} == {"abc"}
        assert numbers.read(0) == list(range(5, 75))


def test_longer_records_are_cut_and_shorter_ones_refused() -> None:
    with send_bytes.load(engine="kernel"):
        for first, size in enumerate((16, 40, 16, 16, 17)):
            send_bytes.run(order(first, size=size))
        assert any_size.read_batch(0).tolist() == [(0, 16), (1, 40), (2, 16), (3, 16), (4, 17)]
        for first, size in enumerate((16, 17, 8)):
            send_bytes.run(order(first, size=size))
        assert any_size.read_batch(0)["number"].tolist() == [0, 1]
        with pytest.raises(Error, match="8 bytes is no `Pair`"):
            any_size.read_batch(0)
        assert [len(event.data) for event in any_size.read_events(0)] == [8]


def test_the_virtual_machine_and_other_streams_have_batches_too() -> None:
    with send_pairs.load(engine="vm"):
        send_pairs.run(order(3, 20, 7))
        assert pairs.read_batch(0)["number"].tolist() == [3 + n for n in range(20) if n % 7]
        assert len(pairs.read_batch(0)) == 0
