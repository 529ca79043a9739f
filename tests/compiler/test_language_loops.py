"""Loops whose end the verifier cannot see by itself: over packets, over numbers known at run time, in each other."""

from __future__ import annotations

import purebpf as bpf
from purebpf import be16, s64, u8, u16, u32, u64
from tests.compiler.results import Function, Table, check

case = Table()

PACKET = bytes((i * 7 + 3) & 255 for i in range(100))
LINES = b"GET /index.html HTTP/1.1\r\nHost: example.org\r\nX: y\r\n\r\n" + bytes(20)

hits = bpf.Hash[u32, u64](max_entries=16)
slots = bpf.Array[u64](max_entries=8)


def checksum(data: bytes) -> int:
    total = sum(data[i] << 8 | data[i + 1] for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@case
def a_range_without_trips(n):
    total = n
    for i in range(3, 3):
        match i % 8:
            case 1 | 2:
                total += 1
    for j in range(5, 2):
        total += j // 2
    return total


@case(sum(PACKET) & 0xFFFF, PACKET)
def sum_of_the_bytes(ctx):  # type: ignore[no-untyped-def]
    total: u16 = 0
    for i in range(len(ctx.packet)):
        byte = ctx.packet.at(i, u8)
        if byte is None:
            break
        total += byte
    return total


@case(checksum(PACKET), PACKET)
def checksum_of_the_packet(ctx):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(0, len(ctx.packet), 2):
        word = ctx.packet.at(i, be16)
        if word is None:
            break
        total += word
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@case(PACKET.index(80), PACKET)
def the_first_of_some_byte(ctx):  # type: ignore[no-untyped-def]
    for i in range(len(ctx.packet)):
        byte = ctx.packet.at(i, u8)
        if byte is not None and byte == 80:
            return i
    return 999


@case(LINES.rindex(b"\n") * 256 + LINES.count(b"\n"), LINES)
def lines_of_a_text(ctx):  # type: ignore[no-untyped-def]
    count = 0
    last = 0
    for i in range(len(ctx.packet)):
        byte = ctx.packet.at(i, u8)
        if byte is None:
            break
        if byte == ord("\n"):
            count += 1
            last = i
    return last * 256 + count


@case(100_000)
def many_trips_with_a_branch(ctx):  # type: ignore[no-untyped-def]
    total: u32 = 0
    for i in range(100_000):
        if i & len(ctx.packet):
            total += 1
        else:
            total = total + 1
    return total


@case(0)
def loops_that_do_not_run(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) - 64
    count: s64 = 0
    for i in range(n):
        count += i + 1
    for i in range(5, n):
        count += i
    for i in range(n, -3):
        count += i
    while n > 0:
        count += 1
    return count


@case(sum(i for i in range(64 % 60)) + sum(range(64 % 5, 64 % 9)) + 100 * sum(range(64 % 9, 0, -2)))
def bounds_by_a_remainder(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    total: s64 = 0
    for i in range(n % 60):
        total += i
    for i in range(n % 5, n % 9):
        total += i
    for i in range(n % 9, 0, -2):
        total += 100 * i
    return total


@case(sum(1 for i in range(64) for j in range(64 - i) if (i + j) % 3 == 0))
def loops_in_each_other(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    count = 0
    for i in range(n):
        for j in range(n - i):
            if (i + j) % 3 == 0:
                count += 1
    return count


@case(64 * 2)
def a_loop_that_writes_maps(ctx):  # type: ignore[no-untyped-def]
    for i in range(len(ctx.packet)):
        hits[i & 7] += 1
        slots[i & 7] += 1
    total = 0
    for i in range(8):
        total += hits.get(i, 0) + slots[i]
    return total


@case(5)
def a_search_with_an_early_end(ctx):  # type: ignore[no-untyped-def]
    for i in range(8):
        hits[i] = i * i
    for i in range(len(ctx.packet)):
        value = hits.get(i)
        if value is None:
            return 99
        if value == 25:
            break
    else:
        return 98
    return i


def number_of_steps(n: u32) -> u32:
    """Collatz: large enough for a subprogram when it is called twice."""
    steps: u32 = 0
    while n > 1 and steps < 500:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
        if n % 7 == 3:
            hits[n & 7] += 1
        elif n % 11 == 5:
            hits[8] += steps
        if steps % 64 == 63:
            slots[steps & 7] += n
    return steps


def collatz(n: int) -> int:
    steps = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@case(collatz(64) + collatz(27) * 1000)
def loops_in_subprograms(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    return number_of_steps(n) + number_of_steps(n - 37) * 1000


@case(64)
def a_loop_without_a_counter(ctx):  # type: ignore[no-untyped-def]
    x: u32 = len(ctx.packet)
    n = 0
    while n < len(ctx.packet):
        x = x * 1103515245 + 12345
        n += 1 if x % 2 else 2
    return n & 0xFE


@case(sum(1 + PACKET[i] for i in range(0, 100, 10)), PACKET)
def every_tenth_byte(ctx):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(0, len(ctx.packet), 10):
        byte = ctx.packet.at(i, u8)
        if byte is not None:
            total += 1 + byte
    return total


@case(max(PACKET) * 1000 + min(PACKET), PACKET)
def largest_and_smallest_byte(ctx):  # type: ignore[no-untyped-def]
    low = 255
    high = 0
    for i in range(len(ctx.packet)):
        byte = ctx.packet.at(i, u8)
        if byte is None:
            break
        low = min(low, byte)
        high = max(high, byte)
    return high * 1000 + low


@case(64 * 2)
def ends_that_the_verifier_cannot_see(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    total = 0
    for i in range(n % 5, n % 9):
        total += i
    for i in range(n % 9, 0, -2):
        total += i
    return n * 2 + total - 1


@case(64)
def checks_that_fail_and_go_on(ctx):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(300):
        if ctx.packet.at(i, u8) is not None:
            count += 1
    return count


@case(9)
def ten_values_in_rotation(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    a, b, c, d, e, f, g, h, i, j = n - 64, n - 63, n - 62, n - 61, n - 60, n - 59, n - 58, n - 57, n - 56, n - 55
    for _ in range(9):
        a, b, c, d, e, f, g, h, i, j = b, c, d, e, f, g, h, i, j, a
    return a


@case(3)
def a_loop_in_code_that_never_runs(ctx):  # type: ignore[no-untyped-def]
    n = 3
    while 0:
        n += 1
    if 0:
        n = number_of_steps(len(ctx.packet))
    return n


@case(6)
def down_from_a_capture(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    match n % 5:
        case 0:
            n += 7
        case 1 | 2:
            pass
        case g if n > 1:
            for i in range((g >> 8) & 7, -3, -1):
                n = u8(n * g) and abs(i)
    return n + 6


@case(0)
def far_down_from_a_small_number(ctx):  # type: ignore[no-untyped-def]
    slots[0] = 7
    for i in range(slots[0] // 3 & 7, -9223372036854775808, -1):
        slots[1] = slots[0] // 2
        if i < -3:
            break
    return slots[1] - 3


@case(21)
def down_by_odd_steps(ctx):  # type: ignore[no-untyped-def]
    total = (len(ctx.packet) * 37 & 1023) | 1
    while total > 100:
        total -= 97
        if total % 2:
            continue
        total -= 3
    return total


@case(20)
def counted_and_something_else(ctx):  # type: ignore[no-untyped-def]
    n, i = len(ctx.packet), 0
    while n > 1 and i < 20:
        i += 1
        if n == 5:
            continue
        n -= n // 3
    return i


@case(66034)
def counters_that_start_over(ctx):  # type: ignore[no-untyped-def]
    n: u8 = 0
    while n < 250:
        n += 9
    m: u16 = 0
    while m < 65530:
        m += 9
    k = 0
    while k <= 250:
        k += 1
    return n + m + k


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
