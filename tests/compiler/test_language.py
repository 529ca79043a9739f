"""What the language means, construct by construct: each program runs on the virtual machine and in the kernel's test-run."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator

import pytest

import purebpf as bpf
from purebpf import be16, be32, s8, s16, s32, s64, u8, u16, u32, u64
from purebpf.net import Ethernet

FRAME = bytes(range(1, 65))
TABLE = (10, 20, 30, 40)
SIGNED = (-1, 5, -300, 7)


class Kind(enum.IntEnum):
    LOW = 1
    HIGH = 2


@bpf.struct
class Fields:
    a: u8 = 0
    b: s8 = 0
    c: u16 = 0
    d: s16 = 0
    e: be16 = 0
    f: u32 = 0
    g: s32 = 0
    h: be32 = 0
    i: u64 = 0
    j: s64 = 0
    k: bool = False
    text: str = bpf.chars(8)
    raw: bytes = bpf.bytes(6)
    items: list[u32] = bpf.array(u32, 4)


@bpf.struct
class Bits:
    low: u8 = bpf.bits(3)
    middle: u8 = bpf.bits(4)
    top: u8 = bpf.bits(1)


out = bpf.Array[s64](max_entries=8)
record = bpf.Array[Fields](max_entries=1)
flags = bpf.Array[Bits](max_entries=1)
hits = bpf.Hash[u32, u64](max_entries=16)
per_cpu = bpf.PerCpuHash[u32, u64](max_entries=16)
counters = bpf.PerCpuArray[u64](max_entries=4)
lru = bpf.LruHash[u32, u32](max_entries=16)
keyed = bpf.Hash[Fields, u32](max_entries=4)


@pytest.fixture(params=["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[..., int]]:
    """Runs a function as an XDP program; gives its result as the kernel's unsigned 32 bits."""
    loaded: list[bpf.Program] = []

    def go(function: Callable[..., object], packet: bytes = FRAME) -> int:
        program = bpf.xdp(function)
        loaded.append(program)
        return program.run(packet=packet, engine=request.param).value

    yield go
    for program in loaded:
        program.close()


def signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


# -- integers


