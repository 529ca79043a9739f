"""Texts compared with texts, `in` over ranges of run-time bounds, methods of records, patterns that cannot match."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import pytest

import purebpf as bpf
from purebpf import s64, u8, u16, u32, u64
from tests.compiler.results import ENGINES, Table, check

table = Table()
LENGTH = 64


@bpf.struct
class Names:
    short: str = bpf.chars(4)
    skew: u8 = 0
    odd: str = bpf.chars(7)
    long: str = bpf.chars(16)


@bpf.struct
class Point:
    x: u32 = 0
    y: u32 = 0

    def total(self, factor: int = 1) -> int:
        return (self.x + self.y) * factor

    def shift(self, n: int) -> None:
        self.x += n
        self.y += n

    def far(self) -> bool:
        return self.total() > 100

    @staticmethod
    def unit() -> int:
        return 8


names = bpf.Array[Names](max_entries=2)
points = bpf.Array[Point](max_entries=1)
out = bpf.Array[u64](max_entries=8)
TEXTS = ("", "a", "b", "ab", "abc", "abd", "abcdef", "abcdefg", "abcdefgh", "abcdefghijklmno", "abcdefghijklmnp")


@bpf.xdp
def same_texts(ctx):  # type: ignore[no-untyped-def]
    a, b = names[0], names[1]
    out[0] = a.short == b.short
    out[1] = a.short == b.odd
    out[2] = a.odd == b.long
    out[3] = a.long == b.long
    out[4] = a.long != b.short
    out[5] = a.odd == a.odd
    return 0


@pytest.mark.parametrize("engine", ENGINES)
def test_texts_compare_up_to_their_nul(engine: str) -> None:
    with same_texts.load(engine) as collection:
        for first, second in itertools.product(TEXTS, TEXTS):
            a = Names(short=first[:3], odd=first[:6], long=first)
            b = Names(short=second[:3], odd=second[:6], long=second)
            raw = [bytearray(names.value_type.encode(value)) for value in (a, b)]
            for field in names.value_type.fields:  # type: ignore[union-attr]
                if field.name != "skew":  # what lies behind the NUL is rubbish
                    for i, data in enumerate(raw):
                        text = getattr((a, b)[i], field.name).encode()
                        for at in range(len(text) + 1, field.type.size):
                            data[field.offset + at] = 1 + 7 * at + 100 * i
            for i, data in enumerate(raw):
                collection.maps["names"].update(i.to_bytes(4, "little"), bytes(data))
            same_texts.run(packet=bytes(LENGTH))
            assert [out[i] for i in range(6)] == [
                a.short == b.short,
                a.short == b.odd,
                a.odd == b.long,
                a.long == b.long,
                a.long != b.short,
                True,
            ], (first, second)


def test_a_full_text_without_a_nul_compares_by_its_bytes() -> None:
    with same_texts.load("vm") as collection:
        collection.maps["names"].update(bytes(4), b"abcd\0abcdefg" + b"abcdefgh" * 2)
        collection.maps["names"].update(b"\1\0\0\0", b"abcd\0abcd\0\0\0" + b"abcdefg\0" + bytes(8))
        same_texts.run(packet=bytes(LENGTH))
        assert [out[i] for i in range(6)] == [1, 1, 1, 0, 1, 1]


@table(1)
def text_of_the_stack(ctx):  # type: ignore[no-untyped-def]
    name = bpf.current.comm
    return name == bpf.current.comm


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("step", [1, 2, 7, -1, -3])
@pytest.mark.parametrize(
    "start, stop", [(0, 64), (10, 64), (63, 65), (64, 65), (65, 64), (64, 0), (1, 100), (-8, 80), (80, -8)]
)
def test_a_number_in_a_range(start: int, stop: int, step: int, engine: str) -> None:
    def constant(ctx):  # type: ignore[no-untyped-def]
        return len(ctx.packet) in range(start, stop, step)

    def changing(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        low: s64 = n - 64 + start
        high: s64 = n - 64 + stop
        return (n in range(low, high, step)) + 2 * (n not in range(low, high, step))

    expected = LENGTH in range(start, stop, step)
    check(constant, expected, bytes(LENGTH), engine)
    check(changing, 1 if expected else 2, bytes(LENGTH), engine)


@table(1)
def whole_64_bits_in_a_range(ctx):  # type: ignore[no-untyped-def]
    low: s64 = 0 - (1 << 62) - len(ctx.packet)
    high: u64 = 0xFFFF_FFFF_FFFF_FFFF - len(ctx.packet)
    return high - 5 in range(low, high, 3) or low in range(low, high, 3)


@table(64 + 7)
def a_range_that_narrows(ctx):  # type: ignore[no-untyped-def]
    n: u16 = len(ctx.packet)
    if n in range(n - n, 100):
        return n + 7
    return 0


@table(10)
def method_of_a_local_record(ctx):  # type: ignore[no-untyped-def]
    return Point(x=2, y=3).total(2)


@table(2 * (64 + 3 + 10))
def methods_change_a_map(ctx):  # type: ignore[no-untyped-def]
    p = points[0]
    p.x, p.y = len(ctx.packet), 3
    p.shift(5)
    return points[0].total(factor=2)


@table(1 + 8 + 5)
def methods_call_methods(ctx):  # type: ignore[no-untyped-def]
    p = Point(x=len(ctx.packet), y=40)
    return p.far() + p.unit() + Point.total(Point(x=2, y=3))


@table(1)
def pattern_of_another_length(ctx):  # type: ignore[no-untyped-def]
    match (1, len(ctx.packet)):
        case (1, 2, 3):
            return 0
        case (1,):
            return 3
        case (1, 64):
            return 1
        case _:
            return 2


class Corner(NamedTuple):
    x: int
    y: int


CORNER = Corner(3, 40)


@bpf.struct
class Limited:
    n: u8 = 0
    MOST = 7


limited = bpf.Array[Limited](max_entries=1)


@table(46)
def constants_by_name(ctx: bpf.XdpContext) -> int:
    entry = limited[0]
    entry.n = CORNER.x
    return entry.n + CORNER.y + (3 if entry.MOST == Limited.MOST == 7 and len(CORNER) == 2 else 0)


@table.parametrize()
def test_what_it_gives(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("text, never", [("abc", False), ("abcd", True)])
def test_a_comparison_that_cannot_hold_draws_a_warning(text: str, never: bool) -> None:
    @bpf.xdp
    def program(ctx):  # type: ignore[no-untyped-def]
        return names[0].short == text

    warnings = program.compiled().warnings
    assert [("this comparison is always False" in w, "at most 3 bytes, not 4" in w) for w in warnings] == [(True, True)] * never


def test_code_behind_a_return_draws_one_warning() -> None:
    @bpf.xdp
    def program(ctx):  # type: ignore[no-untyped-def]
        for i in range(4):
            if i == len(ctx.packet):
                break
                out[i] = 1
                out[0] = 2
        return 1
        out[0] = 3

    warnings = program.compiled().warnings
    assert len(warnings) == 2 and all("this is never reached" in w for w in warnings)
    assert "out[i] = 1" in warnings[0] and "out[0] = 3" in warnings[1]


def test_a_pattern_that_cannot_match_draws_a_warning() -> None:
    warnings = bpf.xdp(pattern_of_another_length).compiled().warnings
    assert [w.splitlines()[0] for w in warnings] == ["warning: this case never matches"] * 2
