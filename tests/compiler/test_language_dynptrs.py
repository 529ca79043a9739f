"""Records of run-time size in rings: written in pieces, sent or dropped on every way out."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import u8, u16, u32, u64
from tests.compiler.results import ENGINES, Table, check, check_ir

E2BIG, EINVAL = 7, 22


@bpf.struct
class Head:
    size: u32 = 0
    kind: u16 = 0
    tag: bytes = bpf.bytes(2)


ring = bpf.RingBuf[Head](size=4096)
sizes = bpf.Array[u32](max_entries=4)
case = Table()


@case(1)
def in_pieces(ctx: bpf.XdpContext) -> int:
    n: u16 = 8 + len(ctx.packet) % 32
    with ring.reserve_bytes(n) as data:
        if data.write(0, Head(size=n, kind=7)) != 0:
            return 2
        last = data.at(n - 1, u8)
        if last is not None:
            return 3 if last > 255 else 1
    return 0


@case(-E2BIG)
def beyond_the_end(ctx: bpf.XdpContext) -> int:
    with ring.reserve_bytes(10) as data:
        if data.at(3, Head) is not None:
            return 1
        head = data.at(2, Head)
        if head is None:
            return 2
        head.kind = 5
        return data.write(3, Head())
    return 3


@case(-EINVAL)
def too_large_for_the_ring(ctx: bpf.XdpContext) -> int:
    with ring.reserve_bytes(5000) as data:
        if data.at(0, u32) is not None:
            return 1
        return data.write(0, b"abc")
    return 2


@case(1)
def dropped_on_one_way(ctx: bpf.XdpContext) -> int:
    for i in range(4):
        with ring.reserve_bytes(8 + i) as data:
            data.write(0, Head(size=i))
            if i == len(ctx.packet) % 3:
                ring.discard(data)
            elif i == 2:
                continue
            if i == 3:
                break
    return 1


@case.parametrize()
def test_result(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_result_of_the_ir(function: Callable[..., object], expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)


@bpf.xdp
def sends(ctx: bpf.XdpContext) -> int:
    n = len(ctx.packet)
    if n > 200:
        return 0
    with ring.reserve_bytes(8 + n) as data:
        head = data.at(0, Head)
        if head is None:
            return 1
        head.size = n
        head.kind = 3
        head.tag = b"ab"
        for i in range(200):
            byte = ctx.packet.at(i, u8)
            if byte is None:
                break
            place = bpf.bytes(1)
            place[0] = byte
            data.write(8 + i, place)
        if n == 99:
            ring.discard(data)
    return 2


@pytest.mark.parametrize("engine", ENGINES)
def test_it_arrives_with_its_own_size(engine: str) -> None:
    with sends.load(engine):
        for n in (60, 99, 64, 150):
            assert sends.run(packet=bytes(range(n))).value == 2
        events = ring.read_events(1.0)
        assert [event.data for event in events] == [struct.pack("=IH", n, 3) + b"ab" + bytes(range(n)) for n in (60, 64, 150)]
        assert ring.dropped == 0


@bpf.xdp
def fills(ctx: bpf.XdpContext) -> int:
    full = 0
    for _ in range(20):
        with ring.reserve_bytes(500) as data:
            if data.at(0, u64) is None:
                full += 1
    return full


@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_ring_counts(engine: str) -> None:
    with fills.load(engine):
        full = fills.run(packet=bytes(64)).value
        assert full == 20 - 4095 // 512 == ring.dropped
        assert len(ring.read_events(0)) == 20 - full
