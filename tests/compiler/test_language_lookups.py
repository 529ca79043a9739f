"""Lookups and entries of maps: None, keys, changes in place, indexes proven in range."""

from __future__ import annotations

import purebpf as bpf
from purebpf import be16, be32, s8, s16, s32, s64, u8, u16, u32, u64
from tests.compiler.results import Function, Table, check

case = Table()


hits = bpf.Hash[u32, u64](max_entries=16)


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


entries = bpf.Hash[u32, Record](max_entries=8)


h32 = bpf.Hash[u32, u32](max_entries=16)


h8 = bpf.Hash[u8, u8](max_entries=16)


s64s = bpf.Hash[u32, s64](max_entries=16)


h16 = bpf.Hash[u32, s16](max_entries=16)


tiny = bpf.Hash[u32, u64](max_entries=1)


hb = bpf.Hash[u32, bool](max_entries=16)


@bpf.struct
class Pad:
    a: u8 = 0
    b: u64 = 0
    c: u16 = 0


keyed = bpf.Hash[Pad, u32](max_entries=8)


@bpf.struct(packed=True)
class Packed:
    a: u8 = 0
    b: u64 = 0
    c: be16 = 0
    d: u32 = 0


packedkeys = bpf.Hash[Packed, u32](max_entries=8)


cpu = bpf.PerCpuArray[u64](max_entries=4)


def bump():
    hits[9] += 1
    return hits.get(9, 0) + 1


records = bpf.Array[Record](max_entries=3)


by_u64 = bpf.Hash[u64, u8](max_entries=8)


by_signed = bpf.Hash[s32, s8](max_entries=8)


by_bool = bpf.Hash[bool, u32](max_entries=2)


by_network = bpf.Hash[be32, be16](max_entries=4)


lru = bpf.LruHash[u32, u32](max_entries=8)


pairs_per_cpu = bpf.PerCpuHash[u32, Pair](max_entries=8)


@case(15)
def none_zero_int(ctx):  # type: ignore[no-untyped-def]
    hits[1] = 0
    hits[2] = 5
    a, b, c = hits.get(1), hits.get(2), hits.get(3)
    r = 0
    if not a:
        r += 1
    if b:
        r += 2
    if not c:
        r += 4
    if a is not None and c is None and b is not None and b == 5:
        r += 8
    return r


@case(3)
def none_zero_record(ctx):  # type: ignore[no-untyped-def]
    entries[1] = Record()
    a, c = entries.get(1), entries.get(3)
    r = 0
    if a:
        r += 1
    if not c:
        r += 2
    return r


@case(6)
def while_not_none(ctx):  # type: ignore[no-untyped-def]
    hits[1] = 2
    hits[2] = 3
    hits[3] = 4
    k = 1
    n = 0
    while (x := hits.get(k)) is not None:
        n += k
        k = u32(x)
    return n


@case(5)
def ternary_none(ctx):  # type: ignore[no-untyped-def]
    x = hits.get(1)
    y = x if x is not None else 5
    return y


@case(5)
def or_default(ctx):  # type: ignore[no-untyped-def]
    x = hits.get(1) or 5
    return x


@case(7)
def aug_ops(ctx):  # type: ignore[no-untyped-def]
    hits[1] = 0xF0
    hits[1] |= 0x0F
    hits[1] &= 0x3F
    hits[1] ^= 0x01
    hits[1] -= 0x30
    hits[1] *= 2
    hits[1] //= 4
    return hits.get(1, 0)


@case(7)
def aug_ops32(ctx):  # type: ignore[no-untyped-def]
    h32[1] = 0xF0
    h32[1] |= 0x0F
    h32[1] &= 0x3F
    h32[1] ^= 0x01
    h32[1] -= 0x30
    h32[1] *= 2
    h32[1] //= 4
    return h32.get(1, 0)


@case(7)
def aug_ops8(ctx):  # type: ignore[no-untyped-def]
    h8[1] = 0xF0
    h8[1] |= 0x0F
    h8[1] &= 0x3F
    h8[1] ^= 0x01
    h8[1] -= 0x30
    h8[1] *= 2
    h8[1] //= 4
    return h8.get(1, 0)


@case(0xFFFFFFFF)
def aug_wrap32(ctx):  # type: ignore[no-untyped-def]
    h32[1] -= 1
    return h32.get(1, 0)


@case(255)
def aug_wrap8(ctx):  # type: ignore[no-untyped-def]
    h8[1] -= 1
    return h8.get(1, 0)


@case(4)
def aug_signed(ctx):  # type: ignore[no-untyped-def]
    s64s[1] -= 10
    s64s[1] //= 3
    s64s[1] += 8
    return s64s.get(1, 0)


@case(3)
def aug_16(ctx):  # type: ignore[no-untyped-def]
    h16[1] -= 10
    h16[1] >>= 2
    return h16.get(1, 0) + 6


