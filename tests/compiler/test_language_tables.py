"""Constant tuples indexed at run time."""

from __future__ import annotations

import enum

from purebpf import u32
from tests.compiler.results import Function, Table, check

case = Table()


class Kind(enum.IntEnum):
    SMALL = 3
    BIG = 70000


WEIGHTS = (1, 2, 4, 8)
SIGNED = (-1, 5, -300, 7)
WIDE = (1 << 63, 3, (1 << 64) - 1, 4)
FLAGS = (True, False, True, True)
KINDS = (Kind.SMALL, Kind.BIG)
PAIRS = ((80, 6), (53, 17), (443, 6), (22, 6))
CUBE = (((1, 2), (3, 4)), ((5, 6), (7, -8)))
MIXED = ((1, (2, 3)), (4, (5, 6)))
LETTERS = b"abcd"
GRID = tuple(tuple(i * 10 + j for j in range(10)) for i in range(10))


def of(n):
    return PAIRS[n & 3]


@case(1 + 7 - 300)
def numbers(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    return WEIGHTS[n & 3] + SIGNED[(n + 3) & 3] + SIGNED[(n + 2) & 3]


@case(1)
def wide_numbers(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    return WIDE[n & 3] == 1 << 63 and WIDE[(n + 2) & 3] == (1 << 64) - 1 and WIDE[(n + 1) & 3] == 3


@case(1)
def bools(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    return FLAGS[n & 3] and not FLAGS[(n + 1) & 3]


@case(70003 + 97)
def members_and_bytes(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    return KINDS[n & 1] + KINDS[(n + 1) & 1] + LETTERS[n & 3]


@case(53 * 100 + 17)
def rows(ctx):  # type: ignore[no-untyped-def]
    port, protocol = PAIRS[(len(ctx.packet) + 1) & 3]
    return port * 100 + protocol


@case(443 + 6)
def rows_by_a_constant(ctx):  # type: ignore[no-untyped-def]
    row = PAIRS[(len(ctx.packet) + 2) & 3]
    return row[0] + row[-1]


@case(1)
def rows_are_tuples(ctx):  # type: ignore[no-untyped-def]
    row = PAIRS[len(ctx.packet) & 3]
    return row == (80, 6) and row != (80, 7) and 80 in row and len(row) == 2


@case(53)
def rows_at_run_time_in_both(ctx):  # type: ignore[no-untyped-def]
    i = (len(ctx.packet) + 5) % 10
    j = (len(ctx.packet) + 9) % 10
    return GRID[i][j] - 40


@case(-8 + 6)
def three_deep(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) + 1 & 1
    return CUBE[n][n][n] + CUBE[n][0][1]


@case(5 * 10 + 6 + 2)
def mixed_shapes(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) & 1
    a, (b, c) = MIXED[n + 1 & 1]
    return b * 10 + c + MIXED[n][1][n] + a - 4


@case(22)
def from_a_function(ctx):  # type: ignore[no-untyped-def]
    row = of(len(ctx.packet) + 3)
    return row[0]


@case(80 + 53 + 443 + 22)
def in_a_loop(ctx):  # type: ignore[no-untyped-def]
    total: u32 = 0
    for i in range(4):
        total += PAIRS[i][0]
    n = 0
    while n < 4:
        total += PAIRS[n][1] * 0
        n += 1
    return total


@case(2)
def an_index_that_was_tested(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) - 63
    return WEIGHTS[n] if 0 <= n < 4 else 0


@case(1)
def the_range_of_a_part(ctx):  # type: ignore[no-untyped-def]
    row = PAIRS[len(ctx.packet) & 1]  # its second number is 6 or 17
    return WEIGHTS[(row[1] - 6) % 4]


@case.parametrize()
def test_the_result_is_that_of_the_language(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
