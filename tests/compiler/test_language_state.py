"""What is known of values and places across branches, loops and calls."""

from __future__ import annotations

import purebpf as bpf
from purebpf import s8, s16, s32, s64, u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import Function, Table, check

case = Table()


@bpf.struct
class Pair:
    x: u16 = 0
    y: u16 = 0


@bpf.struct
class Record:
    a: Pair = Pair()
    b: Pair = Pair()
    ps: list[Pair] = bpf.array(Pair, 3)
    items: list[u32] = bpf.array(u32, 4)
    grid: list[bytes] = bpf.array(bpf.bytes(4), 3)
    n: u32 = 0
    s: s16 = 0
    small: u8 = 0
    total: u64 = 0
    signed: s64 = 0
    flag: bool = False


records = bpf.Array[Record](max_entries=3)


entries = bpf.Hash[u32, Record](max_entries=8)


def search(k, n):
    for a in range(5):
        for b in range(5):
            if a * b == k:
                if a > 0:
                    return a * 10 + b
                continue
            if a + b > n:
                break
        else:
            if k == 3 and a == 3:
                return 55
    return 0


hits = bpf.Hash[u32, u64](max_entries=16)


s64s = bpf.Hash[u32, s64](max_entries=16)


h32 = bpf.Hash[u32, u32](max_entries=16)


def change_first():
    records[0].n = 3


def inner_set(p, v):
    p.x = v


def outer_set(r, v):
    inner_set(r.ps[1], v * 5)


def rebind(p):
    p = Pair(x=9)
    p.x = 10


def maybe_n(r):
    if r is None:
        entries[2] = Record(n=2)
        return 1
    return r.n


def opt(r: Record | None) -> int:
    return 1 if r is None else 2


