"""Packets at offsets known at run time, and loops over them."""

from __future__ import annotations

import sys

import purebpf as bpf
from purebpf import be16, be32, s8, s16, u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import Function, Table, check

case = Table()


@bpf.struct
class Pair:
    x: u16 = 0
    y: u16 = 0


@bpf.struct(packed=True)
class Packed:
    a: u8 = 0
    b: u64 = 0
    c: be16 = 0
    d: u32 = 0


PACKET = bytes(range(7, 71))


def fold(pkt):
    t = sum((pkt[i] << 8) | pkt[i + 1] for i in range(0, len(pkt), 2))
    while t >> 16:
        t = (t & 0xFFFF) + (t >> 16)
    return t


TLV = bytes([1, 4, 9, 9, 3, 3, 7, 5, 6, 1, 2, 3, 4, 0]) + bytes(60)


def _fnv():
    h = 2166136261
    for _ in range(16):
        h = (h ^ 0) * 16777619 & 0xFFFFFFFF
    return h


fnv = _fnv()


hits = bpf.Hash[u32, u64](max_entries=16)


slots = bpf.Array[u64](max_entries=8)


@case(6)
def two_refs_same_bytes(ctx):  # type: ignore[no-untyped-def]
    a = ctx.packet.at(0, Ethernet)
    b = ctx.packet.at(12, be16)
    if a is None or b is None:
        return 0
    a.proto = 6
    return b + a.proto


@case(0)
def overlap_refs(ctx):  # type: ignore[no-untyped-def]
    a = ctx.packet.at(0, Pair)
    b = ctx.packet.at(1, u8)
    if a is None or b is None:
        return 5
    a.x = 0x600
    return b


@case(6)
def overlap_refs2(ctx):  # type: ignore[no-untyped-def]
    a = ctx.packet.at(0, Pair)
    b = ctx.packet.at(1, Pair)
    if a is None or b is None:
        return 5
    a.x = 0x600
    return b.x


@case(5)
def at_negative_runtime(ctx):  # type: ignore[no-untyped-def]
    off = len(ctx.packet) - 65
    v = ctx.packet.at(off, u8)
    return 5 if v is None else 6


@case(5)
def at_huge_runtime(ctx):  # type: ignore[no-untyped-def]
    off = u64(len(ctx.packet)) << 57
    v = ctx.packet.at(off, u8)
    w = ctx.packet.at(0xFFFFFFFFFFFFFFFF - len(ctx.packet), u64)
    return 5 if v is None and w is None else 6


@case(5)
def at_65535(ctx):  # type: ignore[no-untyped-def]
    v = ctx.packet.at(65535 + (len(ctx.packet) & 1), u8)
    w = ctx.packet.at(65534 + (len(ctx.packet) & 1), u8)
    return 5 if v is None and w is None else 6


@case(64)
def at_last(ctx):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(200):
        if ctx.packet.at(i, u8) is not None:
            count += 1
    return count


@case(61)
def at_last_u32(ctx):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(-5, 200):
        if ctx.packet.at(i, u32) is not None:
            count += 1
    return count


@case(4, packet=bytes(3) + Packed(a=1, b=2, c=3, d=4).to_bytes() + bytes(60))
def packet_value(ctx):  # type: ignore[no-untyped-def]
    p = ctx.packet.at(3, Packed)
    if p is None:
        return 0
    q = Packed()
    q.b = p.b
    q.d = p.d
    return q.d + p.c - 3


