# mypy: disable-error-code="no-untyped-def"
"""What `for` goes over, and `any all sum min max` over the same: as in Python."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import s32, s64, u8, u16, u32
from purebpf.net import Ethernet
from tests.compiler.against_python import ENGINES, Function, Functions, check
from tests.compiler.results import Table
from tests.compiler.results import check as check_row

case = Functions()
row = Table()

PRIMES = (2, 3, 5, 7, 11)
PAIRS = ((1, 10), (2, 20), (3, 30))
MIXED = (1, None, "four", (5, 6), b"7")
TEXT = "abc"
SQUARES = tuple(i * i for i in range(50))
ROWS = tuple((i, (i % 3, -i)) for i in range(40))
LONG_WORD = bytes(range(200, 250))
WORD = b"\x01\x02\xff"
FRAME = bytes(range(64))


@bpf.struct
class Point:
    x: u32 = 0
    y: s32 = 0


@bpf.struct
class Line:
    points: list[Point] = bpf.array(Point, 4)
    name: bytes = bpf.bytes(5)
    weights: list[u16] = bpf.array(u16, 3)
    text: str = bpf.chars(8)


lines = bpf.Array[Line](max_entries=1)


# -- what Python computes too


@case
def over_tuples_of_tuples(n):
    total = 0
    for a, b in PAIRS:
        total = total * 7 + a * n + b
    for i, (a, b) in enumerate(PAIRS):
        total += i * a * b
    return total


def doubled(n):
    return n * 2


def squared(n):
    return n * n


@case
def over_unequal_things(n):
    total = n
    for item in MIXED:
        if item is None:
            total += 1000
            continue
        total += 10
    for function, items in ((doubled, PRIMES), (squared, TEXT), (abs, WORD)):
        total += function(n) * len(items)
    return total


@case
def over_texts_and_bytes(n):
    total = n
    for letter in TEXT:
        total = total * 3 + ord(letter)
    for byte in WORD:
        total = total * 3 + byte
    return total


@case
def a_tuple_found_or_not(n):
    for p in PRIMES:
        if n % p == 0:
            break
    else:
        p = 99
    return p * 2


@case
def enumerated_ranges(n):
    total: s64 = 0
    for i, j in enumerate(range(n % 5, n % 23, 3)):
        total += (i + 1) * j
    for i, j in enumerate(range(n % 23, n % 5, -4), start=n):
        total -= i * j
    for i, p in enumerate(PRIMES, 1):
        total += i * p
    return total


@case
def zipped_ranges(n):
    total: s64 = 0
    for i, j in zip(range(n % 11), range(100, 100 + n % 7)):  # noqa: B905
        total = total * 3 + i * j
    for i, j, k in zip(range(9), PRIMES, PAIRS):  # noqa: B905
        total += i * j + k[0]
    for i, (j, k) in enumerate(zip(range(4), reversed(range(4)), strict=True)):
        total += i * j * k
    return total


@case
def backwards(n):
    total: s64 = 0
    for i in reversed(range(n % 9)):
        total = total * 3 + i
    for i in reversed(range(n % 4, n % 30, 7)):
        total = total * 3 + i
    for i in reversed(range(20, -20, -7)):
        total = total * 3 + i
    for i in reversed(range(n % 30, n % 4, -1)):
        total = (total + i) % 1000003
    for p in reversed(PRIMES):
        total = (total * 3 + p) % 1000003
    return total


@case
def the_variables_after_the_loop(n):
    for i, p in enumerate(PRIMES):  # noqa: B007
        if p > n % 13:
            break
    for a, b in zip((n, 1), range(5, 9)):  # noqa: B905, B007
        pass
    return i * 1000 + p * 100 + a * 10 + b


@case
def loops_in_loops(n):
    total: s64 = 0
    for i, p in enumerate(PRIMES):
        for j in reversed(range(i)):
            if j == 2:
                continue
            for k in range(n % 3):
                total += p * j + k
            if total > 500:
                break
        else:
            total += 1
    return total


@case
def any_and_all(n):
    a = any(n % p == 0 for p in PRIMES)
    b = all(n % p != 0 for p in PRIMES if p != 2)
    c = any(i * i == n for i in range(n % 40))
    d = all(i < 12 for i in range(n % 16))
    e = any(x * y == n % 20 for x in range(4) for y in range(x + 1) if y != 1)
    f = all(x * y != n % 20 for x in range(4) for y in range(x + 1))
    g = any((n == 14, n == 20, n > 255)) and not all((n, n - 14, n - 20))
    return a + 2 * b + 4 * c + 8 * d + 16 * e + 32 * f + 64 * g + 128 * any(()) + 256 * all(())


@case
def sums(n):
    a: s64 = sum(p * n for p in PRIMES)
    b: s64 = sum(i for i in range(n % 50) if i % 3 == 1)
    c: s64 = sum(i * j for i in range(n % 6) for j in range(i))
    d = sum((n, 2, 3)) + sum(PRIMES) + sum((n, 1), start=7) + sum(range(5), -n)
    return a + b * 10 + c + d - sum(p > n % 10 for p in PRIMES)


@case
def sums_of_what_is_never_negative(n):
    total = 0
    for i in range(n % 11, 1, -3):
        total += abs(17 - i) % 61
    return total + sum(abs(5 - q) % 7 for _, q in enumerate(range(n % 11, 1, -3)))


@case
def least_and_greatest(n):
    a = min(abs(n - 100 * p) for p in PRIMES)
    b = max(n % p for p in PRIMES)
    c = max((i * (20 - i) for i in range(n % 30)), default=-1)
    d = min((i for i in range(n % 30) if i > 9), default=n)
    e = min((n, 100, 60)) + max((n, 100)) + min(PRIMES) + max((), default=3)
    return ((a * 20 + b) * 1000 + c) * 100 + d + e - min(n, 50, 30) - max(-n, -50)


@case
def a_generator_has_its_own_names(n):
    p = n
    i: u8 = n % 200
    total = sum(p * 1000 for p in PRIMES) + max(i for i in range(300, 310))
    return total + p + (i & 0x7F) - i


@case
def the_first_sequence_is_the_functions(n):
    x = n % 7
    return sum(x * 2 for x in range(x)) + x


@case
def calls_inside_generators(n):
    return sum(doubled(p) for p in PRIMES) + any(doubled(p) == n for p in range(40))


# -- memory


@row(0 + 1 * 3 + 2 * 6 + 3 * 9 + 900)
def arrays_on_the_stack(ctx):
    v = bpf.array(u32, 4)
    for i in range(4):
        v[i] = i * 3
    total = sum(i * x for i, x in enumerate(v))
    return total + (max(v) * 100 if min(v) == 0 and any(x == 6 for x in v) else 0)


@row(3 * 1000 + 4 * 100 + 5 * 10 + 6)
def records_of_an_array_are_references(ctx):
    line = lines[0]
    for i, point in enumerate(line.points):
        point.x = i + 3
        point.y = -i
    total = 0
    for point in line.points:
        total = total * 10 + point.x
    assert_last = sum(p.y for p in reversed(line.points))
    return total if assert_last == -6 and point.x == 6 else 0


@row(21)
def the_record_that_was_found(ctx):
    line = lines[0]
    line.points[2].x = 9
    line.points[2].y = 12
    for point in line.points:
        if point.x == 9:
            break
    else:
        return 0
    return point.x + point.y


@row(sum(range(6)) + 100 * sum(range(6, 12)), FRAME)
def bytes_of_a_packet(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    return sum(eth.dst) + 100 * sum(b for b in eth.src)


@row(1, FRAME)
def addresses_compared_by_zip(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    return all(b - a == 6 for a, b in zip(eth.dst, eth.src, strict=True))


@row(4)
def a_byte_changed_while_going_over_it(ctx):
    line = lines[0]
    for i in range(5):
        line.name[i] = 0
    count = 0
    for i, b in enumerate(line.name):
        count += b
        if i < 4:
            line.name[i + 1] = (i + 1) % 2 + b % 2
    return count


@case
def long_tuples_are_tables(n):
    total: s64 = 0
    for i, square in enumerate(SQUARES):
        if square > n * n:
            break
        total += square * i
    for number, (low, high) in ROWS:
        total += number * low - high if low else 3
    for byte in reversed(LONG_WORD):
        total = (total + byte) % 100_003
    return total + sum(SQUARES) + max(LONG_WORD) + any(square == n for square in SQUARES)


@row(ord("a") + 2 * ord("b") + 3 * ord("c") + 1000)
def bytes_of_a_text_up_to_its_nul(ctx):
    line = lines[0]
    line.text = "xxxxxxx"
    line.text = "abc"
    total = 0
    for i, letter in enumerate(line.text):
        total += (i + 1) * letter
    return total + 1000 * all(letter != ord("x") for letter in line.text)


@row(2 + 30 + 400 + 5000, FRAME)
def arrays_taken_apart(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    line = lines[0]
    for i, point in enumerate(line.points):
        point.x = i + 2
    a, b, *others = line.points
    _, _, two, *_ = eth.dst
    others[1].x = 5
    return two + b.x * 10 + others[0].x * 100 + line.points[3].x * 1000 + a.x - 2


@row(1 + 4 + 16, FRAME)
def membership_in_memory(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    v = bpf.array(u32, 20)
    v[3] = 7
    n = len(ctx.packet)
    return (3 in eth.dst) + 2 * (30 in eth.dst) + 4 * (n - 57 in v) + 8 * (8 in v) + 16 * (n not in eth.src)


@row(1 + 4 + 8 + 16)
def texts_in_texts(ctx):
    line = lines[0]
    line.text = "hallo"
    found = ("all" in line.text) + 2 * ("alla" in line.text) + 4 * ("" in line.text) + 8 * ("hallo" in line.text)
    line.text = "lolo"
    line.text = "a"
    return found + 16 * ("lo" not in line.text) + 32 * ("much too long" in line.text)


@row(0x0C0D * 1000 + 0x0D0C, FRAME)
def bits_as_they_lie(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    return eth.proto * 1000 + bpf.raw(eth.proto)


@case.parametrize()
def test_loops_and_reductions_give_what_python_gives(engine: str, function: Function) -> None:
    check(engine, function)


@row.parametrize()
def test_memory_is_gone_over(engine: str, function: Function, expected: int, packet: bytes) -> None:
    check_row(function, expected, packet, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_are_checked(engine: str) -> None:
    with pytest.raises(AssertionError):
        check_row(arrays_on_the_stack, 1, FRAME, engine)
