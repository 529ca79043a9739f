"""`bpf.dynptr(...)`: bytes of packets and of places in maps and globals, read, sliced and written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import be16, u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.as_python import both
from tests.compiler.results import ENGINES, Table, check, check_ir

E2BIG = 7
BYTES = bytes(range(64))


@bpf.struct
class Pair:
    first: u16 = 0
    second: u32 = 0


@bpf.struct
class Buffer:
    used: u32 = 0
    data: bytes = bpf.bytes(32)
    name: str = bpf.chars(16)
    pairs: list[Pair] = bpf.array(Pair, 4)


@bpf.globals
class state:
    buffer: Buffer = Buffer()
    count: u64 = 0


buffers = bpf.Array[Buffer](max_entries=4)
by_pair = bpf.Hash[Pair, u32](max_entries=4)
by_key = bpf.Hash[u32, Buffer](max_entries=4)
ring = bpf.RingBuf[Pair](size=4096)
case = Table()


@case(0x0C0D + 0x10 + 64, BYTES)
def a_slice_of_the_packet(ctx: bpf.XdpContext) -> int:
    data = bpf.dynptr(ctx.packet)
    eth, byte = data.at(0, Ethernet), data.at(16, u8)
    if eth is None or byte is None:
        return 0
    return eth.proto + byte + len(data)


@case(1 + 2 + 4 + 8, BYTES)
def the_end_of_the_packet(ctx: bpf.XdpContext) -> int:
    data = bpf.dynptr(ctx.packet)
    n = 0
    n += 1 if data.at(63, u8) is not None else 0
    n += 2 if data.at(63, u16) is None else 0
    n += 4 if data.read(60, u64) is None else 0
    n += 8 if data.write(63, b"ab") == -E2BIG else 0
    return n


@case(sum(range(64)), BYTES)
def every_byte_of_the_packet(ctx: bpf.XdpContext) -> int:
    data = bpf.dynptr(ctx.packet)
    total = 0
    for i in range(len(data)):
        byte = data.read(i, u8)
        if byte is None:
            break
        total += byte
    return total


@case(7 + 100 * 7 + 10000 * 5 + 1000000 * 7, BYTES)
def what_was_written_is_seen(ctx: bpf.XdpContext) -> int:
    data = bpf.dynptr(ctx.packet)
    before = data.at(20, Pair)
    copy = data.read(20, Pair)
    if before is None or copy is None:
        return 0
    copy.first = 5
    answer = data.write(20, Pair(first=7, second=1))
    place = ctx.packet.at(20, u16)
    again = data.at(20, Pair)
    if answer != 0 or place is None or again is None:
        return 1
    return before.first + 100 * place % 65536 + 10000 * copy.first + 1000000 * again.first


@case(4 + 30 + 200)
def a_place_in_a_global(ctx: bpf.XdpContext) -> int:
    state.buffer = Buffer(used=9)
    data = bpf.dynptr(state.buffer.data)
    data.write(28, b"abcd")
    n = 4 if data.write(29, b"abcd") == -E2BIG else 0
    pair = data.at(0, Pair)
    if pair is None or len(data) != 32:
        return 0
    pair.first = 3
    n += 10 * state.buffer.data[0]
    n += 200 if state.buffer.data[31] == ord("d") and state.buffer.used == 9 else 0
    return n


@case(6)
def sums_in_it_are_whole(ctx: bpf.XdpContext) -> int:
    state.buffer = Buffer()
    data = bpf.dynptr(state.buffer)
    for i in range(4):
        counter = data.at(0, Pair)
        if counter is not None:
            counter.second += i
    pair = data.read(0, Pair)
    return pair.second if pair is not None else 0


@case(5 + 40)
def at_a_run_time_offset(ctx: bpf.XdpContext) -> int:
    buffers[1] = Buffer()
    buffer = buffers[1]
    data = bpf.dynptr(buffer.pairs)
    offset = (len(ctx.packet) & 3) + 8
    data.write(offset, Pair(first=5, second=4))
    return buffer.pairs[1].first + 10 * buffer.pairs[1].second


@case(3)
def of_a_hash(ctx: bpf.XdpContext) -> int:
    by_key[7] = Buffer(name="abc")
    buffer = by_key.get(7)
    if buffer is None:
        return 0
    data = bpf.dynptr(buffer.name)
    data.write(1, "-")
    return len(buffer.name) + (1 if buffer.name == "a-" else 0)


@case(2 * 3 + 4, BYTES)
def made_on_every_trip(ctx: bpf.XdpContext) -> int:
    n = 0
    for i in range(4):
        data = bpf.dynptr(ctx.packet)
        byte = data.at(i, u8)
        if byte is None:
            return 0
        n += byte
        state.buffer.data[i] = byte
        inner = bpf.dynptr(state.buffer.data)
        n += inner.write(i, b"\1")
        n += state.buffer.data[i]
    return n


@case(0x0C0D + 5 + 45, BYTES)
def slices_outlive_other_memory(ctx: bpf.XdpContext) -> int:
    data = bpf.dynptr(ctx.packet)
    eth = data.at(0, Ethernet)
    if eth is None:
        return 0
    total = 0
    for i in range(10):
        by_pair[Pair(first=i, second=i)] = i
        total += by_pair.get(Pair(first=i, second=i), 0) if i < 4 else i
    local = bpf.array(u32, 8)
    local[len(ctx.packet) & 7] = 5
    return eth.proto + local[0] + total


@case(2)
def a_slice_as_a_key(ctx: bpf.XdpContext) -> int:
    data = bpf.dynptr(ctx.packet)
    pair = data.at(0, Pair)
    if pair is None:
        return 0
    by_pair[pair] = 2
    ring.emit(pair)
    found = by_pair.get(Pair())
    return found if found is not None else 1


@case(9)
def reserved_bytes_are_read(ctx: bpf.XdpContext) -> int:
    n = 0
    with ring.reserve_bytes(20) as data:
        data.write(4, Pair(first=9, second=1))
        pair = data.read(4, Pair)
        if pair is not None:
            n = pair.first
        if data.read(16, u64) is not None:
            n = 0
    return n


def first_of(data: bpf.Dynptr, offset: int) -> int:
    pair = data.read(offset, Pair)
    return pair.first if pair is not None else 0


@case(0x0100 + 0x0302, BYTES)
def handed_to_a_function(ctx: bpf.XdpContext) -> int:
    data = bpf.dynptr(ctx.packet)
    return first_of(data, 0) + first_of(data, 2)


@case(60 + 100 * 4, BYTES)
def made_again_after_a_change_of_size(ctx: bpf.XdpContext) -> int:
    if ctx.packet.adjust_head(4) != 0:
        return 0
    data = bpf.dynptr(ctx.packet)
    byte = data.at(0, u8)
    return len(data) + 100 * byte if byte is not None else 0


@case.parametrize()
def test_result(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_result_of_the_ir(function: Callable[..., object], expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)


@bpf.tc
def rewrites(ctx: bpf.TcContext) -> int:
    data = bpf.dynptr(ctx.packet)
    for i in range(4):
        data.write(14 + 2 * i, Two(number=i))
    eth = data.at(0, Ethernet)
    two = ctx.packet.at(18, Two)
    if eth is None or two is None:
        return 0
    return eth.proto + two.number


@bpf.struct
class Two:
    number: be16 = 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_classifier_writes(engine: str) -> None:
    with rewrites.load(engine):
        result = rewrites.run(packet=BYTES)
        assert result.value == 0x0C0D + 2
        assert result.data == BYTES[:14] + bytes((0, 0, 0, 1, 0, 2, 0, 3)) + BYTES[22:]


def test_a_classifier_writes_as_python() -> None:
    bytecode, python = both(rewrites, BYTES)
    assert python == bytecode


@bpf.socket_filter
def looks(ctx: bpf.SocketFilterContext) -> int:
    data = bpf.dynptr(ctx.packet)
    byte, pair = data.at(2, u8), data.read(48, Pair)
    return 0 if byte is None or pair is not None else byte + len(data)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_filter_looks_at_all_of_it(engine: str) -> None:
    with looks.load(engine):
        assert looks.run(packet=BYTES).value == 16 + 50
