"""Records, arrays, bit fields and texts in memory: what is a reference and what a copy."""

from __future__ import annotations

import purebpf as bpf
from purebpf import s16, s64, u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import Function, Table, check

case = Table()


@bpf.struct
class Pair:
    x: u16 = 0
    y: u16 = 0


def make_pair(i):
    return Pair(x=i)


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


def set_n(r, v):
    r.n = v


def fill(v):
    for i in range(4):
        v[i] = i * i


def sumup(v):
    t = 0
    for i in range(len(v)):
        t += v[i]
    return t


@bpf.struct
class Bits:
    a: u8 = bpf.bits(3)
    b: u8 = bpf.bits(5)
    c: u16 = bpf.bits(9)
    d: u16 = bpf.bits(7)
    e: u32 = bpf.bits(20)
    f: u64 = bpf.bits(40)
    g: u8 = 0


bitmap = bpf.Array[Bits](max_entries=1)


other = bpf.Hash[u32, u64](max_entries=16)


@bpf.struct
class Text:
    name: str = bpf.chars(8)
    other: str = bpf.chars(8)
    long: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)
    odd: bytes = bpf.bytes(5)
    n: u32 = 0


texts = bpf.Array[Text](max_entries=2)


byname = bpf.Hash[Text, u32](max_entries=8)


WHO = "me"


def to16(x) -> u16:
    return x


def narrowed(x: u8):
    return x


@case(1)
def fresh_array_in_loop(ctx):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(len(ctx.packet) & 7 | 3):
        v = bpf.array(u32, 4)
        v[i & 3] += 1
        total = v[0] + v[1] + v[2] + v[3]
    return total


@case(12)
def fresh_from_function(ctx):  # type: ignore[no-untyped-def]
    a = make_pair(1)
    b = make_pair(2)
    return a.x * 10 + b.x


@case(21)
def swap_names(ctx):  # type: ignore[no-untyped-def]
    a = Pair(x=1)
    b = Pair(x=2)
    a, b = b, a
    return a.x * 10 + b.x


@case(21)
def swap_items(ctx):  # type: ignore[no-untyped-def]
    v = bpf.array(u32, 4)
    v[0] = 1
    v[1] = 2
    v[0], v[1] = v[1], v[0]
    return v[0] * 10 + v[1]


@case(32)
def swap_runtime_items(ctx):  # type: ignore[no-untyped-def]
    v = bpf.array(u32, 4)
    i = len(ctx.packet) & 1
    j = i + 2
    v[i] = 2
    v[j] = 3
    v[i], v[j] = v[j], v[i]
    return v[i] * 10 + v[j]


