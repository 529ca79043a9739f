# mypy: disable-error-code="no-untyped-def"
"""Builtins and methods of integers give what Python's give."""

from __future__ import annotations

import enum

from purebpf import s8, s64
from tests.compiler.against_python import Function, Functions, check

case = Functions()


class Size(enum.IntEnum):
    SMALL = 20
    MIDDLE = 64
    LARGE = 256


@case
def bit_lengths(n):
    small = (n % 256).bit_length() + (n % 2).bit_length() * 10 + (n - n).bit_length()
    wide = (n << 30).bit_length() * 100 + (n * 0x0023_4567_89AB_CDEF).bit_length() * 10_000
    signed = (n - 60).bit_length() * 1_000_000 + (-n << 50).bit_length() * 100_000_000 + (-n).bit_length() + (~n).bit_length()
    return small + wide + signed + (n == 64).bit_length() + (1 << 63).bit_length()


@case
def bit_counts(n):
    small = (n % 256).bit_count() + (n % 2).bit_count() * 10 + (n - n).bit_count()
    wide = (n << 30).bit_count() * 100 + (n * 0x0023_4567_89AB_CDEF).bit_count() * 10_000
    signed = (n - 60).bit_count() * 1_000_000 + (-n << 50).bit_count() * 100_000_000 + (-n).bit_count() + (~n).bit_count()
    return small + wide + signed + (n > 64).bit_count()


@case
def quotients_with_remainders(n):
    q, r = divmod(n, 7)
    a, b = divmod(-n, 7)
    c, d = divmod(n, -13)
    e, f = divmod(1000, n)
    g, h = divmod(100, 7)
    return q + 10 * r + 100 * a + 1000 * b + 10_000 * c + 100_000 * d + e * 7 + f * 11 + g * h


@case
def powers(n):
    small = n % 10
    return pow(small, 3) + pow(2, 10) * small + pow(-small, 3) + pow(3, 4, 5) + pow(small, 0) + small**2


@case
def absolute_values(n):
    far: s64 = -n << 52
    return abs(n - 100) + abs(far) // (1 << 50) + abs(-7) + abs(100 - n) * 1000


@case
def truth(n):
    return bool(n % 2) + 2 * bool(n - 64) + 4 * bool(n > 99) + 8 * bool("a") + 16 * bool(0) + 32 * bool(())


@case
def least_and_greatest_of_several(n):
    return min(n, 100, n // 2) + 10 * max(n, 64, n - 5) + 100 * min(-n, n - 300) + max(3, 2) + min(True, n > 64)


@case
def tuples_compared(n):
    a = (n, 3) < (64, 4)
    b = (n, 3) >= (64, 4, 5)
    c = (n, n, 1) > (64, 100)
    d = (n, 1) <= (64, 1)
    e = (n, (n, 2)) < (64, (64, 3))
    f = (n % 3, n % 5) == (1, 4)
    g = (n, 1) != (64, 1)
    h = (1, n) > (1,)
    return a + 2 * b + 4 * c + 8 * d + 16 * e + 32 * f + 64 * g + 128 * h + 256 * ((1, n) < (2,))


@case
def membership(n):
    a = n in (14, 64, 300) or n not in (n, 1)
    b = n % 256 in b"@d" and n not in range(0, 70, 3)
    c = "b" in "abc" and "d" not in "abc"
    return a + 2 * b + 4 * c + 8 * (n in range(10, 200, 5))


@case
def tuples_cut_and_joined(n):
    a, *b, c = (1, 2, 3, n)
    *d, e = b
    t = (1, 2) * 2 + (n,)
    t += (n + 1, 7)
    first, *rest = t[1:]
    low, (middle, high) = n, (n * 2, n * 3)
    return a + sum(b) * 10 + c + e * 1000 + len(d) + sum(t[::-2]) + first + rest[-2] + low + middle - high + len(t[:-1])


def weighted(a, b, c=5):
    return a * 100 + b * 10 + c


@case
def starred_arguments(n):
    pair = (n, 3)
    return weighted(*pair) + weighted(*(1, 2, n)) + weighted(n, *(4,), c=1) + max(*pair, 50)


@case
def totals_of_signed_numbers_that_are_not_negative(n):
    small: s8 = n & 127
    total = 0
    for i in range(n & 7):
        total += (small * i - 9) & 15
    return total


@case
def truth_by_identity(n):
    big = n > 64
    return (big is True) + 2 * (big is not False) + 4 * ((n == 14) is False)


@case
def enums(n):
    total = 0
    for size in Size:
        if n > size:
            total += size
    return total + Size(64) + Size["SMALL"] * 2 + len(Size.LARGE.name) + len(Size)


@case.parametrize()
def test_builtins_give_what_python_gives(engine: str, function: Function) -> None:
    check(engine, function)
