"""Indexes of arrays and tables that the compiler proves to be in range, and small programs over them."""

from __future__ import annotations

import enum

import purebpf as bpf
from purebpf import be64, u8, u16, u32, u64
from tests.compiler.results import Function, Table, check

case = Table()
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19)


slots = bpf.Array[u64](max_entries=8)


class Kind(enum.IntEnum):
    A = 1
    B = 2


@bpf.struct
class Numbers:
    big: be64
    n: u32
    items: list[u32] = bpf.array(u32, 8)


hits = bpf.Hash[u32, u64](max_entries=16)


@case(7)
def array_get(ctx):  # type: ignore[no-untyped-def]
    slots[3] = 7
    i = len(ctx.packet)
    if slots.get(i) is not None:
        return 1
    v = slots.get(i & 3 | 3)
    return v if v is not None else 2


@case(7)
def array_test_range(ctx):  # type: ignore[no-untyped-def]
    i = len(ctx.packet) - 61
    slots[3] = 7
    if 0 <= i < 8:
        return slots[i]
    return 0


@case(7)
def array_index_min(ctx):  # type: ignore[no-untyped-def]
    slots[7] = 7
    return slots[min(len(ctx.packet), 7)]


@case(7)
def array_index_mod(ctx):  # type: ignore[no-untyped-def]
    slots[1] = 7
    return slots[(len(ctx.packet) + 1) % 8]


@case(7)
def array_index_shift(ctx):  # type: ignore[no-untyped-def]
    slots[2] = 7
    return slots[u8(len(ctx.packet)) >> 5]


@case(7)
def array_index_in_loop(ctx):  # type: ignore[no-untyped-def]
    for i in range(8):
        slots[i] = i
    s = 0
    for i in range(8):
        if slots[i] == 7:
            s = slots[i]
    return s


@case(7)
def array_index_enum(ctx):  # type: ignore[no-untyped-def]
    slots[Kind.B] = 7
    return slots[Kind.B]


@case(7)
def array_index_ternary(ctx):  # type: ignore[no-untyped-def]
    slots[1] = 7
    return slots[1 if len(ctx.packet) > 3 else 2]


@case(7)
def array_index_bool(ctx):  # type: ignore[no-untyped-def]
    slots[1] = 7
    return slots[len(ctx.packet) > 3]


@case(7)
def index_tested_early_return(ctx):  # type: ignore[no-untyped-def]
    i = len(ctx.packet) // 9
    if i >= 8:
        return 0
    slots[i] = 7
    return slots[7]


@case(7)
def index_tested_not_in(ctx):  # type: ignore[no-untyped-def]
    i = len(ctx.packet) // 9
    if i not in range(8):
        return 0
    slots[i] = 7
    return slots[i]


@case(7)
def index_in_tuple(ctx):  # type: ignore[no-untyped-def]
    i = len(ctx.packet) // 9
    if i in (1, 3, 7):
        slots[7] = 7
        return slots[i]
    return 0


@case(7)
def index_match(ctx):  # type: ignore[no-untyped-def]
    i = len(ctx.packet) // 9
    slots[7] = 7
    match i:
        case 1 | 7:
            return slots[i]
    return 0


@case(7)
def index_while(ctx):  # type: ignore[no-untyped-def]
    i = 0
    while i < 8:
        slots[i] = i
        i += 1
    return slots[7]


@case(7)
def index_down(ctx):  # type: ignore[no-untyped-def]
    slots[0] = 7
    s = 0
    for i in range(7, -1, -1):
        s = slots[i]
    return s


@case(3)
def token_bucket(ctx):  # type: ignore[no-untyped-def]
    last = hits.get(1, 0)
    now = bpf.ktime()
    tokens = hits.get(2, 5)
    elapsed = now - last
    tokens = min(tokens + elapsed // 1000000000, 5)
    if tokens > 0:
        tokens -= 1
        hits[2] = tokens
        hits[1] = now
        return 3
    return 1


@case(2)
def counts_two(ctx):  # type: ignore[no-untyped-def]
    n = hits.get(1)
    if n is None:
        hits[1] = 1
    else:
        hits[1] = n + 1
    n = hits.get(1)
    if n is None:
        hits[1] = 1
    else:
        hits[1] = n + 1
    return hits.get(1, 0)


@case(50)
def moving_average(ctx):  # type: ignore[no-untyped-def]
    slots[0] = 100
    for _ in range(20):
        slots[0] = (slots[0] * 7 + 8 * 50 // 8) // 8
    return u32(slots[0]) if slots[0] < 100 and slots[0] >= 50 else 1


@case(1)
def retry(ctx):  # type: ignore[no-untyped-def]
    for attempt in range(5):
        if hits.set(1, attempt, bpf.BPF_NOEXIST) == 0:
            break
    else:
        return 0
    return attempt + 1


@case(17, bytes(range(64)))
def index_below_a_remainder(ctx):  # type: ignore[no-untyped-def]
    """The verifier knows nothing of a remainder, so nothing of what is less."""
    v = bpf.array(u32, 8)
    v[3] = 17
    i = ctx.packet.at(3, u8)
    if i is not None and i < (len(ctx.packet) + 3) % 7:
        return v[i]
    return 2


@case(9)
def index_below_a_quotient(ctx):  # type: ignore[no-untyped-def]
    v = bpf.array(u32, 8)
    v[0] = 9
    if ctx.rx_queue_index < (len(ctx.packet) + 0x7000_0000) // 1_000_000_000:
        i = ctx.rx_queue_index
        if i < len(ctx.packet) // 1_000_000_000 + 1:
            return v[i]
    return 2


@case(64)
def index_on_the_side_that_is_never_taken(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) % 100_003
    if n % 3 <= n:
        return n
    return PRIMES[n % 8]


@case(7)
def remainder_that_is_not_zero(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) % 5
    if n != 0:
        return PRIMES[n - 1]
    return PRIMES[n]


@case(11)
def remainder_that_is_not_the_last(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) % 5
    if n != 4:
        return slots.get(n, 3)
    return PRIMES[n]


@case(5)
def remainder_that_two_tests_left(ctx):  # type: ignore[no-untyped-def]
    w = bpf.array(u32, 7)
    w[2] = 5
    n = (len(ctx.packet) + 1) % 7
    if n:
        if n == 1:
            return 3
        return w[n]
    return w[n]


@case(3)
def an_index_from_zero_shifted_by_anything(ctx):  # type: ignore[no-untyped-def]
    head = ctx.packet.at(0, Numbers)
    if head is None:
        return 1
    zero: u16 = head.big - head.big
    shifted: u8 = zero >> head.n
    head.items[shifted * head.n % 8] = 3
    return head.items[0]


@case(9)
def division_by_what_turns_out_to_be_zero(ctx):  # type: ignore[no-untyped-def]
    head = ctx.packet.at(0, Numbers)
    if head is None:
        return 1
    head.big = 1 < 1 % 1
    head.items[1] = head.n // head.big
    head.items[2] = head.n | 8
    return head.items[1] + (head.items[2] % head.big & 0) + 9


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