@case(53)
def alias_then_store(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    p = r.a
    q = r.a
    p.x = 5
    r.b = p
    p.x = 3
    return r.b.x * 10 + q.x


@case(55)
def copy_into_field_then_change(ctx):  # type: ignore[no-untyped-def]
    p = Pair(x=5)
    r = records[0]
    r.a = p
    p.x = 9
    r.a.y = 50
    return r.a.x + r.a.y


@case(7)
def value_read_once(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.n = 7
    n = r.n
    r.n = 9
    return n


@case(6)
def two_refs_same_record(ctx):  # type: ignore[no-untyped-def]
    a = ctx.packet.at(0, Pair)
    b = ctx.packet.at(0, Pair)
    if a is None or b is None:
        return 0
    a.x = 6
    return b.x


@case(30)
def grid_of_bytes(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.grid[1][2] = 30
    i = len(ctx.packet) & 1
    return r.grid[i + 1][i + 2]


@case(12)
def array_of_structs(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    for i in range(3):
        r.ps[i].x = i
        r.ps[i].y = 2 * i
    total = 0
    for i in range(3):
        p = r.ps[i]
        total += p.x + p.y + p.y // 2
    return total


@case(6)
def local_array_of_structs(ctx):  # type: ignore[no-untyped-def]
    v = bpf.array(Pair, 4)
    for i in range(4):
        v[i].x = i
    n = len(ctx.packet) & 3
    return v[n].x + v[1].x + v[2].x + v[3].x


@case(10)
def local_copy_of_map_record(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.n = 4
    local = Record()
    local.n = r.n
    r.n = 6
    return local.n + r.n


@case(46)
def map_update_from_local(ctx):  # type: ignore[no-untyped-def]
    r = Record(n=4)
    entries[1] = r
    r.n = 6
    got = entries.get(1)
    if got is None:
        return 0
    return got.n * 10 + r.n


@case(5)
def record_from_one_map_to_another(ctx):  # type: ignore[no-untyped-def]
    records[0].n = 5
    entries[1] = records[0]
    records[0].n = 6
    got = entries.get(1)
    return got.n if got is not None else 0


@case(7)
def nested_func_ref_param(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    set_n(r, 7)
    return r.n


@case(14)
def array_param(ctx):  # type: ignore[no-untyped-def]
    v = bpf.array(u32, 4)
    fill(v)
    return sumup(v)


@case(4)
def len_of_things(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    return len(r.items)


@case(12)
def bool_store_nonzero(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.flag = len(ctx.packet)
    x = 10 if r.flag == 1 else 0
    r.flag = len(ctx.packet) - 64
    return x + (2 if not r.flag else 0)


@case(0xFFFF)
def signed_field(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.s = -1
    return u16(r.s)


@case(1)
def signed_compare_field(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.s = len(ctx.packet) * 625
    return r.s < 0


@case(0)
def bits_all(ctx):  # type: ignore[no-untyped-def]
    b = bitmap[0]
    n = len(ctx.packet)
    b.a = 5
    b.b = n - 40
    b.c = n * 5
    b.d = n + 3
    b.e = n << 13
    b.f = u64(n) << 32
    b.g = 7
    r = 0
    if b.a != 5:
        r |= 1
    if b.b != 24:
        r |= 2
    if b.c != 320:
        r |= 4
    if b.d != 67:
        r |= 8
    if b.e != 64 << 13:
        r |= 16
    if b.f != 64 << 32:
        r |= 32
    if b.g != 7:
        r |= 64
    b.a += 1
    b.f += 1
    b.c -= 1
    if b.a != 6 or b.f != (64 << 32) + 1 or b.c != 319 or b.b != 24:
        r |= 128
    return r


@case(0)
def bits_local(ctx):  # type: ignore[no-untyped-def]
    b = Bits(a=1, c=2, f=3)
    n = len(ctx.packet)
    b.b = n & 31
    b.d = 3
    b.e = n
    return 0 if b.a == 1 and b.b == 0 and b.c == 2 and b.d == 3 and b.e == 64 and b.f == 3 and b.g == 0 else 1


@case(1)
def bits_wrap(ctx):  # type: ignore[no-untyped-def]
    b = Bits()
    b.a = len(ctx.packet) + 1
    return b.a


@case(0)
def texts_copy(ctx):  # type: ignore[no-untyped-def]
    t = texts[0]
    u = texts[1]
    t.name = "abc"
    u.name = t.name
    u.other = u.name
    t.name = "x"
    return 0 if u.name == "abc" and u.other == "abc" and t.name == "x" else 1


@case(0)
def texts_swap(ctx):  # type: ignore[no-untyped-def]
    t = texts[0]
    t.name = "abc"
    t.other = "de"
    t.name, t.other = t.other, t.name
    return 0 if t.name == "de" and t.other == "abc" else 1


@case(0)
def odd_bytes(ctx):  # type: ignore[no-untyped-def]
    t = texts[0]
    t.odd = b"12345"
    local = Text(odd=t.odd, mac=b"abcdef")
    local.mac = t.mac
    byname[local] = 3
    return 0 if local.odd == b"12345" and local.mac == b"\0\0\0\0\0\0" and byname.get(local, 0) == 3 else 1


@case(0)
def local_bytes(ctx):  # type: ignore[no-untyped-def]
    b = bpf.bytes(7)
    for i in range(7):
        b[i] = i * len(ctx.packet)
    return 0 if b[0] == 0 and b[1] == 64 and b[5] == 320 % 256 and b[-1] == 384 % 256 else 1


@case(5)
def text_local_assign(ctx):  # type: ignore[no-untyped-def]
    c = bpf.chars(8)
    t = texts[0]
    t.name = "hello"
    c = t.name
    n = 0
    for i in range(8):
        if c[i] != 0:
            n += 1
    return n


@case(1)
def array_value_semantics(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.items[0] = 1
    v = r.items
    r.items[0] = 2
    return v[0]


@case(1)
def comm_is_snapshot(ctx):  # type: ignore[no-untyped-def]
    c = bpf.current.comm
    d = bpf.current.comm
    c[0] = 0
    return d[0] != 0


@case(1)
def text_from_const_name(ctx):  # type: ignore[no-untyped-def]
    t = texts[0]
    t.name = WHO
    return t.name == WHO and t.name in (WHO, "b")


@case(1)
def mac_compare(ctx):  # type: ignore[no-untyped-def]
    e = ctx.packet.at(0, Ethernet)
    if e is None:
        return 0
    e.src = b"\1\2\3\4\5\6"
    if e.src == e.dst:
        return 2
    e.dst = e.src
    return e.src == e.dst and e.dst != bytes(6)


@case(3)
def field_fact_dies(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.n = 3
    if r.n < 4:
        r.items[r.n] = 1
    r.items[3] += 2
    return r.items[3]


@case(4)
def bubble(ctx):  # type: ignore[no-untyped-def]
    v = bpf.array(u32, 5)
    n = len(ctx.packet)
    v[0] = 9
    v[1] = n & 4 | 4
    v[2] = 7
    v[3] = 5
    v[4] = 100
    for _ in range(5):
        for j in range(4):
            if v[j] > v[j + 1]:
                v[j], v[j + 1] = v[j + 1], v[j]
    return v[0] if v[0] <= v[1] <= v[2] <= v[3] <= v[4] else 0


@case(0xFF)
def u8_wraps_in_loop(ctx):  # type: ignore[no-untyped-def]
    n: u8 = 0
    for _ in range(255 + (len(ctx.packet) & 1)):
        n += 1
    return n


@case(300)
def u16_parameter_and_result(ctx):  # type: ignore[no-untyped-def]
    return to16(len(ctx.packet) * 1024 + 300)


@case(4)
def param_narrow(ctx):  # type: ignore[no-untyped-def]
    return narrowed(len(ctx.packet) * 4 + 4)


@case(1)
def a_record_of_an_earlier_trip_lives_on(ctx):  # type: ignore[no-untyped-def]
    keep = Pair(x=100)
    for i in range(3):
        made = make_pair(i)
        if i == 1:
            keep = made
    return keep.x


@case(65)
def a_record_made_of_the_one_before(ctx):  # type: ignore[no-untyped-def]
    pair = Pair(x=5, y=6)
    for _ in range(len(ctx.packet) - 61):
        pair = Pair(x=pair.y, y=pair.x)
    return pair.x * 10 + pair.y


@case(3412)
def records_in_records_swap(ctx):  # type: ignore[no-untyped-def]
    record = Record(a=Pair(x=1, y=2), b=Pair(x=3, y=4))
    record.a, record.b = record.b, record.a
    return record.a.x * 1000 + record.a.y * 100 + record.b.x * 10 + record.b.y


@bpf.struct(packed=True)
class Packed:
    a: u8 = 0
    b: u64 = 0
    c: s16 = 0


packed = bpf.Hash[Packed, u32](max_entries=8)


@case(64 + 1 - 5 + 4)
def unaligned_fields_on_the_stack(ctx):  # type: ignore[no-untyped-def]
    key = Packed(a=1, b=len(ctx.packet) + 0x1122334455667700, c=-5)
    packed[key] = 4
    return (key.b & 0xFF) + key.a + key.c + packed.get(Packed(a=1, b=0x1122334455667740, c=-5), 0)


def set_x(pair, value) -> u16:
    pair.x = value
    return u16(1)


@case(2)
def a_place_is_read_before_what_is_added(ctx):  # type: ignore[no-untyped-def]
    pair = Pair(x=1)
    pair.x += set_x(pair, 10)
    return pair.x


@bpf.struct
class Named:
    name: str = bpf.chars(8)


@case(0b1010)
def a_text_is_true_when_it_is_not_empty(ctx):  # type: ignore[no-untyped-def]
    empty, full = Named(), Named(name="x")
    seen = 0
    if empty.name:
        seen |= 1
    if full.name:
        seen |= 2
    if not full.name:
        seen |= 4
    return seen | (8 if not empty.name else 0)


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
