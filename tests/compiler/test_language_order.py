"""Calls and the order of things: evaluation, laziness, closures, maps and functions as arguments, subprograms."""

from __future__ import annotations

import enum

import purebpf as bpf
from purebpf import be16, s32, s64, u8, u16, u32, u64
from purebpf.net import Ethernet, IPv4
from tests.compiler.results import Function, Table, check

case = Table()


hits = bpf.Hash[u32, u64](max_entries=16)


def bump():
    hits[9] += 1
    return hits.get(9, 0) + 1


slots = bpf.Array[u64](max_entries=8)


def trace(d):
    slots[0] = slots[0] * 10 + d
    return d


out = bpf.Array[s64](max_entries=16)


def first_of_three(a, b, c):
    return a


@bpf.struct
class Pad:
    a: u8 = 0
    b: u64 = 0
    c: u16 = 0


other = bpf.Hash[u32, u64](max_entries=16)


def bumpmap(m, k, by=1):
    m[k] += by
    return m.get(k, 0)


def apply(f, x):
    return f(x)


def double(x):
    return 2 * x


def read(ctx, layout, at):
    return ctx.packet.at(at, layout)


def header(ctx):
    e = ctx.packet.at(0, Ethernet)
    if e is None:
        return None
    if e.proto != 0x800:
        return None
    return ctx.packet.at(14, IPv4)


def difference(a, b, c, d, e, f, g):
    return g - a


def reassigned(n):
    n = n & 7
    n += 5
    return n


def firstover(n):
    for i in range(20):
        for j in range(3):
            if i > n and j == 1:
                return i
    return 0


def firstover2(n):
    for i in range(20):
        if i >= n:
            return i
    return 100


def large(ctx, a: u32, b: s32, c: bool) -> s64:
    e = ctx.packet.at(a, u8)
    if e is None:
        return -1
    t: s64 = e
    for i in range(5):
        t += b * i
        if c:
            t -= 1
        else:
            t += (t ^ i) & 3
        hits[i] += 1
    if t % 3 == 0:
        t += 100
    elif t % 5 == 0:
        t += 200
    elif t % 7 == 0:
        t -= 300
    slots[i & 7] += 1
    return t + (a ^ 3) + (b * 2) + (a << 2) - (b >> 1) + t // 3 - a // 5


def large_model(pkt, a, b, c):
    if a >= len(pkt):
        return -1
    t = pkt[a]
    for i in range(5):
        t += b * i
        if c:
            t -= 1
        else:
            t += (t ^ i) & 3
    if t % 3 == 0:
        t += 100
    elif t % 5 == 0:
        t += 200
    elif t % 7 == 0:
        t -= 300
    return t + (a ^ 3) + (b * 2) + (a << 2) - (b >> 1) + t // 3 - a // 5


PACKET = bytes(range(7, 71))


def is_special(n: u32) -> bool:
    t = n * 3
    for i in range(4):
        t ^= (t << 1) & 0xFFFF
        t += i * n + (t >> 3)
        if t % 7 == 2:
            t += 11
        elif t % 5 == 1:
            t -= 3
    x = (t & 0xFF) * 3 + (t >> 5) % 13 + (n ^ t) // 3 + (n | t) % 17
    y = x + (x >> 1) + (x << 2) - (t & 15)
    return (x + y) % 2 == 1


def returns_nothing(n: u32) -> None:
    for i in range(6):
        hits[i] += n
        other[i] += n * 2
        slots[i] += n * 3
        if n % 3 == 1:
            hits[i] += 1
        elif n % 5 == 1:
            other[i] += 1
        elif n % 7 == 1:
            return
    hits[7] += (n ^ 5) * 3 + (n >> 2) + (n << 3) % 7


def with_keyword(*, x, y=2):
    return x + y


class Kind(enum.IntEnum):
    A = 1
    B = 2


def with_defaults(x=Kind.B, y=(1, 2)):
    return x + y[0]


def with_map(m=hits):
    m[3] += 9
    return m.get(3, 0)


def outerf():
    hidden = bpf.Hash[u32, u32](max_entries=2)

    def f(x):
        hidden[1] += x
        return hidden.get(1, 0)

    return f


