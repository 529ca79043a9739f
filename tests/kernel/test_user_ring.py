"""Records from user space to a program."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import u16, u32, u64
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version

pytestmark = pytest.mark.kernel


@bpf.struct
class Order:
    number: u32 = 0
    size: u16 = 0
    name: str = bpf.chars(8)


orders = bpf.UserRingBuf[Order](size=4096)
numbers = bpf.UserRingBuf[u64](size=4096)
sizes = bpf.Hash[u32, u32](max_entries=500)
short = bpf.Array[u64](max_entries=1)


def take(order):
    if order is None:
        short[0] += 1
        return False
    if order.name == "stop":
        return True
    sizes[order.number] = order.size
    return False


@bpf.tc
def takes(ctx: bpf.TcContext) -> int:
    return orders.drain(take)


@bpf.tc
def adds(ctx: bpf.TcContext) -> int:
    total = 0

    def add(n):
        nonlocal total
        if n is not None:
            total += n & 0xFFFF

    numbers.drain(add)
    return u32(total)


@pytest.fixture(autouse=True)
def supported() -> None:
    if kernel_version() < (6, 1):
        pytest.skip("user ring buffers came with Linux 6.1")


def test_records_arrive_in_order_and_whole(kernel: KernelEngine) -> None:
    with takes.load("kernel"):
        assert takes.run(bytes(64)).value == 0
        for n in range(5):
            assert orders.send(Order(number=n, size=n * 3, name=f"n{n}"))
        assert takes.run(bytes(64)).value == 5 and sizes.to_dict() == {n: n * 3 for n in range(5)}
        assert takes.run(bytes(64)).value == 0


def test_a_program_stops_where_it_wants(kernel: KernelEngine) -> None:
    with takes.load("kernel"):
        for name in ("a", "stop", "b"):
            orders.send(Order(number=len(name), size=1, name=name))
        assert takes.run(bytes(64)).value == 2
        assert takes.run(bytes(64)).value == 1


def test_a_full_ring_says_so_until_it_is_emptied(kernel: KernelEngine) -> None:
    with takes.load("kernel"):
        sent = 0
        while orders.send(Order(number=sent)):
            sent += 1
        assert sent == 4096 // 24
        assert takes.run(bytes(64)).value == sent
        for turn in range(3):  # around the end of the ring
            assert all(orders.send(Order(number=n, size=turn)) for n in range(100))
            assert takes.run(bytes(64)).value == 100 and set(sizes.to_dict().values()) >= {turn}


def test_what_is_too_short_is_none(kernel: KernelEngine) -> None:
    with takes.load("kernel"):
        assert orders._writer is not None
        orders._writer.send(b"few")
        assert takes.run(bytes(64)).value == 1 and short[0] == 1


def test_integers_and_variables_around_the_function(kernel: KernelEngine) -> None:
    with adds.load("kernel"):
        for n in (1, 20, 300):
            numbers.send(n)
        assert adds.run(bytes(64)).value == 321


def test_wrong_records_and_closed_rings_are_told(kernel: KernelEngine) -> None:
    with takes.load("kernel"), pytest.raises(TypeError, match="a record of `orders` is a `Order`"):
        orders.send(5)  # type: ignore[arg-type]
    with pytest.raises(bpf.NotLoaded, match="map `orders` is not loaded"):
        orders.send(Order())
    with pytest.raises(bpf.Unsupported, match="no maps of type user_ringbuf"):
        takes.load("vm")
