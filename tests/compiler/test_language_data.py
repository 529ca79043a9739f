"""Globals and settings in programs: every way to reach them, and what holds between two reads."""

from __future__ import annotations

import purebpf as bpf
from purebpf import be16, be32, s32, u8, u16, u32, u64
from tests.compiler.results import Function, Table, check

case = Table()


@bpf.struct
class Pair:
    x: u16 = 0
    y: u16 = 0

    def total(self) -> int:
        return self.x + self.y


@bpf.globals
class state:
    n: u64 = 5
    small: u8 = 250
    signed: s32 = -3
    port: be16 = 80
    address: be32 = 0x7F000001
    low: u8 = bpf.bits(3)
    high: u8 = bpf.bits(5)
    pair: Pair = Pair(x=1, y=2)
    pairs: list[Pair] = bpf.array(Pair, 4)
    items: list[u32] = bpf.array(u32, 5)
    name: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)


@bpf.config
class settings:
    wanted: be16 = 80
    weights: list[u32] = bpf.array(u32, 4)
    who: str = bpf.chars(8)
    pair: Pair = Pair(x=10, y=20)


class Box:
    inner = state


def bump(n: u32) -> u32:
    state.n += n
    state.items[n & 3] = n
    return u32(state.n)


def swap(pair):
    pair.x, pair.y = pair.y, pair.x


def long_function(n: u32) -> u32:
    total: u32 = 0
    for i in range(4):
        total += state.items[i] * n + settings.weights[i]
    if n > 3:
        state.small += 1
    if n > 4:
        state.small += 2
    if n > 5:
        state.small += 3
    if n > 6:
        state.small += 4
    if n > 7:
        state.signed += 1
    if n > 8:
        state.signed += 2
    if n > 9:
        state.signed += 3
    if n > 10:
        state.signed += 4
    return total + state.small


@case(80 + 2)
def scalars(ctx):  # type: ignore[no-untyped-def]
    state.signed += 5
    if state.port == settings.wanted:
        return state.port + state.signed
    return 0


@case(4)
def narrow_wraps(ctx):  # type: ignore[no-untyped-def]
    state.small += 10
    return state.small


@case(0x7F000002)
def network_order(ctx):  # type: ignore[no-untyped-def]
    state.address += 1
    return state.address


@case(5 * 8 + 21)
def bit_fields(ctx):  # type: ignore[no-untyped-def]
    state.low = 5
    state.high = 20
    state.high += 1
    return state.low * 8 + state.high


@case(21)
def a_record_by_reference(ctx):  # type: ignore[no-untyped-def]
    swap(state.pair)
    return state.pair.x * 10 + state.pair.y


@case(33)
def methods_of_records(ctx):  # type: ignore[no-untyped-def]
    return state.pair.total() + settings.pair.total()


@case(1020)
def copies_of_records(ctx):  # type: ignore[no-untyped-def]
    state.pairs[len(ctx.packet) & 3] = settings.pair
    state.pair = state.pairs[0]
    return state.pair.x * 100 + state.pair.y


@case(64 + 64 + 5)
def in_functions(ctx):  # type: ignore[no-untyped-def]
    a = bump(len(ctx.packet))
    return a + state.items[0]


@case(6)
def dotted(ctx):  # type: ignore[no-untyped-def]
    Box.inner.n += 1
    return Box.inner.n


@case(6)
def by_another_name(ctx):  # type: ignore[no-untyped-def]
    s = state
    s.n += 1
    return state.n


@case(1)
def texts_and_bytes(ctx):  # type: ignore[no-untyped-def]
    state.name = "abc"
    state.mac = b"abcdef"
    return state.name == "abc" and state.mac != b"abcdeg" and settings.who == ""


@case(3 + 12)
def old_values(ctx):  # type: ignore[no-untyped-def]
    state.items[2] = 12
    old = bpf.atomic.exchange(state.items[2], 3)
    return u32(old) + state.items[2]


@case(5)
def a_value_read_stays(ctx):  # type: ignore[no-untyped-def]
    n = state.n
    state.n += 1
    return n


@case(10)
def loops(ctx):  # type: ignore[no-untyped-def]
    for i in range(5):
        state.items[i] = i
    total = 0
    for item in state.items:
        total += item
    return total


@case(250 + (250 + 10) % 256)
def in_subprograms(ctx):  # type: ignore[no-untyped-def]
    a = long_function(len(ctx.packet) & 15)
    state.small = 250
    b = long_function(7)
    return a + b


@case.parametrize()
def test_the_result_is_that_of_the_language(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
