"""Code that the kernel calls back: `bpf.loop`, `m.for_each`, `for` over maps; what it sees, assigns, and how it stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import s64, u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import Table, check, check_ir


@bpf.struct
class Pair:
    a: u32 = 0
    b: u64 = 0


@bpf.struct
class Key:
    x: u16 = 0
    y: u16 = 0


counts = bpf.Hash[u32, u64](max_entries=16)
pairs = bpf.Hash[u32, Pair](max_entries=16)
keyed = bpf.Hash[Key, u32](max_entries=16)
slots = bpf.Array[u64](max_entries=8)
own = bpf.PerCpuArray[u64](max_entries=4)
ring = bpf.RingBuf[Pair](size=4096)
case = Table()


def stop_at_three(i: int) -> bool:
    slots[0] += i
    return i == 3


@case(4 + 100 * (0 + 1 + 2 + 3))
def a_plain_function(ctx: bpf.XdpContext) -> int:
    slots[0] = 0
    n = bpf.loop(10, stop_at_three)
    return n + 100 * slots[0]


@case(sum(range(1000)))
def assigns_what_is_nonlocal(ctx: bpf.XdpContext) -> int:
    total = 0

    def add(i: int) -> None:
        nonlocal total
        total += i

    bpf.loop(1000, add)
    return total


@case(64 * 10 + 5)
def sees_the_variables_around(ctx: bpf.XdpContext) -> int:
    length = len(ctx.packet)
    step = 5
    total: u32 = step
    seen = False

    def add(i: int) -> bool:
        nonlocal total, seen
        step = length
        total += step
        seen = True
        return False

    bpf.loop(10, add)
    return total if seen and step == 5 else 0


@case(1)
def several_returns_and_signs(ctx: bpf.XdpContext) -> int:
    low: s64 = 0
    last = -1

    def down(i: int) -> bool:
        nonlocal low, last
        last = i
        if i > 6:
            return True
        if i % 2:
            return False
        low -= i
        return False

    made = bpf.loop(u8(len(ctx.packet)), down)
    return 1 if (low, last, made) == (-12, 7, 8) else 0


@case(7)
def reads_and_writes_the_packet(ctx: bpf.XdpContext) -> int:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    proto = eth.proto

    def mark(i: int) -> bool:
        byte = ctx.packet.at(20 + i, u8)
        if byte is None:
            return True
        slots[1] = proto + byte
        return False

    n = bpf.loop(7, mark)
    return n


@case(45)
def a_record_around_is_filled(ctx: bpf.XdpContext) -> int:
    pair = Pair(a=0, b=0)
    values = bpf.array(u32, 10)

    def fill(i: int) -> None:
        pair.a += i
        if i < 10:
            values[i] = i * 2

    bpf.loop(10, fill)
    return pair.a if values[9] == 18 else 0


@case(3)
def a_reference_around_may_be_none(ctx: bpf.XdpContext) -> int:
    pairs[1] = Pair(a=3)
    found = pairs.get(1)
    missing = pairs.get(7)
    total = 0

    def look(i: int) -> bool:
        nonlocal total
        if missing is not None:
            total += 100
        if found is None:
            return True
        found.b += 1
        total = found.a
        return False

    bpf.loop(4, look)
    after = pairs.get(1)
    return total if after is not None and after.b == 4 else 0


@case(60)
def callbacks_nest(ctx: bpf.XdpContext) -> int:
    total = 0

    def outer(i: int) -> bool:
        nonlocal total

        def inner(j: int) -> bool:
            nonlocal total
            total += i * j
            return False

        bpf.loop(5, inner)
        return False

    bpf.loop(4, outer)
    return total


@case(30)
def inside_a_loop_of_the_program(ctx: bpf.XdpContext) -> int:
    total = 0

    def add(i: int) -> None:
        nonlocal total
        total += i

    for _ in range(3):
        bpf.loop(5, add)
    return total


@case(0)
def no_call_at_all(ctx: bpf.XdpContext) -> int:
    return bpf.loop(0, stop_at_three)


@case(1)
def the_number_may_be_large(ctx: bpf.XdpContext) -> int:
    n: u32 = 0x80000000 + len(ctx.packet)
    return 1 if bpf.loop(n, stop_at_three) == -7 else 0


@case(20 + 1 + 2 + 3)
def for_each_of_a_hash(ctx: bpf.XdpContext) -> int:
    for i in range(1, 4):
        counts[i] = 2 * i + 1
    total = 0

    def add(key: int, value: int) -> bool:
        nonlocal total
        total += key + value - 1
        return False

    seen = counts.for_each(add)
    counts.for_each(remove)
    return total + seen + 5 if seen == 3 else 0


def remove(key: int, value: int) -> bool:
    del counts[key]
    return False


@case(2)
def for_each_stops(ctx: bpf.XdpContext) -> int:
    def second(index: int, value: int) -> bool:
        return index == 1

    return slots.for_each(second)


@case(36)
def items_of_an_array(ctx: bpf.XdpContext) -> int:
    for i in range(8):
        slots[i] = i + 1
    total = 0
    for index, value in slots.items():
        if value == index + 1:
            total += value
    return total


@case(6)
def a_value_of_records_is_changed_in_place(ctx: bpf.XdpContext) -> int:
    for i in range(1, 4):
        pairs[i] = Pair(a=i, b=0)
    for _, pair in pairs.items():
        pair.b += pair.a
    total = 0
    for pair in pairs.values():
        total += pair.b
        pair.a = 0
    for key in pairs:
        del pairs[key]
    return total


@case(21)
def keys_that_are_records(ctx: bpf.XdpContext) -> int:
    keyed[Key(x=1, y=2)] = 4
    keyed[Key(x=8, y=0)] = 6
    total = 0
    for key, value in keyed.items():
        total += key.x + key.y + value
    for key in keyed:
        if key.x == 8:
            del keyed[key]
    return total


@case(203)
def break_continue_and_else(ctx: bpf.XdpContext) -> int:
    result = 0
    for index in slots:
        if index < 2:
            continue
        result += 1
        if index == 4:
            break
    else:
        result += 100
    for index in slots:
        if index == 100:
            break
    else:
        result += 200
    return result


@case(5)
def return_out_of_the_body(ctx: bpf.XdpContext) -> int:
    for i in range(8):
        slots[i] = i * i
    for index, value in slots.items():
        if value >= 25:
            return index
    return 100


def first_large(limit: int) -> int:
    for index, value in slots.items():
        if value > limit:
            return index
    return 50


@case(3 + 50)
def return_out_of_a_body_in_a_function(ctx: bpf.XdpContext) -> int:
    for i in range(8):
        slots[i] = i * i
    return first_large(len(ctx.packet) - 60) + first_large(1000)


@case(6)
def own_values_of_a_cpu(ctx: bpf.XdpContext) -> int:
    for i in range(4):
        own[i] = i
    total = 0
    for value in own.values():
        total += value
    return total


@case(8)
def a_ring_record_can_be_filled(ctx: bpf.XdpContext) -> int:
    with ring.reserve() as e:
        if e is None:
            return 0

        def add(i: int) -> None:
            e.b += 2

        bpf.loop(4, add)
        return u32(e.b)


@case(1)
def the_best_of_a_map(ctx: bpf.XdpContext) -> int:
    for i in range(1, 6):
        pairs[i] = Pair(a=i * 7 % 5)
    best = None
    most = 0
    for _, pair in pairs.items():
        if pair.a > most:
            most = pair.a
            best = pair
    if best is None:
        return 0
    best.b = 99
    third = pairs.get(2)
    return 1 if third is not None and third.b == 99 and most == 4 else 0


@case(12)
def a_bool_around_decides(ctx: bpf.XdpContext) -> int:
    loud = len(ctx.packet) > 10
    n = 0

    def add(i: int) -> bool:
        nonlocal n, loud
        n += 2 if loud else 1
        loud = not loud
        return n >= 12

    bpf.loop(100, add)
    return n


@case.parametrize()
def test_result(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_result_of_the_ir(function: Callable[..., object], expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)


def test_user_space_walks_too() -> None:
    program = bpf.xdp(items_of_an_array)
    with program.load("vm"):
        program.run(packet=bytes(64))
        found: list[int] = []

        def note(index: int, value: int) -> bool:
            found.append(value)
            return index == 3

        assert slots.for_each(note) == 4 and found == [1, 2, 3, 4]