@pytest.mark.parametrize("a", [7, -7, 0, 1, -1, 100])
@pytest.mark.parametrize("b", [3, -3, 8, -8])
def test_floor_division_and_remainder(run: Callable[..., int], a: int, b: int) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        x = s32(ctx.ingress_ifindex * 0 + a)
        out[0] = x // b
        out[1] = x % b
        return 0

    run(program)
    assert (out[0], out[1]) == (a // b, a % b)


def test_division_by_a_run_time_zero(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        zero = len(ctx.packet) - 64
        out[0] = 17 // zero
        out[1] = 17 % zero
        out[2] = -17 // zero
        out[3] = -17 % zero
        return 0

    run(program)
    assert [out[i] for i in range(4)] == [0, 17, 0, -17]


def test_differences_are_exact_and_stores_narrow(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n: u8 = len(ctx.packet)  # 64
        out[0] = n - 200
        out[1] = ~n
        out[2] = -n
        small: u8 = n * 5
        out[3] = small
        out[4] = s8(n * 3)
        out[5] = u16(n - 65)
        return 0

    run(program)
    assert [out[i] for i in range(6)] == [-136, -65, -64, 320 % 256, 192 - 256, 65535]


def test_wrapping_at_64_bits(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        big: u64 = 0xFFFFFFFFFFFFFFFF
        hits[1] = big + u32(len(ctx.packet))
        low: s64 = -0x8000000000000000
        out[0] = low - s32(len(ctx.packet))
        return 0

    run(program)
    assert hits[1] == 63
    assert out[0] == (1 << 63) - 64


def test_comparisons_of_mixed_signs_are_exact(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n: u64 = hits.get(9, 0xFFFFFFFFFFFFFFFF)
        minus: s32 = len(ctx.packet) - 65
        result = 0
        if minus < n:
            result |= 1
        if n > minus:
            result |= 2
        if minus == n:
            result |= 4
        if minus != n:
            result |= 8
        if n <= minus:
            result |= 16
        return result

    assert run(program) == 1 | 2 | 8


def test_shifts(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        minus = s32(n - 128)
        out[0] = minus >> 3
        out[1] = n << 40
        out[2] = n >> (n % 7)
        return 0

    run(program)
    assert [out[i] for i in range(3)] == [-8, 64 << 40, 32]


def test_chained_comparison_ternary_walrus_and_swap(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        a, b = 1, 2
        a, b = b, a
        inside = 10 < n <= 64
        outside = 10 < n < 64
        if (m := n // 2) > 30 and inside and not outside:
            return m * 100 + a * 10 + b
        return 5 if inside else 6

    assert run(program) == 3221


def test_and_or_give_operands(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        zero = n - 64
        out[0] = zero or 7
        out[1] = n and 8
        out[2] = zero and 9
        out[3] = n or 9
        return 0

    run(program)
    assert [out[i] for i in range(4)] == [7, 8, 0, 64]


def test_min_max_abs_bool_in_and_tables(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        out[0] = min(n, 70, 3) + max(n, 1)
        out[1] = abs(n - 100)
        out[2] = TABLE[n % 4] + SIGNED[(n + 2) % 4]
        out[3] = (n in (1, 64)) + (n in range(60, 64)) + bool(n)
        out[4] = n.bit_count() + (n * 3).bit_count()
        return 0

    run(program)
    assert [out[i] for i in range(5)] == [67, 36, 10 - 300, 2, 3]


# -- statements


def test_loops(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        total: s64 = 0
        for i in range(10):
            if i == 3:
                continue
            if i == 8:
                break
            total += i
        else:
            total += 1000
        out[0] = total
        out[1] = i
        for i in range(9, -1, -3):
            total += i
        else:
            total += 1000
        out[2] = total
        for i in range(-2, 2):
            for j in (1, 2):
                total += i * j
        out[3] = total
        n = len(ctx.packet)
        steps = 0
        while n > 1:
            n //= 2
            steps += 1
        out[4] = steps
        return 0

    run(program)
    assert [out[i] for i in range(5)] == [25, 8, 1043, 1037, 6]


def test_a_range_of_run_time_length(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        total = 0
        for i in range(len(ctx.packet)):
            total += i
        return u32(total)

    assert run(program) == sum(range(64))


def test_match(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        match n % 5:
            case Kind.LOW | Kind.HIGH:
                first = 1
            case 4 if n > 100:
                first = 2
            case other if other == 4:
                first = 3
            case _:
                first = 4
        match (n, first):
            case (64, 3):
                return 33
            case _:
                return 44

    assert run(program) == 33


def double(x: int, by: int = 2) -> int:
    return x * by


def classify(n: u32, limit: u32) -> u32:
    """Large enough for a subprogram when it is called twice."""
    total = n
    if n > limit:
        total += (n - limit) * 3 + (n & 7) * 5 + (limit | 1) * 7
        total ^= (n << 2) + (limit >> 1)
    else:
        total += (limit - n) * 2 + (n | 8) * 3 + (limit & 3) * 11
        total ^= (n << 1) + (limit >> 2)
    for i in range(3):
        total += i * n + (limit ^ i)
        total ^= (total >> 3) & 0xFF
    if total % 3 == 0:
        total += 1
    elif total % 5 == 0:
        total += 2
    elif total % 7 == 0:
        total += 3
    return u32(total)


def test_functions(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        out[0] = double(n) + double(n, by=3) + double(by=1, x=n)
        out[1] = classify(n, 10)
        out[2] = classify(10, n)
        return 0

    run(program)
    assert [out[i] for i in range(3)] == [64 * 6, classify(64, 10), classify(10, 64)]


def test_subprograms_are_functions_of_their_own() -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        return classify(len(ctx.packet), 10) + classify(10, len(ctx.packet))

    compiled = bpf.xdp(program).compiled()
    assert [function.name for function in compiled.program.functions] == ["program", "classify"]


# -- memory


def test_fields_of_every_type(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        r = record[0]
        n = len(ctx.packet)
        r.a, r.b, r.c, r.d = n + 200, n - 200, n + 70000, n - 40000
        r.e, r.f, r.g, r.h = 0x1234, n << 31, -n, 0x01020304
        r.i, r.j, r.k = n << 60, -(n << 50), n > 3
        r.text = "abc"
        r.raw = b"\x01\x02\x03\x04\x05\x06"
        r.items[3] = n
        r.items[n % 3] += 5
        return (
            r.e == 0x1234 and r.h == 0x01020304 and r.b > 0 and r.k and r.text == "abc" and r.raw[5] == 6 and r.items[-1] == 64
        )

    assert run(program) == 1
    r = record[0]
    assert (r.a, r.b, r.c, r.d) == (264 % 256, 120, (64 + 70000) % 65536, (64 - 40000) % 65536 - 0)
    assert (r.e, r.f, r.g, r.h) == (0x1234, (64 << 31) % (1 << 32), -64, 0x01020304)
    assert (r.i, r.j, r.k, r.text, r.raw) == ((64 << 60) % (1 << 64), -(64 << 50), True, "abc", b"\1\2\3\4\5\6")
    assert r.items == [0, 5, 0, 64]


def test_bit_fields(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        f = flags[0]
        f.low = 5
        f.middle = len(ctx.packet) - 54
        f.top = 1
        f.low += 1
        return f.low * 100 + f.middle * 10 + f.top

    assert run(program) == 6 * 100 + 10 * 10 + 1
    assert flags[0] == Bits(low=6, middle=10, top=1)


def test_packets_are_read_and_written(run: Callable[..., int]) -> None:
    @bpf.xdp
    def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
        eth = ctx.packet.at(0, Ethernet)
        if eth is None:
            return 0
        eth.dst, eth.src = eth.src, eth.dst
        eth.proto = 0x86DD
        byte = ctx.packet.at(len(ctx.packet) - 1, u8)
        beyond = ctx.packet.at(len(ctx.packet), u8)
        if byte is None or beyond is not None:
            return 1
        if ctx.packet.at(len(ctx.packet) - 65, u8) is not None:
            return 2
        return byte

    result = program.run(packet=FRAME, engine="vm")
    program.close()
    assert result.value == 64
    assert result.data == FRAME[6:12] + FRAME[:6] + b"\x86\xdd" + FRAME[14:]


# -- maps


def test_maps(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        hits[1] = 5
        hits[1] += 2
        hits[2] += 3
        hits[3] = 1
        del hits[3]
        per_cpu[7] += 1
        counters[2] += 4
        lru[1] = 9
        keyed[Fields(a=1)] = 8
        result = 0
        if 1 in hits and 3 not in hits:
            result |= 1
        if hits.get(4) is None and hits.get(4, 6) == 6:
            result |= 2
        value = lru.get(1)
        if value and value == 9:
            result |= 4
        if keyed.get(Fields(a=1), 0) == 8 and keyed.get(Fields(a=2)) is None:
            result |= 8
        if hits.set(1, 1, bpf.BPF_NOEXIST) < 0 and hits.delete(5) < 0:
            result |= 16
        return result

    assert run(program) == 31
    assert dict(hits.items()) == {1: 7, 2: 3}
    assert per_cpu.sums() == {7: 1} and counters.sums() == {2: 4}


def test_records_are_references_and_integers_values(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        first, second = record[0], record[0]
        before = first.i
        first.i += 5
        return before * 10 + second.i

    assert run(program) == 5


def test_a_reference_must_be_tested_on_every_way(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        entry = hits.get(1)
        if entry is None:
            hits[1] = 3
            entry = hits.get(1)
            if entry is None:
                return 0
        return entry + 1

    assert run(program) == 4


def test_a_store_by_index_is_seen_by_reads_of_constant_places(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        v = bpf.array(u32, 4)
        v[0] = 5
        v[len(ctx.packet) & 3] = 9
        return v[0]

    assert run(program) == 9


def test_signed_division_at_the_start_of_a_program(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        a: s64 = len(ctx.packet)
        b: s64 = a - 69
        return u32(a // b)

    assert signed(run(program)) == 64 // -5


@bpf.struct
class Words:
    items: list[u64] = bpf.array(u64, 3)
    index: u16 = 0
    raw: bytes = bpf.bytes(5)


def test_a_run_time_index_into_a_packet(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        words = ctx.packet.at(0, Words)
        if words is None:
            return 0
        words.items[words.index % 3] += 5
        return u32(words.items[words.index % 3] + words.raw[words.index % 5])

    packet = Words(items=[1, 2, 3], index=8, raw=b"\0\0\0\x07\0").to_bytes().ljust(64, b"\0")
    assert run(program, packet) == 3 + 5 + 7


def table_sum(n: u32, start: u32) -> u32:
    """A subprogram with a proven index and no constant result."""
    places = bpf.array(u32, 5)
    places[n % 5] = start
    places[start % 5] += n
    total = n
    for i in range(5):
        total += places[i] * (i + 1) + (start ^ i)
        total ^= (total >> 3) & 0xFF
        total += (n << 2) + (start >> 1)
    if total % 3 == 0:
        total += places[(n + start) % 5]
    elif total % 5 == 0:
        total += places[(n ^ start) % 5] * 2
    elif total % 7 == 0:
        total += places[(n | start) % 5] * 3
    return u32(total)


def test_a_subprogram_with_proven_indices(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        return table_sum(len(ctx.packet), 3) ^ table_sum(3, len(ctx.packet))

    assert run(program) > 0
    assert len(bpf.xdp(program).compiled().program.functions) == 2


def test_a_bounded_loop_around_one_without_a_bound(run: Callable[..., int]) -> None:
    def program(ctx):  # type: ignore[no-untyped-def]
        n = len(ctx.packet)
        total: u32 = 0
        for i in range(n & 3, n & 7, 1):
            total += i
        for i in range(n % 5, 9, 2):
            left = n
            while left > 1:
                left //= 2
                total += i
        return total

    assert run(program) == sum(i * 6 for i in range(4, 9, 2))
