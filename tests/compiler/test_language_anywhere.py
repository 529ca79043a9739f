# mypy: disable-error-code="no-untyped-def"
"""What looks at packets, entries and memory by copy, inside of loops, callbacks and subprograms."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import u8, u16, u32, u64
from tests.compiler.results import Function, Table, check, check_ir

case = Table()
PACKET = bytes(range(64))


@bpf.struct
class Record:
    n: u8 = 0
    t: str = bpf.chars(12)
    m: bytes = bpf.bytes(6)


numbers = bpf.Array[u64](max_entries=8)
hits = bpf.Hash[u32, u64](max_entries=8)
records = bpf.Hash[u32, Record](max_entries=8)
by_record = bpf.Hash[Record, u32](max_entries=8)
slots = bpf.Array[Record](max_entries=4)


@case(1, PACKET)
def slices_on_each_trip(ctx):
    c = 0
    for _ in range(3):
        m = ctx.packet[6:12]
        if m is not None and m[0] == 6:
            c += 1
    return c == 3


@case(3, PACKET)
def loads_until_the_end(ctx):
    c = 0
    for i in range(10):
        b = ctx.packet.load(i * 10, u8)
        if b is None:
            break
        if b % 20 == 0:
            c += 1
    return c - 1


@case(2, PACKET)
def loads_in_a_loop_of_unknown_length(ctx):
    c = 0
    n = numbers[0] + 3000
    for i in range(n):
        b = ctx.packet.load(i, u16)
        if b is None:
            break
        c += 1
    return c - 61


def used(ctx, k: u32, j: u32) -> int:
    t = 0
    for i in range(3):
        v = hits.pop(k + i)
        if v is not None:
            t += v
    b = ctx.packet.load(j, u8)
    if b is not None:
        t += b
    if k in hits:
        t += hits[k]
    return t + numbers[0]


@case(1 + 2 + 10 + 11 + 3, PACKET)
def in_a_subprogram(ctx):
    hits[1] = 1
    hits[2] = 2
    hits[7] = 3
    return used(ctx, 1, 10) + used(ctx, 7, 11)


@case(6)
def pop_in_a_callback(ctx):
    for i in range(4):
        hits[i] = i
    t = 0

    def f(i: int) -> bool:
        nonlocal t
        v = hits.pop(i)
        if v is not None:
            t += v
        return False

    bpf.loop(8, f)
    return t


@case(6)
def pop_of_the_entry_at_hand(ctx):
    for i in range(4):
        hits[i] = i
    t = 0
    for k, _ in hits.items():
        w = hits.pop(k)
        if w is not None:
            t += w
    return t


@case(3)
def records_popped_in_a_callback(ctx):
    records[1] = Record(n=3)
    t = 0

    def f(i: int) -> bool:
        nonlocal t
        r = records.pop(i)
        if r is not None:
            t += r.n
        return False

    bpf.loop(8, f)
    return t


@case(4)
def present_in_a_callback(ctx):
    hits[2] = 4
    t = 0

    def f(i: int) -> bool:
        nonlocal t
        if i in hits:
            t += hits[i]
        return False

    bpf.loop(8, f)
    return t


@case(1)
def memory_read_on_each_trip(ctx):
    c = 0
    for i in range(4):
        if bpf.read_kernel(i, u32) is None:
            c += 1
        if bpf.read_kernel_str(i, 8) == "":
            c += 1
    return c == 8


@case(5, PACKET)
def texts_of_the_packet(ctx):
    r = ctx.packet.at(30, Record)
    if r is None:
        return 0
    r.t = "hello"
    slots[0].t = r.t
    slots[0].m = r.m
    return r.t.startswith("hel") + ("ll" in r.t) + (len(r.t) == 5) + (slots[0].t == r.t) + (r.m == slots[0].m)


@case(9, PACKET)
def a_record_of_a_map_stored(ctx):
    slots[0].n = 9
    ctx.packet.store(3, slots[0])
    b = ctx.packet.at(3, u8)
    return b or 0


@case(1)
def keys_made_on_each_trip(ctx):
    for i in range(5):
        k = Record(n=i & 1)
        if k in by_record:
            by_record[k] += 1
        else:
            by_record[k] = 1
    k = Record(n=0)
    return k in by_record and by_record[k] == 3


@case(3, PACKET)
def bytes_of_a_slice(ctx):
    s = ctx.packet[0:4]
    if s is None:
        return 0
    a, b, c, d = s[0], s[1], s[2], s[3]
    return a + b + c + d - 3


@case(0, PACKET)
def a_slice_gone_over(ctx):
    s = ctx.packet[0:4]
    if s is None:
        return 1
    return sum(s) - 6 + (3 not in s)


@case.parametrize()
def test_result(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("row", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_ir_interpreter(row: tuple[Function, int, bytes]) -> None:
    check_ir(*row)