@case(5)
def adjust_then_len(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    ctx.packet.adjust_head(-5)
    return len(ctx.packet) - n


@case(9)
def read_before_adjust_stays(ctx):  # type: ignore[no-untyped-def]
    v = ctx.packet.at(0, u8)
    if v is None:
        return 0
    ctx.packet.adjust_head(4)
    w = ctx.packet.at(0, u8)
    if w is None:
        return 1
    return v + w + 9


@case(13)
def packet_loop_headers(ctx):  # type: ignore[no-untyped-def]
    off = 14
    kind: u16 = 0x8100
    n = 0
    for _ in range(3):
        if kind != 0x8100:
            break
        v = ctx.packet.at(off, be16)
        w = ctx.packet.at(off + 2, be16)
        if v is None or w is None:
            return 99
        n += 1
        kind = w
        off += 4
    return n + off - 6


@case(5, packet=bytes(62) + b"\x05\x00")
def at_end_relative(ctx):  # type: ignore[no-untyped-def]
    v = ctx.packet.at(len(ctx.packet) - 2, u8)
    return v if v is not None else 0


@case(0x0102, packet=b"\1\2" + bytes(62))
def be_as_value(ctx):  # type: ignore[no-untyped-def]
    v = ctx.packet.at(0, be16)
    return 0 if v is None else v


@case(0x0201 if sys.byteorder == "little" else 0x0102, packet=b"\1\2" + bytes(62))
def native_as_value(ctx):  # type: ignore[no-untyped-def]
    v = ctx.packet.at(0, u16)
    return 0 if v is None else v


@case(1, packet=b"\xff\xfe" + bytes(62))
def signed_scalars(ctx):  # type: ignore[no-untyped-def]
    a = ctx.packet.at(0, s8)
    b = ctx.packet.at(1, s8)
    c = ctx.packet.at(0, s16)
    if a is None or b is None or c is None:
        return 0
    return a == -1 and b == -2 and c < 0


@case(1)
def bool_packet(ctx):  # type: ignore[no-untyped-def]
    a = ctx.packet.at(0, bool)
    if a is None:
        return 5
    return not a


@case(20)
def adjust_meta(ctx):  # type: ignore[no-untyped-def]
    if ctx.packet.adjust_meta(-8) != 0:
        return 1
    return 20


@case(60)
def adjust_tail(ctx):  # type: ignore[no-untyped-def]
    ctx.packet.adjust_tail(-4)
    return len(ctx.packet)


@case(2)
def adjust_fails(ctx):  # type: ignore[no-untyped-def]
    if ctx.packet.adjust_head(10000) < 0 and ctx.packet.adjust_tail(-10000) < 0:
        return 2
    return 1


@case(sum(PACKET) & 0xFFFF, packet=PACKET)
def sum_bytes_1500(ctx):  # type: ignore[no-untyped-def]
    s: u16 = 0
    for i in range(1500):
        b = ctx.packet.at(i, u8)
        if b is None:
            break
        s += b
    return s


@case(sum(PACKET), packet=PACKET)
def sum_bytes_walrus(ctx):  # type: ignore[no-untyped-def]
    s = 0
    i = 0
    while (b := ctx.packet.at(i, u8)) is not None:
        s += b
        i += 1
    return s


@case(fold(PACKET[14:34]), packet=PACKET)
def checksum_ip(ctx):  # type: ignore[no-untyped-def]
    s = 0
    for i in range(10):
        w = ctx.packet.at(14 + 2 * i, be16)
        if w is None:
            return 0
        s += w
    for _ in range(2):
        s = (s & 0xFFFF) + (s >> 16)
    return s


@case(3 * 1000 + 13, packet=TLV)
def tlv(ctx):  # type: ignore[no-untyped-def]
    off = 0
    n = 0
    for _ in range(20):
        kind = ctx.packet.at(off, u8)
        if kind is None or kind == 0:
            break
        ln = ctx.packet.at(off + 1, u8)
        if ln is None or ln < 2:
            return 0
        n += 1
        off += ln
    return n * 1000 + off


@case(3 * 1000 + 13, packet=TLV)
def tlv_while(ctx):  # type: ignore[no-untyped-def]
    off = 0
    n = 0
    while True:
        kind = ctx.packet.at(off, u8)
        if kind is None or kind == 0:
            break
        ln = ctx.packet.at(off + 1, u8)
        if ln is None or ln < 2:
            return 0
        n += 1
        off += ln
    return n * 1000 + off


@case(0x7777, packet=b"GET /abc HTTP/1.1" + bytes(40))
def http_get(ctx):  # type: ignore[no-untyped-def]
    a = ctx.packet.at(0, be32)
    if a is None or a != 0x47455420:
        return 0
    end = 0
    for i in range(4, 60):
        c = ctx.packet.at(i, u8)
        if c is None:
            break
        if c == ord(" "):
            end = i
            break
    return 0x7777 if end == 8 else end


@case(6)
def count_digits(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) * 3000
    d = 0
    while n:
        n //= 10
        d += 1
    return d


@case(17)
def hashing(ctx):  # type: ignore[no-untyped-def]
    h: u32 = 2166136261
    for i in range(16):
        b = ctx.packet.at(i, u8)
        if b is None:
            return 0
        h = (h ^ b) * 16777619
    return 17 if h == fnv else h


@case(24)
def ipv6_ext(ctx):  # type: ignore[no-untyped-def]
    nxt = 0
    off = 0
    for _ in range(8):
        if nxt not in (0, 43, 60):
            break
        h = ctx.packet.at(off, u8)
        length = ctx.packet.at(off + 1, u8)
        if h is None or length is None:
            return 1
        nxt = h
        off += (length + 1) * 8
        if off >= 24:
            break
    return off


@case(2)
def state_machine(ctx):  # type: ignore[no-untyped-def]
    state = 0
    for i in range(10):
        match state:
            case 0:
                state = 1
            case 1 if i > 5:
                state = 2
            case 2:
                break
    return state


@case(45)
def nested_ranges(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet) & 15 | 10
    c = 0
    for i in range(n):
        for _ in range(i):
            c += 1
    return c


@case(10)
def primes_below(ctx):  # type: ignore[no-untyped-def]
    c = 0
    for n in range(2, 30):
        for d in range(2, n):
            if n % d == 0:
                break
        else:
            c += 1
    return c


@case(55)
def nested_ranges_maps(ctx):  # type: ignore[no-untyped-def]
    for i in range(10):
        for _ in range(i + 1):
            hits[i % 4] += 1
    return hits.get(0, 0) + hits.get(1, 0) + hits.get(2, 0) + hits.get(3, 0)


@case(100)
def long_unbounded(ctx):  # type: ignore[no-untyped-def]
    n = 0
    x = len(ctx.packet)
    while n < 100:
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        if x % 2:
            n += 1
        else:
            n += 1
            x ^= 1
    return n


@case(sum(i * i for i in range(1000)) & 0xFFFFFFFF)
def thousand(ctx):  # type: ignore[no-untyped-def]
    t = 0
    for i in range(1000):
        t += i * i
    return u32(t)


@case(100000)
def hundred_thousand(ctx):  # type: ignore[no-untyped-def]
    t: u32 = 0
    for _ in range(100000):
        t += 1
    return t


@case(300)
def three_hundred_maps(ctx):  # type: ignore[no-untyped-def]
    for i in range(300):
        hits[i & 7] += 1
    t = 0
    for i in range(8):
        t += hits.get(i, 0)
    return t


@case(5)
def log2_hist(ctx):  # type: ignore[no-untyped-def]
    v = len(ctx.packet)
    slot = 0
    for i in range(64):
        if v >> i:
            slot = i
    slots[slot % 8] += 5
    return slots[6]


@case(68, PACKET)
def a_packet_that_grows_on_one_way_only(ctx):  # type: ignore[no-untyped-def]
    if len(ctx.packet) > 10:
        ctx.packet.adjust_head(-4)
    last = ctx.packet.at(64, u32)
    return len(ctx.packet) if last is not None else 0


@case(61, PACKET)
def a_packet_cut_in_a_loop(ctx):  # type: ignore[no-untyped-def]
    for _ in range(3):
        if ctx.packet.adjust_tail(-1) != 0:
            break
    return len(ctx.packet)


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
