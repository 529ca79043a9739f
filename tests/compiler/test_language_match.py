# mypy: disable-error-code="no-untyped-def"
"""`match` as in Python: every kind of pattern, guards, and what a pattern teaches of its subject."""

from __future__ import annotations

import enum

import purebpf as bpf
from purebpf import s64, u8, u32, u64
from purebpf.net import Ethernet
from tests.compiler.against_python import Function, Functions, check
from tests.compiler.results import Table
from tests.compiler.results import check as check_row

case = Functions()
row = Table()
FRAME = bytes(range(64))
TRIPLE = (1, 2, 3)


class Size(enum.IntEnum):
    SMALL = 20
    MIDDLE = 64
    LARGE = 256


class Limits:
    least = 14


@bpf.struct
class Point:
    x: u32 = 0
    y: u32 = 0
    name: str = bpf.chars(8)


@bpf.struct
class Other:
    x: u32 = 0


points = bpf.Hash[u32, Point](max_entries=4)
places = bpf.Array[Point](max_entries=1)
numbers = bpf.Hash[u32, u64](max_entries=4)


@case
def values(n):
    match n:
        case Limits.least:
            return 1
        case Size.SMALL | Size.MIDDLE:
            return 2
        case 15 | 16 | 17 as k:
            return k * 10
        case 300:
            return 3
        case k if k > Size.LARGE:
            return 4 + k
        case _ if n % 2:
            return 5
    return 6


@case
def tuples(n):
    match n, n % 3, n > 64:
        case 14, _, _:
            return 1
        case (x, 0, big):
            return x * 2 + big
        case (x, (1 | 2) as r, True):
            return x + r
        case (x, r, False) if r == 1:
            return x * 5
        case whole:
            return whole[0] + whole[1] * 1000


@case
def nested_tuples(n):
    match (n, (n // 10, n % 10)):
        case (_, (0 | 1, (5 | 6) as ones)):
            return ones
        case (64, (tens, ones)):
            return tens * 1000 + ones
        case (x, (tens, 0)):
            return x - tens
        case (x, (_, ones)):
            return x * ones
    return 0


@case
def stars(n):
    match divmod(n, 16):
        case (0, *rest):
            return len(rest) * 1000 + rest[0]
        case (1, last):
            return last
    match (n, 1, 2, 3):
        case (first, *middle, 3):
            return first + sum(middle)
    return 0


def kind(value):
    match value:
        case None:
            return 1
        case bool():
            return 2
        case str():
            return 3
        case bytes():
            return 4
        case (x, y):
            return x + y
        case (x, *others):
            return x + len(others)
        case int(k):
            return k * 2
    return 0


@case
def kinds(n):
    return kind(None) + 10 * kind("a") + 100 * kind((n, 2)) + kind(n) + kind(n > 5) + kind(b"a") * 7 + kind((1, 2, n))


@case
def singletons(n):
    match n > 60:
        case True:
            return 1
        case False:
            return 2


@case
def constants(n):
    match TRIPLE:
        case (1, second, *_):
            n += second
    match "text":
        case "other":
            n += 1000
        case "text":
            n += 100
    return n


@case
def captures_that_swap(n):
    x, y = n, n * 3
    match (x, y):
        case (y, 1):
            return 0
        case (y, x):
            return x * 10 + y
    return 0


@case
def patterns_in_a_loop(n):
    total: s64 = 0
    for i in range(n % 30):
        match i % 5, total:
            case 0, _:
                continue
            case 1, t if t > 40:
                break
            case (2 | 3 as k, _):
                total += k * i
            case (k, t):
                total = t + k
    else:
        total += 1000
    return total


@row(107)
def records(ctx):
    place = places[0]
    place.x, place.y = 0, 7
    match place:
        case Point(x=0, y=5):
            return 1
        case Point(x=0, y=6 | 7 as y) if y > 5:
            return 100 + y
        case Point():
            return 2
    return 3


@row(3)
def texts(ctx):
    place = places[0]
    place.name = "eth1"
    match place.name:
        case "eth" | "lo":
            return 1
        case "eth0":
            return 2
        case "eth1":
            return 3
    return 4


@row(9 + 50 + 300)
def values_that_may_be_absent(ctx):
    numbers[3] = 9
    total = 0
    for key in (3, 4):
        match numbers.get(key):
            case 5:
                total += 1000
            case None:
                total += 50
            case int(n) if n > 100:
                total += 1000
            case n:
                total += n
    match numbers.get(7):
        case int():
            return 0
        case None:
            return total + 300


@row(4)
def records_that_may_be_absent(ctx):
    points[2] = Point(x=4, y=1)
    match points.get(2):
        case None:
            return 1
        case Point(x=3):
            return 2
        case point if point.y == 2:
            return 3
        case point:
            return point.x


@row(21, FRAME)
def headers(ctx):
    match ctx.packet.at(0, Ethernet):
        case Ethernet(proto=0x0800):
            return 1
        case Ethernet(proto=0x0C0D, dst=dst, src=src):
            return sum(dst) + src[0]
    return 2


@row(5)
def arrays(ctx):
    v = bpf.array(u8, 3)
    v[1] = 5
    match v:
        case [0, 0, *_]:
            return 1
        case [0, x, 0]:
            return x
    return 2


@row(66)
def a_field_is_read_anew_for_each_case(ctx):
    place = places[0]
    place.x = 1
    match place:
        case Point(x=1) if put(place, 6) == 0:
            return 1
        case Point(x=6):
            return 66
    return 2


def put(place, x):
    place.x = x
    return x


@case.parametrize()
def test_patterns_give_what_python_gives(engine: str, function: Function) -> None:
    check(engine, function)


@row.parametrize()
def test_memory_is_matched(engine: str, function: Function, expected: int, packet: bytes) -> None:
    check_row(function, expected, packet, engine)