@case(5)
def ref_either_field(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    n = len(ctx.packet)
    p = r.a if n > 100 else r.b
    p.x = 5
    return r.b.x + r.a.x


@case(5)
def ref_either_if(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    n = len(ctx.packet)
    if n > 100:
        p = r.a
        p.x = 1
    else:
        p = r.ps[1]
    p.y = 5
    return r.ps[1].y


@case(15)
def ref_either_entry(ctx):  # type: ignore[no-untyped-def]
    a = records[0]
    b = records[1]
    r = a if len(ctx.packet) > 3 else b
    r.n += 5
    return records[0].n * 3 + records[1].n


@case(7)
def ref_either_map_or_stack(ctx):  # type: ignore[no-untyped-def]
    a = records[0]
    b = Record(n=7)
    n = b.n if len(ctx.packet) > 3 else a.n
    return n


@case(33)
def ref_array_elem_in_loop_carry(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    last = r.ps[0]
    for i in range(3):
        last = r.ps[i]
        last.x = i * 10 + 3
    last.y = 10
    return r.ps[2].y + last.x


@case(4)
def linked_lookups(ctx):  # type: ignore[no-untyped-def]
    for i in range(5):
        entries[i] = Record(n=i + 1)
    r = entries.get(0)
    steps = 0
    for _ in range(4):
        if r is None:
            break
        steps += 1
        r = entries.get(r.n)
    return steps


@case(9)
def tuple_of_refs(ctx):  # type: ignore[no-untyped-def]
    t2 = (records[0], records[1])
    t2[0].n = 4
    a, b = t2
    b.n = 5
    a.n += 0
    return records[0].n + records[1].n


@case(46)
def return_inside_loops_inlined(ctx):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(4):
        total += search(i, len(ctx.packet))
    return total


@case(int(sum(range(30))))
def many_live(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    a0 = n & 0
    a1 = n - 63
    a2 = n - 62
    a3 = n - 61
    a4 = n - 60
    a5 = n - 59
    a6 = n - 58
    a7 = n - 57
    a8 = n - 56
    a9 = n - 55
    b0 = n - 54
    b1 = n - 53
    b2 = n - 52
    b3 = n - 51
    b4 = n - 50
    b5 = n - 49
    b6 = n - 48
    b7 = n - 47
    b8 = n - 46
    b9 = n - 45
    hits[1] = n
    c0 = n - 44
    c1 = n - 43
    c2 = n - 42
    c3 = n - 41
    c4 = n - 40
    c5 = n - 39
    c6 = n - 38
    c7 = n - 37
    c8 = n - 36
    c9 = n - 35
    hits[2] = n
    return (
        a0
        + a1
        + a2
        + a3
        + a4
        + a5
        + a6
        + a7
        + a8
        + a9
        + b0
        + b1
        + b2
        + b3
        + b4
        + b5
        + b6
        + b7
        + b8
        + b9
        + c0
        + c1
        + c2
        + c3
        + c4
        + c5
        + c6
        + c7
        + c8
        + c9
    )


@case(1)
def big_constants(ctx):  # type: ignore[no-untyped-def]
    n = u64(len(ctx.packet)) << 57
    a = n == 0x8000000000000000
    b = n > 0x7FFFFFFFFFFFFFFF
    c = n != 0xFFFFFFFFFFFFFFFF
    d = (n | 0x123456789ABCDEF) & 0xFFFFFFFFFFFF0000 == 0x80123456789AB0000 >> 4 or True
    return a and b and c and d


@case(1)
def s64_edges(ctx):  # type: ignore[no-untyped-def]
    m = s64(-0x8000000000000000)
    m = s64s.get(1, m)
    a = m // 2 == -(1 << 62)
    b = m % 10 == 2
    c = m >> 63 == -1
    d = m < -0x7FFFFFFFFFFFFFFF
    e = m // -3 == 3074457345618258602
    f = m % -10 == -8
    return a and b and c and d and e and f


@case(1)
def abs_edges(ctx):  # type: ignore[no-untyped-def]
    m = s32(len(ctx.packet) << 25)
    return abs(m) == 0x80000000 and -m == 0x80000000 and m == -0x80000000


@case(1)
def wide_compare(ctx):  # type: ignore[no-untyped-def]
    a = s32(-5)
    a = s32(len(ctx.packet) - 69)
    b: u32 = 0xFFFFFFFB
    b = h32.get(1, b)
    return a < b and a != b and not a >= b


@case(1)
def i32_ops_high_bits(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    a: u32 = n - 65
    b: u64 = a
    c: s64 = s32(a)
    return b == 0xFFFFFFFF and c == -1 and a + 1 == 0x100000000 and u32(a + 1) == 0


@case(1)
def u8_signed_casts(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) + 136
    return (
        s8(n) == -56 and u8(s8(n)) == 200 and s16(s8(n)) == -56 and u16(s8(n)) == 65480 and u64(s8(n)) == 18446744073709551560
    )


@case(6)
def packet_write_in_branches(ctx):  # type: ignore[no-untyped-def]
    e = ctx.packet.at(0, Ethernet)
    if e is None:
        return 0
    if e.proto == 0:
        e.proto = 4
    if e.proto == 4:
        e.proto += 2
    return e.proto


@case(3)
def map_field_changed_by_call(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.n = 1
    if r.n == 1:
        change_first()
    return r.n


@case(3)
def map_field_changed_by_helper(ctx):  # type: ignore[no-untyped-def]
    entries[1] = Record(n=1)
    r = entries.get(1)
    if r is None:
        return 0
    x = r.n
    entries[1] = Record(n=2)
    s2 = entries.get(1)
    return x + (s2.n if s2 is not None else 0)


@case(8)
def store_text_loop(ctx):  # type: ignore[no-untyped-def]
    c = bpf.chars(16)
    for i in range(8):
        c[i] = 65 + i
    n = 0
    for i in range(16):
        if c[i]:
            n += 1
    return n if c == "ABCDEFGH" else 0


@case(4)
def chars_index_compare(ctx):  # type: ignore[no-untyped-def]
    c = bpf.current.comm
    n = 0
    for i in range(16):
        if c[i] == 0:
            break
        n += 1
    return 4 if n > 0 else 0


@case(2)
def continue_in_for_else(ctx):  # type: ignore[no-untyped-def]
    for i in range(3):
        if i == 1:
            continue
        if i == 2:
            break
    else:
        return 0
    return i


@case(3)
def deep_if(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    if n > 1:
        if n > 2:
            if n > 100:
                return 1
            if n > 60:
                return 3
        return 4
    return 5


@case(53)
def const_loop_unrolls(ctx):  # type: ignore[no-untyped-def]
    s = 0
    for a in (1, 2, 3, 4):
        for b in (5, 6):
            if a == b - 2:
                continue
            s += a
        else:
            s += 10
    return s


@case(255)
def u8_counter_loop(ctx):  # type: ignore[no-untyped-def]
    i: u8 = 0
    c = 0
    while i < 255:
        i += 1
        c += 1
    return c


@case(11)
def record_in_record_ctor(ctx):  # type: ignore[no-untyped-def]
    p = Pair(x=3, y=4)
    r = Record(a=p, b=Pair(x=1, y=3))
    p.x = 100
    return r.a.x + r.a.y + r.b.x + r.b.y


@case(6)
def record_array_tuple_ctor(ctx):  # type: ignore[no-untyped-def]
    r = Record(items=(1, 2, 3, 0))
    return r.items[0] + r.items[1] + r.items[2]


@case(1)
def record_eq_by_fields(ctx):  # type: ignore[no-untyped-def]
    a = Pair(x=1, y=len(ctx.packet))
    b = Pair(x=1, y=64)
    return a.x == b.x and a.y == b.y


@case(20)
def nested_inline_refs(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    outer_set(r, 4)
    return r.ps[1].x


@case(4)
def ref_param_rebound(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.a.x = 4
    rebind(r.a)
    return r.a.x


@case(3)
def maybe_ref_param(ctx):  # type: ignore[no-untyped-def]
    return maybe_n(entries.get(1)) + maybe_n(entries.get(2))


@case(1)
def optional_param_annot(ctx):  # type: ignore[no-untyped-def]
    return opt(entries.get(1))


@case(1)
def walrus_cond_and(ctx):  # type: ignore[no-untyped-def]
    if (r := entries.get(1)) is not None and r.n > 2:
        return 0
    if (r := entries.get(1)) is None:
        return 1
    return r.n


@case(2)
def not_none_via_bool(ctx):  # type: ignore[no-untyped-def]
    entries[1] = Record(n=2)
    r = entries.get(1)
    ok = r is not None
    if ok and r is not None:
        return r.n
    return 0


@case(2)
def or_none_return(ctx):  # type: ignore[no-untyped-def]
    entries[1] = Record(n=2)
    a = entries.get(1)
    b = entries.get(1)
    if not a or not b:
        return 0
    return a.n * b.n // 2


@case(5)
def while_ref(ctx):  # type: ignore[no-untyped-def]
    entries[1] = Record(n=2)
    entries[2] = Record(n=3)
    r = entries.get(1)
    last = 0
    while r is not None:
        last += r.n
        r = entries.get(r.n)
    return last


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