@case(0)
def aug_full(ctx):  # type: ignore[no-untyped-def]
    tiny[1] += 1
    tiny[2] += 1
    return tiny.get(2, 0)


@case(1)
def bool_map(ctx):  # type: ignore[no-untyped-def]
    hb[1] = len(ctx.packet) > 3
    hb[2] = 0
    return hb.get(1, False) and not hb.get(2, True)


@case(9)
def padded_keys(ctx):  # type: ignore[no-untyped-def]
    k = Pad(a=1, b=2, c=3)
    keyed[k] = 4
    keyed[Pad(a=1, b=2, c=3)] += 5
    return keyed.get(Pad(c=3, b=2, a=1), 0)


@case(4, packet=Packed(a=1, b=2, c=3, d=4).to_bytes() + bytes(60))
def packet_key(ctx):  # type: ignore[no-untyped-def]
    p = ctx.packet.at(0, Packed)
    if p is None:
        return 0
    packedkeys[p] = 4
    return packedkeys.get(p, 0)


@case(3)
def del_in_loop(ctx):  # type: ignore[no-untyped-def]
    for i in range(6):
        hits[i] = i
    for i in range(0, 6, 2):
        del hits[i]
    n = 0
    for i in range(6):
        if i in hits:
            n += 1
    return n


@case(4)
def in_then_get(ctx):  # type: ignore[no-untyped-def]
    hits[1] = 4
    if 1 in hits and 2 not in hits:
        return hits.get(1, 0)
    return 0


@case(1)
def default_minus_one(ctx):  # type: ignore[no-untyped-def]
    n = h32.get(1, -1)
    return n == -1


@case(1)
def default_minus_one_s64(ctx):  # type: ignore[no-untyped-def]
    return s64s.get(1, -1) < 0


@case(5)
def compare_u64_minus(ctx):  # type: ignore[no-untyped-def]
    n = hits.get(1, 0)
    if n > -1 and not n < -5 and n != -1:
        return 5
    return 6


@case(0)
def per_cpu_plain(ctx):  # type: ignore[no-untyped-def]
    cpu[1] += 5
    cpu[1] -= 5
    return cpu[1]


@case(20)
def tail_none(ctx):  # type: ignore[no-untyped-def]
    bump()
    unused = hits.get(1)  # noqa: F841
    return 20


@case(2)
def del_then_get(ctx):  # type: ignore[no-untyped-def]
    hits[1] = 2
    v = hits.get(1)
    del hits[1]
    if v is None:
        return 0
    return v


@case(11)
def helper_call_kw(ctx):  # type: ignore[no-untyped-def]
    bpf.helpers.map_update_elem(hits, 1, 11, flags=0)
    return hits.get(1, 0)


@case(12)
def helper_map_value_ref(ctx):  # type: ignore[no-untyped-def]
    r = records[0]
    r.total = 12
    bpf.helpers.map_update_elem(hits, 1, r.total, 0)
    return hits.get(1, 0)


@case(1)
def compare_refs_none_chain(ctx):  # type: ignore[no-untyped-def]
    a = entries.get(1)
    b = entries.get(2)
    if a is None and b is None:
        return 1
    if a is None or b is None:
        return 2
    return a.n + b.n


@case(3)
def if_not_all(ctx):  # type: ignore[no-untyped-def]
    hits[1] = 1
    a = hits.get(1)
    b = hits.get(2)
    if not (a is not None and b is not None):
        return 3
    return a + b


@case(4)
def none_in_loop_continue(ctx):  # type: ignore[no-untyped-def]
    hits[2] = 4
    total = 0
    for i in range(4):
        v = hits.get(i)
        if v is None:
            continue
        total += v
    return total


@case(4)
def none_in_loop_break(ctx):  # type: ignore[no-untyped-def]
    hits[0] = 4
    total = 0
    for i in range(4):
        v = hits.get(i)
        if v is None:
            break
        total += v
    return total


@case(22)
def last_ref_found(ctx):  # type: ignore[no-untyped-def]
    entries[2] = Record(n=22)
    entries[1] = Record(n=11)
    found = None
    for i in range(4):
        r = entries.get(i)
        if r is not None:
            found = r
    return found.n if found is not None else 0


@case(11)
def first_ref_found(ctx):  # type: ignore[no-untyped-def]
    entries[2] = Record(n=22)
    entries[1] = Record(n=11)
    for i in range(4):
        r = entries.get(i)
        if r is not None:
            break
    else:
        return 0
    return r.n


@case(1)
def hash_u64_key(ctx):  # type: ignore[no-untyped-def]
    by_u64[0xFFFFFFFFFFFFFFFF] = 1
    by_u64[u64(len(ctx.packet)) << 57] = 2
    return by_u64.get(0xFFFFFFFFFFFFFFFF, 0) == 1 and by_u64.get(1 << 63, 0) == 2


