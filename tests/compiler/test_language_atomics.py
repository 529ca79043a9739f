"""Atomic operations: the old value, the new one, every width and sign, missing keys; and that nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import be32, s32, s64, u8, u32, u64
from purebpf.compiler.options import Options
from purebpf.errors import Error
from tests.compiler.results import ENGINES, Table, check, check_ir

ALL = (1 << 64) - 1


@bpf.struct
class Cell:
    small: u32 = 0
    negative: s32 = 0
    wide: u64 = 0
    deep: s64 = 0
    network: be32 = 0
    items: list[u32] = bpf.array(u32, 4)


@bpf.globals
class state:
    wide: u64 = 5
    half: s32 = -1
    cell: Cell = Cell(small=3)
    items: list[u32] = bpf.array(u32, 4)
    byte: u8 = 0


cells = bpf.Array[Cell](max_entries=2)
words = bpf.Array[u64](max_entries=4)
halves = bpf.Array[s32](max_entries=4)
hits = bpf.Hash[u32, u64](max_entries=8)
own = bpf.PerCpuArray[u64](max_entries=1)
case = Table()


@case(1)
def every_fetch_gives_the_old_value(ctx: bpf.XdpContext) -> int:
    cell = cells[0]
    cell.wide = 12
    a = bpf.atomic.fetch_add(cell.wide, 3)  # 12, then 15
    b = bpf.atomic.fetch_sub(cell.wide, 5)  # 15, then 10
    c = bpf.atomic.fetch_or(cell.wide, 5)  # 10, then 15
    d = bpf.atomic.fetch_and(cell.wide, 6)  # 15, then 6
    e = bpf.atomic.fetch_xor(cell.wide, 3)  # 6, then 5
    f = bpf.atomic.exchange(cell.wide, 100)  # 5
    return 1 if (a, b, c, d, e, f, cell.wide) == (12, 15, 10, 15, 6, 5, 100) else 0


@case(1)
def four_bytes_wrap_by_themselves(ctx: bpf.XdpContext) -> int:
    cell = cells[0]
    cell.small = 0xFFFFFFFF
    cell.negative = -7
    a = bpf.atomic.fetch_add(cell.small, 2)
    b = bpf.atomic.fetch_sub(cell.negative, 10)
    return 1 if (a, cell.small, b, cell.negative) == (0xFFFFFFFF, 1, -7, -17) else 0


@case(1)
def a_signed_old_value_keeps_its_sign(ctx: bpf.XdpContext) -> int:
    halves[1] = -5
    old = bpf.atomic.exchange(halves[1], 9)
    cells[1].deep = -(1 << 40)
    deep = bpf.atomic.fetch_add(cells[1].deep, -1)
    return 1 if old == -5 and halves[1] == 9 and deep == -(1 << 40) and cells[1].deep == -(1 << 40) - 1 else 0


@case(1)
def compare_exchange_changes_only_what_it_finds(ctx: bpf.XdpContext) -> int:
    words[0] = 7
    a = bpf.atomic.compare_exchange(words[0], 8, 1)
    b = words[0]
    c = bpf.atomic.compare_exchange(words[0], 7, 1)
    d = words[0]
    return 1 if (a, b, c, d) == (7, 7, 7, 1) else 0


@case(1)
def compare_exchange_on_four_bytes(ctx: bpf.XdpContext) -> int:
    cell = cells[0]
    cell.negative = -1
    cell.small = 0xFFFFFFFF
    a = bpf.atomic.compare_exchange(cell.negative, -1, -2)
    b = bpf.atomic.compare_exchange(cell.small, 0xFFFFFFFF, 5)
    return 1 if (a, cell.negative, b, cell.small) == (-1, -2, 0xFFFFFFFF, 5) else 0


@case(1)
def a_missing_key_gives_none(ctx: bpf.XdpContext) -> int:
    del hits[5]
    if bpf.atomic.fetch_add(hits[5], 1) is not None:
        return 0
    hits[5] = 40
    old = bpf.atomic.fetch_add(hits[5], 2)
    if old is None:
        return 0
    return 1 if old == 40 and hits.get(5, 0) == 42 else 0


@case(1)
def an_element_of_an_array_is_a_place(ctx: bpf.XdpContext) -> int:
    i = len(ctx.packet) % 4
    cells[1].items[i] = 3
    old = bpf.atomic.fetch_or(cells[1].items[i], 4)
    return 1 if (old, cells[1].items[i]) == (3, 7) else 0


@case(1)
def network_order_takes_what_has_no_carry(ctx: bpf.XdpContext) -> int:
    cell = cells[0]
    cell.network = 0x01020304
    a = bpf.atomic.exchange(cell.network, 0x0A0B0C0D)
    b = bpf.atomic.fetch_or(cell.network, 0xF0000000)
    c = bpf.atomic.compare_exchange(cell.network, 0xFA0B0C0D, 1)
    cell.network |= 0x100
    return 1 if (a, b, c, cell.network) == (0x01020304, 0x0A0B0C0D, 0xFA0B0C0D, 0x101) else 0


@case(1)
def a_per_cpu_value_and_the_stack_take_them_too(ctx: bpf.XdpContext) -> int:
    own[0] = 5
    local = bpf.array(u64, 2)
    local[1] = 6
    a = bpf.atomic.fetch_add(own[0], 1)
    b = bpf.atomic.exchange(local[1], 9)
    return 1 if (a, own[0], b, local[1]) == (5, 6, 6, 9) else 0


@case(1)
def the_operand_is_read_before_the_place_changes(ctx: bpf.XdpContext) -> int:
    words[2] = 3
    old = bpf.atomic.fetch_add(words[2], words[2] * 2)
    return 1 if (old, words[2]) == (3, 9) else 0


@case(1)
def augmented_operators_on_shared_places(ctx: bpf.XdpContext) -> int:
    words[3] = 0xF0
    words[3] |= 0x0F
    words[3] &= 0x3C
    words[3] ^= 0xFF
    words[3] -= 0xC3 + 1
    return 1 if words[3] == ALL else 0


@case(1)
def a_spin_lock_made_by_hand(ctx: bpf.XdpContext) -> int:
    words[1] = 0
    taken = 0
    for _ in range(4):
        if bpf.atomic.compare_exchange(words[1], 0, 1) == 0:
            taken += 1
    return taken


@case(1)
def globals_are_places(ctx: bpf.XdpContext) -> int:
    state.wide, state.half, state.cell.small, state.cell.deep = 5, -1, 3, 0
    state.items[0] = 8
    i = len(ctx.packet) & 3
    a = bpf.atomic.fetch_add(state.wide, 1 << 40) == 5 and state.wide == (1 << 40) + 5
    b = bpf.atomic.exchange(state.half, 7) == -1 and state.half == 7
    c = bpf.atomic.fetch_sub(state.cell.small, 1) == 3 and state.cell.small == 2
    d = bpf.atomic.compare_exchange(state.cell.deep, 0, -4) == 0 and state.cell.deep == -4
    e = bpf.atomic.fetch_or(state.items[i], 3) == 8 and state.items[0] == 11
    cell = state.cell
    f = bpf.atomic.fetch_xor(cell.small, 3) == 2 and cell.small == 1
    return 1 if a and b and c and d and e and f else 0


@case.parametrize()
def test_result(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_result_of_the_ir(function: Callable[..., object], expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)


tickets = bpf.Array[u32](max_entries=1)
seen = bpf.Array[u8](max_entries=4096)


@bpf.xdp
def ticket(ctx: bpf.XdpContext) -> int:
    return bpf.atomic.fetch_add(tickets[0], 1)


@pytest.mark.kernel
def test_tickets_are_unique_across_threads() -> None:
    with ticket.load("kernel"):
        drawn: list[int] = []

        def draw() -> None:
            drawn.extend([ticket.run(packet=bytes(64)).value for _ in range(300)])

        threads = [threading.Thread(target=draw) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(drawn) == list(range(1200))


@pytest.mark.parametrize("engine", ENGINES)
def test_addition_without_a_result_works_on_every_level(engine: str) -> None:
    def add(ctx: bpf.XdpContext) -> int:
        words[0] = 1
        words[0] += 4
        words[0] -= 2
        return words[0]

    program = bpf.xdp(add)
    program.options = Options(cpu=1)
    with program.load(engine):
        assert program.run(packet=bytes(64)).value == 3


def turn(ctx: bpf.XdpContext) -> int:
    return bpf.atomic.fetch_add(state.wide, 1)


@pytest.mark.kernel
def test_numbers_from_a_global_are_unique_across_threads() -> None:
    program = bpf.xdp(turn)
    with program.load("kernel"):
        drawn: list[int] = []

        def draw() -> None:
            drawn.extend(program.run(packet=bytes(64)).value for _ in range(500))

        threads = [threading.Thread(target=draw) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(drawn) == list(range(5, 2005))
        assert state.wide == 2005


def test_in_user_space_nothing_is_atomic() -> None:
    with pytest.raises(Error, match=r"fetch_add\(\) runs only inside a program: Python has no atomic access to memory"):
        bpf.atomic.fetch_add(1, 2)
