"""Plain functions mean in the kernel what they mean in Python: each is called by both, with the same numbers."""

from __future__ import annotations

import enum
import socket

import pytest

from purebpf import s8, s16, s32, s64, u8, u16, u32, u64
from tests.compiler.against_python import ENGINES, SIZES, Function, Functions, check, results

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19)
PAIRS = ((1, 10), (2, 20), (3, 30))
MASKS = {"low": 0x0F, "high": 0xF0}
OFFSET = -5
ENABLED = True
DISABLED = False


class Level(enum.IntEnum):
    LOW = 16
    MIDDLE = 64
    HIGH = 256


class Flag(enum.IntFlag):
    A = 1
    B = 2
    C = 4


class Limits:
    small = 20

    class Large:
        value = 200


case = Functions()


# -- early returns and branches


@case
def early_returns(n):
    if n < 16:
        return 1
    if n < 64:
        if n % 2:
            return 2
        return 3
    elif n == 64:
        return 4
    else:
        if n > 255:
            return 5
    return 6


@case
def nested_conditions(n):
    result = 0
    if n > 15 and (n < 60 or n == 64) and not n % 17:
        result += 1
    if not (n > 15 and n < 60) or n == 20:
        result += 2
    if n and not n - 64:
        result += 4
    if (n > 100) == (n > 200):
        result += 8
    if (n > 100) != (n % 2 == 0):
        result += 16
    return result


@case
def chained_comparisons(n):
    return (14 < n <= 64) + 2 * (1 < 2 < n < 1000) + 4 * (n > 15 < 20 != n) + 8 * (n == n == 64) + 16 * (0 <= n >= 64 > 3)


@case
def conditional_expressions(n):
    kind = "big" if ENABLED else "small"
    value = 1 if n < 16 else 2 if n < 64 else 3 if n < 255 else 4
    return (value if kind == "big" else 0) * (10 if n & 1 else 100)


@case
def operands_of_and_and_or(n):
    a = n and n - 64 and n - 14
    b = (n - 64) or (n - 14) or 77
    c = (n > 100 and 5) or 6
    d = not n - 15 or n == 20
    return a * 1_000_000 + b * 1000 + c * 10 + d


