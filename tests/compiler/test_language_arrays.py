"""Arrays, bytes and texts in memory: slices, lists, equality, length."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import FRAME, Function, Table, check

case = Table()


@bpf.struct
class Point:
    x: u32 = 0
    y: u16 = 0  # two bytes of padding behind it


@bpf.struct
class Named:
    name: str = bpf.chars(8)
    low: u8 = bpf.bits(3)
    high: u8 = bpf.bits(5)
    n: u64 = 0


@bpf.struct
class Thing:
    name: str = bpf.chars(16)
    short: str = bpf.chars(8)
    odd: str = bpf.chars(5)
    mac: bytes = bpf.bytes(6)
    other: bytes = bpf.bytes(6)
    a: list[u32] = bpf.array(u32, 4)
    b: list[u32] = bpf.array(u32, 4)
    point: Point = Point()
    points: list[Point] = bpf.array(Point, 3)
    named: Named = Named()
    names: list[str] = bpf.array(bpf.chars(8), 2)
    tail: str = bpf.chars(100)


things = bpf.Array[Thing](max_entries=2)
NUMBERS = [1, 2, 3, 4]


@case
def numbers_of_arrays_of_octets(n):
    octets = bpf.array(u8, 4)
    octets[1] = n
    octets[3] = 9
    return int.from_bytes(octets, "big") + int.from_bytes(octets, "little")


@case(1)
def slices_of_bytes(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.mac = b"abcdef"
    return r.mac[:3] == b"abc" and r.mac[-2:] == b"ef" and r.mac[1:-1] == b"bcde" and r.mac[:99] == b"abcdef"


@case(1)
def slices_are_assigned(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.mac[:3] = b"xyz"
    r.other[3:] = r.mac[:3]
    r.other[0] = 1
    return r.mac == b"xyz\0\0\0" and r.other == b"\1\0\0xyz"


@case(1)
def halves_are_swapped(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.a = [1, 2, 3, 4]
    r.a[:2], r.a[2:] = r.a[2:], r.a[:2]
    return r.a == [3, 4, 1, 2]


@case(1)
def overlapping_slices(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.a = [1, 2, 3, 4]
    r.a[1:] = r.a[:3]
    return r.a == [1, 1, 2, 3]


@case(5)
def slices_of_arrays(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.a = NUMBERS
    total = 0
    for item in r.a[1:3]:
        total += item
    return total if 3 in r.a[1:3] and 4 not in r.a[:3] else 0


@case(1)
def addresses_of_a_packet(ctx):  # type: ignore[no-untyped-def]
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    eth.src[:3] = b"\x02\x00\x5e"
    eth.dst = eth.src
    return eth.dst[:3] == b"\x02\x00\x5e" and eth.dst == eth.src and eth.dst[3:] == bytes(3)


@case(1)
def lists_into_arrays(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    n = len(ctx.packet)
    r.a = [n, n + 1, 0, n * 2]
    r.b = [7] * 4
    r.a[2:] = [r.a[3], r.a[0]]
    return r.a == [64, 65, 128, 64] and r.b == [7, 7, 7, 7] and r.b != [7, 7, 7, n]


@case(1)
def lists_of_records(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.points = [Point(x=1), Point(x=2, y=3), Point()]
    r.points = [r.points[1], r.points[0], Point(x=len(ctx.packet))]
    return r.points[0].y == 3 and r.points[1] == Point(x=1) and r.points[2].x == 64


@case(1)
def lists_in_constructors(ctx):  # type: ignore[no-untyped-def]
    t = Thing(a=[1, 2, 3, len(ctx.packet)], names=["ab", "cd"], point=Point(y=5))
    things[1] = t
    return things[1].a == [1, 2, 3, 64] and things[1].names[1] == "cd" and t.point.y == 5


@case(10)
def a_for_over_a_list(ctx):  # type: ignore[no-untyped-def]
    total = 0
    for item in [1, 2, 3, len(ctx.packet) - 60]:
        total += item
    return total if 3 in [1, 2, 3] else 0


@case(1)
def arrays_are_equal(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.a = NUMBERS
    r.b = r.a
    same = r.a == r.b
    if r.a != r.b:
        return 0
    r.b[3] = 5
    return same and r.a != r.b and r.a[:3] == r.b[:3]


@case(1)
def records_are_equal_whatever_their_padding(ctx):  # type: ignore[no-untyped-def]
    eth = ctx.packet.at(0, Point)
    r = things[0]
    return eth is not None and eth == Point() and r.point == r.points[1] and r.point != Point(y=1)


@case(1, bytes(6) + b"\xff\xff" + bytes(56))
def padding_does_not_count(ctx):  # type: ignore[no-untyped-def]
    point = ctx.packet.at(0, Point)
    return point is not None and point == Point()


@case(1)
def texts_and_bits_in_records(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    n = len(ctx.packet) & 7 | 5
    r.named = Named(name="abc", low=n, n=7)
    r.named.name = "ab"  # what lies behind the NUL does not count
    return r.named == Named(name="ab", low=5, n=7) and r.named != Named(name="ab", low=5, high=1, n=7)


@case(1)
def arrays_of_records_are_equal(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    v = bpf.array(Point, 3)
    v[2].y = 9
    same = r.points != v
    r.points[2].y = 9
    return same and r.points == v


@case(0 + 5 * 7 + 100 * 16)
def lengths_of_texts(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    empty = len(r.name)
    r.short = "1234567"
    r.tail = "sixteen letters."
    return empty + 5 * len(r.short) + 100 * len(r.tail)


@case(12344)
def lengths_of_odd_texts(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.odd = "1"
    n = len(r.odd)
    r.odd = "12"
    n = n * 10 + len(r.odd)
    r.odd = "123"
    n = n * 10 + len(r.odd)
    r.odd = "1234"
    n = n * 10 + len(r.odd)
    c = bpf.chars(5)
    c = r.odd
    return n * 10 + len(c)


@case(1)
def high_bytes_do_not_end_a_text(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.name = "\u00e9\u00e9\u00e9\u00e9"
    return len(r.name) == 8


@case(1)
def starts_of_texts(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.name = "ethernet0"
    r.mac = b"abcdef"
    good = r.name.startswith("eth") and r.name.startswith("ethernet0") and not r.name.startswith("ethernet01")
    return good and not r.name.startswith("x") and r.name.startswith("") and r.mac.startswith(b"ab")


@case(1)
def slices_of_texts(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.name = "abcdefghij"
    r.short = r.name[:7]
    good = r.short == "abcdefg" and r.name[:3] == "abc" and r.name[:3] != "ab" and r.name[:15] == "abcdefghij"
    r.name = "x"
    return good and r.name[:3] == "x" and len(r.name[:3]) == 1


@case(1)
def a_text_into_a_longer_one(ctx):  # type: ignore[no-untyped-def]
    r = things[0]
    r.name = "abcdefghijklmno"
    r.short = "abc"
    r.name = r.short
    return r.name == "abc" and r.name[8] == 0 and r.name[15] == 0


@case(1)
def the_name_of_the_task(ctx):  # type: ignore[no-untyped-def]
    return len(bpf.current.comm) > 0 and bpf.current.comm[:15] == bpf.current.comm and not bpf.current.comm.startswith("\x01")


@case.parametrize()
def test_the_result_is_that_of_the_language(function: Function, expected: int, packet: bytes, engine: str) -> None:
    assert len(packet) == len(FRAME)
    check(function, expected, packet, engine)
