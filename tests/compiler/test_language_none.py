# mypy: disable-error-code="no-untyped-def"
"""`T | None`: what a test teaches holds through `and`, `or`, `not`, `:=`, early returns, conditional values and loops."""

from __future__ import annotations

from typing import Optional

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import Ethernet
from tests.compiler.against_python import Function, Functions, check
from tests.compiler.results import Table
from tests.compiler.results import check as check_row

case = Functions()
row = Table()
FRAME = bytes(range(64))


@bpf.struct
class Point:
    x: u32 = 0
    y: u32 = 0


points = bpf.Hash[u32, Point](max_entries=4)
places = bpf.Array[Point](max_entries=2)
numbers = bpf.Hash[u32, u64](max_entries=4)


# -- what Python computes too


def half(n) -> int | None:
    if n % 2:
        return None
    return n // 2


def first_divisor(n) -> Optional[int]:  # noqa: UP045
    for p in (7, 5, 3):
        if n % p == 0:
            return p
    return None


@case
def integers_tested(n):
    v = half(n)
    if v is None:
        return -1
    w = half(v)
    return v * 10 + (w if w is not None else 7)


@case
def true_means_neither_none_nor_zero(n):
    v = half(n - 14)
    if v:
        return v
    if not v:
        n += 1000
    return n if v is None else n + 5


@case
def and_or_give_an_operand(n):
    v = half(n)
    a = v or 99
    b = (v is not None and v + 1) or 3
    c = v is None or v > 30
    d = not (v is None or v <= 30)
    e = half(n) or first_divisor(n) or 11
    return a + 2 * b + 1000 * c + 2000 * d + 10_000 * e


@case
def the_walrus_names_what_was_tested(n):
    total = 0
    if (v := half(n)) is not None and (w := first_divisor(v)) is not None and v > w:
        total += v * w
    if (x := half(n + 1)) and x > 8:
        total += x
    elif not (y := first_divisor(n)):
        total += 5
    else:
        total += y
    return total


@case
def both_or_either(n):
    a, b = half(n), first_divisor(n)
    if a is None and b is None:
        return 1
    if a is None or b is None:
        return 2
    return a + b


@case
def an_annotated_variable(n):
    best: int | None = None
    if n > 60:
        best = n
    if best is None:
        best = 4
    return best


@case
def the_best_of_a_loop(n):
    best = None
    for i in range(n % 40):
        if i % 7 == 3 and (best is None or (i * i) % 11 > best):
            best = (i * i) % 11
    return -1 if best is None else best


@case
def absent_until_found(n):
    found = None
    for i in range(3, 20):
        found = half(n + i * 3) if i % 4 == 0 else None
        if found is None:
            continue
        if found > 20:
            break
    else:
        return 5
    return found


@case
def a_name_of_a_name(n):
    v = half(n)
    w = v
    if w is None:
        return 3
    return v + w


def size(v):
    if v is None:
        return 100
    return v * 2


def plain(v):
    return v + 1 if v is not None else 50


@case
def functions_called_with_none_and_without(n):
    return size(None) + size(n) * 3 + size(half(n)) + plain(None) + plain(n) + plain(half(n))


@case
def truth_by_its_name(n):
    v = half(n)
    return v if bool(v) else 4


# -- references


def far(key) -> Point | None:
    point = points.get(key)
    if point is not None and point.x > 3:
        return point
    return None


@row(9 + 100)
def functions_that_give_references(ctx):
    points[1] = Point(x=9)
    points[2] = Point(x=2)
    a, b = far(1), far(2)
    if a is None:
        return 0
    return a.x + (100 if b is None else b.x)


@row(5 + 7)
def one_reference_or_another(ctx):
    points[1] = Point(x=5)
    place = places[1]
    place.x = 7
    a, b = points.get(1), points.get(2)
    c = b or a
    d = b if b is not None else a
    if c is None or d is None:
        return 0
    c.y = 7
    return d.x + a.y if a else 0


@row(13, FRAME)
def headers_tested_in_one_condition(ctx):
    if (eth := ctx.packet.at(0, Ethernet)) and (tag := ctx.packet.at(14, u32)) and eth.proto == 0x0C0D:
        return eth.dst[3] + (tag & 0xFF) - 4
    return 0


@row(3, FRAME)
def negated(ctx):
    if not (eth := ctx.packet.at(0, Ethernet)) or eth.proto != 0x0C0D:
        return 5
    return eth.dst[3]


@row(0x0C0D + 1, FRAME)
def as_values(ctx):
    eth = ctx.packet.at(0, Ethernet)
    return ((eth is not None and eth.proto) or 3) + (eth is not None and eth.proto > 3)


@row(6)
def a_reference_or_none_annotated(ctx):
    point: Point | None = None
    if len(ctx.packet) > 60:
        point = places[0]
        point.x = 6
    if point is None:
        return 3
    return point.x


@row(17)
def a_name_of_a_reference(ctx):
    points[1] = Point(x=17)
    a = points.get(1)
    b = a
    if b is None:
        return 0
    return a.x


def x_or_0(point: Optional[Point]) -> u32:  # noqa: UP045
    return point.x if point else 0


def x_or_3(point: Point | None = None) -> u32:
    return point.x if point else 3


@row(17 + 17 + 0 + 3 + 3)
def annotated_as_what_may_be_none(ctx):
    points[1] = Point(x=17)
    return x_or_0(points.get(1)) + x_or_3(points.get(1)) + x_or_0(None) + x_or_3(points.get(2)) + x_or_3()


@case.parametrize()
def test_values_that_may_be_none(engine: str, function: Function) -> None:
    check(engine, function)


@row.parametrize()
def test_references_that_may_be_none(engine: str, function: Function, expected: int, packet: bytes) -> None:
    check_row(function, expected, packet, engine)