@case
def walrus(n):
    total = 0
    if (half := n // 2) > 20:
        total += half
    if n > 100 and (rest := n % 7) > 3:
        total += rest * 100
    return total * 1000 + half + (double := half * 2) + double


# -- loops


@case
def for_else(n):
    for i in range(2, 16):
        if n % i == 0 and n != i:
            found = i
            break
    else:
        found = 99
    return found * 100 + i


@case
def while_else(n):
    tries = 0
    while tries < 10:
        tries += 1
        if (n + tries) % 7 == 0:
            result = tries
            break
    else:
        result = 50
    return result


@case
def else_with_continue(n):
    total = 0
    for i in range(6):
        if i % 2:
            continue
        total += i * n
    else:
        total += 1
    while total > 100:
        total -= 97
        if total % 2:
            continue
        total -= 3
    else:
        total += 7
    return total


@case
def nested_loops_and_breaks(n):
    count = 0
    for a in range(1, 8):
        for b in range(a, 8):
            if a * b > n:
                break
            if (a + b) % 3 == 0:
                continue
            count += a * b
        else:
            count += 1000
            continue
        count += 100_000
        if a == 6:
            break
    return count


@case
def ranges_in_both_directions(n):
    total: s64 = 0
    for i in range(10, 0, -3):
        total = total * 11 + i
    for i in range(-3, 3):
        total += i * i
    for i in range(5, 5):
        total += 1000 + i
    for i in range(3, 1):
        total += 2000 + i
    for i in range(0, -4, -1):
        total -= i
    return total + i + n


@case
def the_variable_after_a_loop(n):
    i = 5
    for i in range(3):
        i *= 10
    j = 7
    for j in range(n % 4):  # noqa: B007
        pass
    return i * 100 + j


@case
def changing_the_variable_of_a_loop(n):
    total = 0
    for i in range(6):
        i += n % 3
        if i > 4:
            i = 0
        total = total * 3 + i
    return total


@case
def loops_over_tuples(n):
    total = 0
    for prime in PRIMES:
        if n % prime == 0:
            total += prime
    for a, b in PAIRS:
        total += a * b * n
    for i, (a, b) in ((1, (2, 3)), (4, (5, 6))):
        total += i * a * b
    for name, mask in (("low", 15), ("high", 240)):
        if name == "high":
            total += n & mask
    for value in (n, n + 1, 2):
        total += value
    return total


@case
def greatest_common_divisor(n):
    a, b = n, 1260
    while b:
        a, b = b, a % b
    return a


@case
def integer_square_root(n):
    x: u32 = n
    while x * x > n:
        x = (x + n // x) // 2
    return x


@case
def is_prime(n):
    i = 2
    while i * i <= n:
        if n % i == 0:
            return False
        i += 1
    return n > 1


@case
def bits_one_by_one(n):
    count = 0
    place = 0
    rest = n
    while rest:
        if rest & 1:
            count += 1 << place
        rest >>= 1
        place += 1
    return (count == n) * 100 + place + n.bit_count()


@case
def endless_loop_with_break(n):
    steps: u32 = 0
    while True:
        n -= 3
        steps += 1
        if n < 3:
            break
    return steps * 10 + n


@case
def a_range_of_the_argument(n):
    total = 0
    for i in range(n % 9):
        total += i
    for i in range(n % 5, n % 9):
        total += 10 * i
    for i in range(n % 9, 0, -2):
        total += 100 * i
    return total


@case
def collatz(n):
    steps = 0
    while n != 1 and steps < 200:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@case
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n % 60):
        a, b = b, a + b
    return a


@case
def walrus_in_the_condition_of_a_loop(n):
    total: s64 = 0
    if (half := n // 2) > 20:
        total += half
    while (half := half - 7) > 0:
        total += half % 5
    return total * 100 + half + (double := half * 2) + double


# -- match


@case
def match_of_constants(n):
    match n:
        case 14 | 15:
            return 1
        case 16:
            return 2
        case Level.MIDDLE | Level.HIGH:
            return 3
        case Limits.small:
            return 4
        case -1 | 0:
            return 5
        case x if x > 200:
            return x
        case _ if n % 2:
            return 6
    return 7


@case
def match_of_tuples(n):
    match (n % 2, n // 64):
        case (0, 0):
            return 1
        case (1, 0 | 1) if n > 20:
            return 2
        case (0, 1 | 2 as q):
            return 10 * q
        case (r, 4):
            return 100 + r
        case (_, _):
            return 3


@case
def match_with_capture_and_nesting(n):
    match ((n % 3, n % 5), n > 60):
        case ((0, x), True):
            return x
        case ((a, b) as whole, False) if a == b and whole == (b, a):
            return 10 + a
        case (_, big):
            return 20 + big


# -- functions


def clamp(x, low, high=100):
    if x < low:
        return low
    return high if x > high else x


def scaled(x, *, by=3, offset=OFFSET):
    return x * by + offset


def both(x):
    return x // 7, x % 7


def adds(x):
    return inner(x) + inner(x + 1)


def inner(x):
    y = x * 2
    return y + 1


def find(n):
    for i in range(2, 40):
        if n % i == 0:
            return i
    return None


def first_of(a, b):
    return a if a is not None else b


@case
def calls_with_defaults_and_keywords(n):
    return clamp(n, 20) + clamp(high=50, x=n, low=30) * 1000 + scaled(n) + scaled(n, by=2) + scaled(offset=n, x=3, by=-1)


@case
def functions_that_return_pairs(n):
    quotient, rest = both(n)
    pair = both(n + 3)
    return quotient * 1000 + rest * 100 + pair[0] * 10 + pair[1]


@case
def functions_that_call_functions(n):
    y = 3
    return adds(n) * 10 + y + inner(inner(inner(n % 10)))


@case
def a_function_that_may_give_none(n):
    divisor = find(n)
    if divisor is None:
        return -1
    other = find(n + 1)
    return divisor * 100 + (other if other else 0) + first_of(find(n), 5)


def make(factor):
    def times(x):
        return x * factor

    return times


triple = make(3)
minus = make(-2)


@case
def closures(n):
    return triple(n) + minus(n) * 1000 + triple(minus(n))


def power(x, n):
    result: s64 = 1
    for _ in range(n):
        result *= x
    return result


@case
def a_function_called_with_constants(n):
    return power(2, 10) + power(n % 10, 3) + power(-3, 3)


# -- constants


@case
def outside_names(n):
    total = n + OFFSET + PRIMES[3] + PRIMES[-1] + len(PRIMES) + PAIRS[1][1] + Limits.small + Limits.Large.value
    total += Level.HIGH + int(Level.LOW) + Level.LOW.value + MASKS["high"] + socket.AF_INET
    if DISABLED:
        total += 1_000_000
    return total + max(PRIMES) + min(PRIMES) + sum(PRIMES) + len("four") + ord("a")


@case
def flags(n):
    both_of = Flag.A | Flag.C
    return (n & both_of) * 10 + (n & Flag.B == Flag.B) + (Flag.A in (1, 2)) * 100


@case
def tables(n):
    return PRIMES[n % 8] * 100 + PRIMES[n & 7] + (-1, 300, -70000)[n % 3] + (True, False)[n % 2]


@case
def constants_beyond_64_bits_in_between(n):
    return (1 << 100) // (1 << 90) + n + ((1 << 70) % 1000) - (10**30 % 7)


# -- integers


@case
def division_of_negatives(n):
    a = n - 100
    return a // 7 + 1000 * (a % 7) + 100_000 * (a // -7) + 10_000_000 * (a % -7) + a // 8 + a % 8 + (a % 10) * 3


@case
def signs_and_shifts(n):
    a = n - 100
    return (a >> 2) + (a << 3) * 1000 + (~a) + -a + (a ^ 15) * 7 + (a & 0xFF) + (a | 1) + abs(a) * 100


@case
def bools_are_integers(n):
    yes = n > 50
    return yes + (yes + yes) * 10 + (not yes) * 100 + (yes & (n > 100)) * 1000 + (yes ^ True) * 10_000 + -yes + yes * n


@case
def extremes(n):
    return min(n, 60) + max(n, 60, 100) * 10 + min(n - 100, -3, 5) + abs(n - 90) + max((n, 3, 4)) + min((7, n % 10))


@case
def memberships(n):
    result = 0
    if n in (14, 16, 64):
        result += 1
    if n not in (15, n % 20, 17):
        result += 2
    if n in range(15, 65):
        result += 4
    if n in range(14, 180, 3):
        result += 8
    if n in PRIMES or n in (Level.LOW, Level.HIGH):
        result += 16
    if 5 in PRIMES and 6 not in PRIMES:
        result += 32
    if (n, 1) == (64, 1) or (n % 2, n % 3) in ((0, 0), (1, 1)):
        result += 64
    return result


@case
def swaps_and_chained_assignment(n):
    a = b = c = n
    a, b, c = b + 1, c + 2, a + 3
    (a, b), c = (b, a), c * 2
    a += b
    b -= c
    c *= 3
    a <<= 2
    b //= 5
    c %= 100
    a ^= 0x55
    a |= 1
    c &= 0x3F
    a >>= 1
    return a * 10_000 + b * 100 + c


@case
def names_that_are_deleted_and_set_again(n):
    x = n
    del x
    x = n * 2
    return x


@case
def powers(n):
    return n**2 + n**0 + 2**10 + (n % 10) ** 3


def narrow(n):
    """Annotated variables keep the low bits; CPython's do not, so this has its own model."""
    a: u8 = n * 3
    b: s8 = n * 3
    c: u16 = n * 1000
    d: s16 = n * 1000
    e: u32 = n << 28
    f: s32 = n << 28
    g: u64 = n * -1
    h: bool = n & 16
    return (a + b + c + d) * 10 + (e >> 20) + (f >> 20) + (g & 0xFFFF) + h + u8(n) + s8(n) + u16(n - 300)


def narrow_model(n: int) -> int:
    def low(value: int, bits: int, signed: bool = False) -> int:
        value &= (1 << bits) - 1
        return value - (1 << bits) if signed and value >> (bits - 1) else value

    a, b, c, d = low(n * 3, 8), low(n * 3, 8, True), low(n * 1000, 16), low(n * 1000, 16, True)
    e, f = low(n << 28, 32), low(n << 28, 32, True)
    casts = low(n, 8) + low(n, 8, True) + low(n - 300, 16)
    return (a + b + c + d) * 10 + (e >> 20) + (f >> 20) + (-n & 0xFFFF) + bool(n & 16) + casts


@case.parametrize()
def test_a_function_gives_what_python_gives(engine: str, function: Function) -> None:
    check(engine, function)


@pytest.mark.parametrize("engine", ENGINES)
def test_annotations_narrow(engine: str) -> None:
    assert results(engine, narrow) == [narrow_model(size) for size in SIZES]
