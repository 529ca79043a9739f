"""What plain Python would do otherwise: narrowing, 64 bits, divisors of 0, references, places."""

from __future__ import annotations

import functools

import pytest

import purebpf as bpf
from purebpf import be16, s8, s16, s32, s64, u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.as_python import both


@bpf.struct
class Numbers:
    a: u64 = 0
    b: u64 = 0
    s: s64 = 0
    t: s64 = 0
    small: u16 = 0
    less: u16 = 0
    zero: u32 = 0


NUMBERS = Numbers(a=3, b=(1 << 64) - 2, s=-(1 << 63), t=-1, small=3, less=5, zero=0)
found = bpf.Array[u64](max_entries=16)
signs = bpf.Array[s64](max_entries=16)
per_cpu = bpf.PerCpuArray[u32](max_entries=2)
by_key = bpf.Hash[u8, u32](max_entries=2)
records = bpf.Hash[u16, Numbers](max_entries=4)


def difference(x, y):  # type: ignore[no-untyped-def]
    return x - y


def narrow(x: u8, y: s8 = 100) -> s16:
    return x * 100 + y


from_three = functools.partial(narrow, 3)


@bpf.xdp
def sixty_four_bits(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    found[0] = (n.a - n.b) // 2  # wraps before it is divided
    found[1] = (n.a + n.b) // 3
    signs[0] = (n.s + n.t) // 2
    signs[1] = n.s // n.t
    signs[2] = -n.t
    found[2] = ~n.a >> 1
    total = n.b
    for _ in range(3):
        total += n.b
    found[3] = total >> 1
    found[4] = sum(n.b for _ in range(5)) % 7
    found[5] = (n.a << n.small + 60) + 1 >> 2
    return n.a - n.b > 1 << 40


@bpf.xdp
def one_function_of_several_types(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    result = 0
    if difference(n.a, n.b) > 1 << 62:
        result += 1
    if difference(n.small, n.less) < 0:
        result += 2
    if difference(n.s, n.t) < 0:
        result += 4
    if difference(n.a, n.b + 1) > 10:
        result += 8
    return result


@bpf.xdp
def narrowing(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    x: u8 = n.b
    y: s8 = n.less + 250
    found[0] = x
    signs[0] = y
    x += 300
    found[1] = x
    for x in range(250, 260):
        found[2] += x
    found[3], x = x, n.b
    found[4] = x
    if (x := n.b - 7) > 100:
        found[5] = x
    signs[1] = narrow(n.b)
    signs[2] = narrow(x=n.b, y=n.b)
    flag: bool = n.b
    signs[3] = flag
    maybe: u8 = found.get(n.small)
    if maybe is not None:
        signs[4] = maybe
    n.small = n.b
    n.t += 70000
    match n.b:
        case x:
            signs[5] = x
    return u8(n.b) + s32(n.b) + be16(n.b)


@bpf.xdp
def by_zero(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    found[0] = n.a // n.zero + n.small % n.zero
    signs[0] = n.t // n.zero
    signs[1] = n.t % n.zero
    n.small //= n.zero
    n.less %= n.zero
    quotient, rest = divmod(n.less, n.zero)
    return quotient * 100 + rest


@bpf.xdp
def maps_and_places(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    eth = ctx.packet.at(0, Ethernet)
    if n is None or eth is None:
        return bpf.XDP_DROP
    per_cpu[1] += 5
    by_key[300 + n.small] += 1
    by_key[1] += 1
    by_key[2] += 1  # full: lost
    result = by_key.set(9, 9) + 100 * by_key.delete(77)
    records[1] = Numbers(a=1)
    held = records.get(1)
    if held is not None:
        held.a += 5
        records[1] = Numbers(a=9)
        held.b = 4  # the entry that was there before
    old = bpf.atomic.fetch_add(found[3], 7)
    absent = bpf.atomic.fetch_or(by_key[200], 1)
    found[4] = bpf.atomic.compare_exchange(found[3], 7, n.b) if old is not None and absent is None else 99
    eth.dst, eth.src = eth.src, eth.dst
    found[5] = bpf.raw(eth.proto)
    del by_key[1]
    return result + (1 in by_key) + len(ctx.packet)


@bpf.xdp
def printing(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    bpf.printk(f"{n.a} {n.small:04x} {n.t} 100% {n.a > 1} {True}")
    print("two", n.less, "words")
    return bpf.printk("done")


PROGRAMS = (sixty_four_bits, one_function_of_several_types, narrowing, by_zero, maps_and_places, printing)


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_a_function_does_what_its_bytecode_does(program: bpf.Program) -> None:
    bytecode, python = both(program, NUMBERS.to_bytes() + bytes(20))
    assert python == bytecode


def test_results_wrap_at_64_bits_by_the_types_of_each_call() -> None:
    """With numbers that plain Python would give otherwise."""
    packet = NUMBERS.to_bytes() + bytes(20)
    try:
        assert sixty_four_bits.python(packet=packet).value == 0
        assert (found[0], found[1], signs[1]) == (2, 0, -(1 << 63))
    finally:
        sixty_four_bits.close()
    try:
        assert one_function_of_several_types.python(packet=packet).value == 2 + 4
    finally:
        one_function_of_several_types.close()


def less(x, y):  # type: ignore[no-untyped-def]
    return any(difference(x, y + i) > 1 << 62 for i in range(2)) if y < 0 or y > 0 else False


@bpf.xdp
def ways_through_generators(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    flag = n.a > 1
    print("a bool", flag, True)
    return less(n.a, n.b) + 2 * less(n.small, n.less) + 4 * less(n.s, n.t) + 16 * from_three(n.less)


def test_the_way_to_a_result_may_lead_through_generators() -> None:
    bytecode, python = both(ways_through_generators, NUMBERS.to_bytes() + bytes(20))
    assert python == bytecode


@bpf.xdp
def functions_inside(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    total: u16 = 65000
    low: u8 = 3
    other = 0

    def add(i: u8) -> bool:
        """Adds."""
        nonlocal total, other
        low: s8 = i + 126
        total += i * 300
        other += low
        return i == 7

    calls = bpf.loop(300, add)
    low += 255
    found[0] = total
    signs[0] = other
    for key, value in by_key.items():
        found[1] += key * value
    return calls * 1000 + low


def test_functions_inside_a_program_have_their_own_annotations() -> None:
    bytecode, python = both(functions_inside, NUMBERS.to_bytes() + bytes(20))
    assert python == bytecode
    assert python[0] == 8 * 1000 + 2


@bpf.xdp
def several_types_in_one_loop(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    result = 0
    for x in (n.small, n.a):
        if x - n.less > 100:
            result += 1
    for x, y in ((n.small, n.less), (n.a, n.b), (n.s, n.t)):
        if difference(x, y) < -1:
            result += 10
        if x:
            continue
        break
    return result


@bpf.xdp
def several_types_in_one_generator(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    return sum(x - n.less > 100 for x in (n.small, n.a))


def test_each_turn_of_a_loop_over_a_tuple_has_its_own_types() -> None:
    bytecode, python = both(several_types_in_one_loop, NUMBERS.to_bytes())
    assert python == bytecode
    assert python[0] == 1 + 10 + 10


def test_a_result_that_python_cannot_tell_is_an_error_and_no_guess() -> None:
    try:
        same = Numbers(a=9, small=9, less=5).to_bytes()
        assert several_types_in_one_generator.python(packet=same).value == 0
        with pytest.raises(bpf.Error, match="signed for one item of the loop and unsigned for another"):
            several_types_in_one_generator.python(packet=NUMBERS.to_bytes())
    finally:
        several_types_in_one_generator.close()


def large(x: s64, y: u32) -> u16:
    """So large, and called twice, that it is a function of its own."""
    total: u32 = 0
    total += (y ^ 1) + (y ^ 2) + (y ^ 3) + (y ^ 4) + (y ^ 5) + (y ^ 6) + (y ^ 7) + (y ^ 8) + (y ^ 9) + (y ^ 10) + (y ^ 11)
    total += (y ^ 1) + (y ^ 2) + (y ^ 3) + (y ^ 4) + (y ^ 5) + (y ^ 6) + (y ^ 7) + (y ^ 8) + (y ^ 9) + (y ^ 10) + (y ^ 11)
    if x << 63 > y:
        return 1
    return 2 + (total & 1)


@bpf.xdp
def a_function_of_its_own_in_a_loop(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = ctx.packet.at(0, Numbers)
    if n is None:
        return bpf.XDP_DROP
    result = 0
    while result < n.small:  # lowered several times, the function once
        result += large(n.small, n.zero)
    return result * 10 + large(n.less, n.zero)


def test_functions_of_their_own_wrap_by_their_own_types() -> None:
    bytecode, python = both(a_function_of_its_own_in_a_loop, NUMBERS.to_bytes())
    assert python == bytecode
    assert len(a_function_of_its_own_in_a_loop.compiled().functions) == 2
