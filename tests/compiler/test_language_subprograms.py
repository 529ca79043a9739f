# mypy: disable-error-code="no-untyped-def"
"""Functions of their own: called with integers, contexts and references of every kind; one for each kind of arguments."""

from __future__ import annotations

import functools

import pytest

import purebpf as bpf
from purebpf import s32, u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import Table, check

row = Table()
FRAME = bytes(range(64))


@bpf.struct
class Point:
    x: u32 = 0
    y: u32 = 0
    name: str = bpf.chars(8)


points = bpf.Hash[u32, Point](max_entries=8)
places = bpf.Array[Point](max_entries=4)
numbers = bpf.Hash[u32, u64](max_entries=8)
others = bpf.Hash[u32, u64](max_entries=8)


def of_a_header(eth: Ethernet, k: u32) -> u32:
    n: u64 = eth.proto + k
    for i in range(3):
        n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
        n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
        n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
    eth.src[0] = k
    return n & 0xFFFF


@row((1 << 16) + 2, FRAME)
def a_reference_into_the_packet(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    a = of_a_header(eth, 1)
    b = of_a_header(eth, 2)
    return ((a != b and a > 0 and b > 0) << 16) + eth.src[0]


def of_a_record(p: Point, k: u32) -> u32:
    p.x += k
    n: u64 = p.x
    for i in range(3):
        n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
        n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
        n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
    p.y = n & 0xFF
    return n & 0xFFFF


@row(1)
def references_to_the_stack_and_into_maps(ctx):
    a, b = Point(x=1), Point(x=1)
    c, d = places[0], places[1]
    c.x = d.x = 1
    results = (of_a_record(a, 2), of_a_record(b, 2), of_a_record(c, 2), of_a_record(d, 2))
    same = all(r == results[0] for r in results) and all(p.x == 3 and p.y == results[0] & 0xFF for p in (a, b, c, d))
    return same and of_a_record(a, 2) != results[0]


def of_a_maybe(p: Point | None, k: u32) -> u32:
    if p is None:
        return k
    n: u64 = p.x + k
    for i in range(3):
        n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
        n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
        n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
    p.y = 77
    return n & 0xFFFF


@row(7 + 77)
def a_reference_that_may_be_none(ctx):
    points[1] = Point(x=5)
    absent = of_a_maybe(points.get(2), 7)
    there = of_a_maybe(points.get(1), 7)
    p = points.get(1)
    return absent + p.y if p is not None and there != 7 else 0


def find(key: u32, least: u32) -> Point | None:
    n: u64 = key
    for i in range(3):
        n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
        n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
        n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
    if n == 0:
        return None
    p = points.get(key)
    if p is not None and p.x >= least:
        return p
    return None


@row(9 + 100 + 1000)
def a_result_that_is_a_reference(ctx):
    points[1] = Point(x=9)
    a, b, c = find(1, 4), find(1, 10), find(2, 0)
    if a is None:
        return 0
    a.y = 3
    return a.x + (100 if b is None else 0) + (1000 if c is None else 0)


def count_in(m, key: u32) -> None:
    n: u64 = key
    for i in range(3):
        n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
        n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
        n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
    if n:
        m[key] += 1


@row(2 * 10 + 3)
def one_function_for_each_map(ctx):
    numbers[7] = others[7] = 0
    for _ in range(2):
        count_in(numbers, 7)
    count_in(others, 7)
    count_in(others, 7)
    count_in(others, 7)
    return numbers.get(7, 0) * 10 + others.get(7, 0)


def shorten(ctx: bpf.XdpContext, by: u32) -> s32:
    n: u64 = by
    for i in range(3):
        n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
        n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
        n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
    if n == 0:
        return -1
    return ctx.packet.adjust_head(by)


@row(7 * 100 + 57, FRAME)
def a_function_that_moves_the_packet(ctx):
    if shorten(ctx, 4) != 0 or shorten(ctx, 3) != 0:
        return 0
    first = ctx.packet.at(0, u8)
    return first * 100 + len(ctx.packet) if first is not None else 1


def of_bytes(ctx: bpf.XdpContext, data: bytes, name: str) -> u32:
    n: u64 = data[0]
    for i in range(3):
        n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
        n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
        n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
    total = n & 0
    for b in data:
        total += b
    return total + (100 if name == "ab" else 200)


@row(15 + 100 + 51 + 200, FRAME)
def bytes_and_texts(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    a, b = places[0], places[1]
    a.name, b.name = "ab", "abc"
    return of_bytes(ctx, eth.dst, a.name) + of_bytes(ctx, eth.src, b.name)


def of_five(a: u8, b: u16, c: bool, d: u64, e: u32) -> u64:
    n: u64 = d
    for i in range(3):
        n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
        n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
        n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
    return (n & 0) + a + b * 2 + c * 4 + e * 8


@row(64 + 2 * 64 * 2 + 4 + 64 * 8 + 44 + 2 * 1 + 8)
def five_integers(ctx):
    n = len(ctx.packet)
    return of_five(n, n * 2, n, n, n) + of_five(n + 236, 1 + (n << 10), n - 64, n, 1)


def scaled(factor):
    def scale(n: u32) -> u64:
        n: u64 = n
        for i in range(3):
            n += i * 7 + (n >> 3) + (n ^ i) + (n & 0xFF) * 3 + (i | 4) + (n << 1) + (n >> 2)
            n += i * 5 + (n >> 4) + (n ^ i) + (n & 0x7F) * 5 + (i | 2) + (n << 2) + (n >> 3)
            n += i * 3 + (n >> 5) + (n ^ i) + (n & 0x3F) * 7 + (i | 1) + (n << 3) + (n >> 4)
        return (n & 0) + factor

    return scale


three, five = scaled(3), scaled(5)


@row(3 + 3 + 50 + 50)
def closures_over_different_values(ctx):
    return three(1) + three(2) + 10 * five(1) + 10 * five(2)


def combined(a, b, c=3, *, d=4):
    return a * 1000 + b * 100 + c * 10 + d


partly = functools.partial(combined, 1, d=9)


@row(1639 + 1247)
def partial_functions(ctx):
    n = len(ctx.packet)
    return partly(n // 10) + partly(2, d=7, c=4)


@row.parametrize()
def test_calls(engine: str, function, expected: int, packet: bytes) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (a_reference_into_the_packet, ["of_a_header"]),
        (references_to_the_stack_and_into_maps, ["of_a_record", "of_a_record_2"]),
        (a_reference_that_may_be_none, ["of_a_maybe"]),
        (a_result_that_is_a_reference, ["find"]),
        (one_function_for_each_map, ["count_in", "count_in_2"]),
        (a_function_that_moves_the_packet, ["shorten"]),
        (bytes_and_texts, ["of_bytes"]),
        (five_integers, ["of_five"]),
        (closures_over_different_values, ["scale", "scale_2"]),
        (partial_functions, []),
    ],
)
def test_they_are_functions_of_their_own(function, names: list[str]) -> None:
    made = bpf.xdp(function).compiled()
    assert [fn.name for fn in made.functions][1:] == names


def test_references_do_not_outlive_a_call_that_moves_the_packet() -> None:
    @bpf.xdp
    def program(ctx):
        eth = ctx.packet.at(0, Ethernet)
        if eth is None or shorten(ctx, 1) != 0 or shorten(ctx, 2) != 0:
            return bpf.XDP_DROP
        return eth.dst[0]

    with pytest.raises(bpf.CompileError, match="refers to a packet that has been changed since"):
        program.compiled()