@case(1)
def signed_key(ctx):  # type: ignore[no-untyped-def]
    by_signed[-5] = -3
    by_signed[len(ctx.packet) - 69] -= 1
    return by_signed.get(-5, 0) == -4


@case(12)
def bool_key(ctx):  # type: ignore[no-untyped-def]
    by_bool[len(ctx.packet) > 3] += 2
    by_bool[False] += 10
    return by_bool.get(True, 0) + by_bool.get(False, 0)


@case(0x1235)
def be_key(ctx):  # type: ignore[no-untyped-def]
    by_network[0x01020304] = 0x1234
    by_network[0x01020304] += 1
    return by_network.get(0x01020304, 0)


@case(5)
def lru_ops(ctx):  # type: ignore[no-untyped-def]
    lru[1] = 4
    lru[1] += 1
    lru[2] += 3
    del lru[2]
    return lru.get(1, 0) + (2 in lru)


@case(9)
def percpu_struct(ctx):  # type: ignore[no-untyped-def]
    p = pairs_per_cpu.get(1)
    if p is None:
        pairs_per_cpu[1] = Pair(x=4)
        p = pairs_per_cpu.get(1)
        if p is None:
            return 0
    p.x += 5
    return p.x


@case(0)
def set_delete_codes(ctx):  # type: ignore[no-untyped-def]
    a = hits.set(1, 1, bpf.BPF_NOEXIST)
    b = hits.set(1, 1, flags=bpf.BPF_NOEXIST)
    c = hits.set(2, 1, bpf.BPF_EXIST)
    d = hits.delete(1)
    e = hits.delete(1)
    return 0 if (a, b, c, d, e) == (0, -17, -2, 0, -2) else 1


@case(0)
def set_full(ctx):  # type: ignore[no-untyped-def]
    tiny[1] = 1
    return 0 if tiny.set(2, 1) == -7 else 1


numbers = bpf.Array[s64](max_entries=1)


@case(1)
def two_views_of_the_same_bits(ctx):  # type: ignore[no-untyped-def]
    numbers[0] = len(ctx.packet) - 65
    large: u64 = numbers[0]
    if -100 < s64(large) < 0:
        return large > 1 << 63
    return 2


found = bpf.Hash[u32, u32](max_entries=8)
steps = bpf.Array[u32](max_entries=4)


def forget(key: u32) -> u32:
    del found[key]
    return key


def forget_slowly(key: u32) -> u32:
    """Long enough to be a subprogram."""
    total = key
    for i in range(4):
        total += (total ^ i) + (total & 3) + (total | 5) + (total >> 1) + (total + 7) // 3 + (total + 9) % 5
        total -= (total ^ i) + (total & 3) + (total | 5) + (total >> 1) + (total + 7) // 3 + (total + 9) % 5
        total ^= (total ^ i) + (total & 3) + (total | 5) + (total >> 1) + (total + 7) // 3 + (total + 9) % 5
        total |= (total ^ i) + (total & 3) + (total | 5) + (total >> 1) + (total + 7) // 3 + (total + 9) % 5
    del found[key]
    return total & 0


@case(0b0101)
def an_entry_deleted_between_two_looks(ctx):  # type: ignore[no-untyped-def]
    key = len(ctx.packet) & 3
    found[key] = 7
    seen = 1 if key in found else 0
    del found[key]
    seen |= 2 if key in found else 0
    found[key] = 8
    seen |= 4 if found.get(key, 0) == 8 else 0
    forget(key)
    return seen | (8 if key in found else 0)


@case(1)
def an_entry_deleted_by_a_subprogram(ctx):  # type: ignore[no-untyped-def]
    key = len(ctx.packet) & 3
    found[key] = 7
    seen = 1 if key in found else 0
    seen += forget_slowly(key)
    found[key + 1] = 3
    if key + 1 in found:
        seen += forget_slowly(key + 1)
    return seen | (8 if key in found else 0) | (16 if key + 1 in found else 0)


@case(4 + 3 + 2 + 1)
def an_entry_created_on_each_trip(ctx):  # type: ignore[no-untyped-def]
    key = len(ctx.packet) & 3
    total = 0
    for i in range(4):
        if key not in found:
            found[key] = 4 - i
        value = found.get(key)
        if value is not None:
            total += value
        del found[key]
    return total


@case(6)
def an_array_entry_read_after_writing(ctx):  # type: ignore[no-untyped-def]
    index = len(ctx.packet) & 3
    steps[index] = 1
    for i in range(3):
        steps[index] += i
    steps[index] = steps[index] + 2
    return steps[index]


@case.parametrize()
def test_a_program_gives(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)