counter1, counter2 = outerf(), outerf()


class Space:
    m = bpf.Hash[u32, u32](max_entries=2)
    k = 5

    @staticmethod
    def f(x):
        return x * Space.k

    class Deep:
        m = bpf.Hash[u32, u32](max_entries=2)


mlist = [hits, other]


mdict = {"a": hits}


def kindof(k):
    match k:
        case Kind.A:
            return 1
        case Kind.B:
            return 2
    return 3


@case(2)
def middle_evaluated_once(ctx):  # type: ignore[no-untyped-def]
    x = 1 < bump() < 5
    return hits.get(9, 0) + x


@case(1)
def lazy_and(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    if n > 100 and bump() > 0:
        return 5
    if n < 100 or bump():
        return 1 + hits.get(9, 0)
    return 6


@case(3)
def lazy_ternary(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    x = bump() if n > 100 else 3
    return x + hits.get(9, 0)


@case(123)
def order_binop(ctx):  # type: ignore[no-untyped-def]
    _ = trace(1) + trace(2) * trace(3)
    return slots[0]


@case(21)
def order_assign_item(ctx):  # type: ignore[no-untyped-def]
    out[trace(1)] = trace(2)
    return slots[0]


@case(12)
def order_aug_item(ctx):  # type: ignore[no-untyped-def]
    hits[trace(1)] += trace(2)
    return slots[0]


@case(123)
def order_call(ctx):  # type: ignore[no-untyped-def]
    _ = first_of_three(trace(1), trace(2), trace(3))
    return slots[0]


@case(123)
def order_keywords(ctx):  # type: ignore[no-untyped-def]
    _ = first_of_three(b=trace(1), c=trace(2), a=trace(3))
    return slots[0]


@case(123)
def order_tuple(ctx):  # type: ignore[no-untyped-def]
    _, _, _ = trace(1), trace(2), trace(3)
    return slots[0]


@case(12)
def order_compare(ctx):  # type: ignore[no-untyped-def]
    _ = trace(1) < trace(2)
    return slots[0]


@case(123)
def order_record(ctx):  # type: ignore[no-untyped-def]
    _ = Pad(c=trace(1), a=trace(2), b=trace(3))
    return slots[0]


@case(12)
def order_get_default(ctx):  # type: ignore[no-untyped-def]
    _ = hits.get(trace(1), trace(2))
    return slots[0]


@case(12)
def order_set(ctx):  # type: ignore[no-untyped-def]
    hits.set(trace(1), trace(2))
    return slots[0]


@case(10)
def range_evaluated_once(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) & 7 | 4
    c = 0
    for i in range(n):
        n = 100
        c += i
    return c + n // 25


@case(123)
def same_loop_variable(ctx):  # type: ignore[no-untyped-def]
    c = 0
    for i in range(3):
        c += i
        for i in range(2, 4):  # noqa: B007
            c += 5
        c += i * 10
    return c


@case(40)
def three_maps_in_a_tuple(ctx):  # type: ignore[no-untyped-def]
    for m in (hits, other):
        m[1] += 20
    return hits.get(1, 0) + other.get(1, 0)


@case(15)
def map_as_parameter(ctx):  # type: ignore[no-untyped-def]
    return bumpmap(hits, 1) + bumpmap(other, 1, 5) + bumpmap(hits, 1, by=8)


@case(128)
def function_as_parameter(ctx):  # type: ignore[no-untyped-def]
    return apply(double, len(ctx.packet))


@case(8, packet=bytes(12) + b"\x08\x00" + bytes(50))
def type_as_parameter(ctx):  # type: ignore[no-untyped-def]
    v = read(ctx, be16, 12)
    e = read(ctx, Ethernet, 0)
    if v is None or e is None or e.proto != v:
        return 0
    return v >> 8


@case(9, packet=bytes(12) + b"\x08\x00" + bytes(9) + b"\x09" + bytes(50))
def function_gives_reference(ctx):  # type: ignore[no-untyped-def]
    ip = header(ctx)
    if ip is None:
        return 0
    return ip.protocol


@case(77, packet=bytes(64))
def function_gives_none(ctx):  # type: ignore[no-untyped-def]
    ip = header(ctx)
    if ip is not None and ip.protocol == 9:
        return 1
    return 77


@case(0xFFFFFFFF)
def negative_result(ctx):  # type: ignore[no-untyped-def]
    return -1


@case(0xFFFFFFFE)
def negative_result_runtime(ctx):  # type: ignore[no-untyped-def]
    return 62 - len(ctx.packet)


@case(3)
def many_args(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    return difference(n, 1, 2, 3, 4, 5, n + 3) + difference(n, 1, 2, 3, 4, 5, n)


@case(5)
def reassign_param(ctx):  # type: ignore[no-untyped-def]
    return reassigned(len(ctx.packet))


@case(8)
def global_const_shadow(ctx):  # type: ignore[no-untyped-def]
    LIMIT = 8
    return LIMIT


@case(6)
def return_in_loop_in_function(ctx):  # type: ignore[no-untyped-def]
    return firstover(5)


@case(55)
def function_in_loop(ctx):  # type: ignore[no-untyped-def]
    s = 0
    for i in range(11):
        s += firstover2(i)
    return s


@case(
    (large_model(PACKET, 3, -5, True) + large_model(PACKET, 64, 5, False) * 3 + large_model(PACKET, 10, 64, False))
    & 0xFFFFFFFF,
    packet=PACKET,
)
def subprogram_with_context(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    return large(ctx, 3, -5, True) + large(ctx, n, 5, False) * 3 + large(ctx, 10, n, n < 3)


@case(large_model(PACKET, 44, -56, True) & 0xFFFFFFFF, packet=PACKET)
def subprogram_narrows(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    large(ctx, 1, 1, False)
    return large(ctx, u64(n) * 0x100000000 + 44, (u64(1) << 32) * n - 56, n)


@case(is_special(64) * 1 + is_special(7) * 2 + (is_special(11) and not is_special(12)) * 4)
def subprogram_bool(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    r = 0
    if is_special(n):
        r += 1
    if is_special(n & 7 | 7):
        r += 2
    if is_special(11) and not is_special(n & 0 | 12):
        r += 4
    return r


@case(64 * 1 + 1 + 5 * 1)
def subprogram_nothing(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    returns_nothing(n)
    returns_nothing(n & 0 | 5)
    return hits.get(0, 0)


@case(3)
def kw_only_default(ctx):  # type: ignore[no-untyped-def]
    return with_keyword(x=1)


@case(3)
def default_from_module(ctx):  # type: ignore[no-untyped-def]
    return with_defaults()


@case(9)
def default_map(ctx):  # type: ignore[no-untyped-def]
    return with_map()


@case(73)
def closures_with_maps(ctx):  # type: ignore[no-untyped-def]
    counter1(3)
    counter1(4)
    counter2(3)
    return counter1(0) * 10 + counter2(0)


@case(57)
def maps_in_classes(ctx):  # type: ignore[no-untyped-def]
    Space.m[1] += 5
    Space.Deep.m[1] += 7
    return Space.m.get(1, 0) * 10 + Space.Deep.m.get(1, 0)


@case(320)
def static_method(ctx):  # type: ignore[no-untyped-def]
    return Space.f(len(ctx.packet))


@case(8)
def maps_in_containers(ctx):  # type: ignore[no-untyped-def]
    mlist[1][1] += 3
    mdict["a"][1] += 5
    return hits.get(1, 0) + other.get(1, 0)


@case(50)
def same_map_two_names(ctx):  # type: ignore[no-untyped-def]
    m = hits
    m[1] = 20
    hits[1] += 30
    return m.get(1, 0)


@case(6)
def ternary_of_maps(ctx):  # type: ignore[no-untyped-def]
    m = hits if Kind.A == 1 else other
    m[1] += 6
    return hits.get(1, 0)


@case(4)
def stringy_annotation(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n: u8 = len(ctx.packet) * 4 + 4
    return n


@case(2)
def enum_param(ctx):  # type: ignore[no-untyped-def]
    return kindof(Kind.B)


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
