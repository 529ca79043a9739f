"""Slots that nobody reads any more are cleared at the start and where ways join in a loop; what is read again stays."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u32
from purebpf.compiler.options import Options
from purebpf.compiler.pipeline import compile_program
from purebpf.compiler.target.forget import CLEAR, clear_left_slots
from purebpf.compiler.target.machine import FRAME_POINTER, Inst, MBlock, MFunction, Slot
from purebpf.compiler.target.regalloc import allocate
from purebpf.compiler.target.stack import lasting
from tests.compiler.target.machines import address, branch, call, constant, leave, random_function, simulate

STORE, LOAD = 0x7B, 0x79


def put(slot: Slot, register: int) -> Inst:
    return Inst(STORE, FRAME_POINTER, register, uses=(FRAME_POINTER, register), slot=slot)


def get(register: int, slot: Slot) -> Inst:
    return Inst(LOAD, register, FRAME_POINTER, defs=(register,), uses=(FRAME_POINTER,), slot=slot)


def cleared(fn: MFunction) -> dict[str, list[Slot | None]]:
    """The slots that each block clears."""
    return {block.name: [inst.slot for inst in block.insts if inst.opcode == CLEAR] for block in fn.blocks}


def loop(first: list[Inst], body: list[Inst], last: list[Inst], *slots: Slot) -> MFunction:
    head, end = MBlock("head"), MBlock("end", [*last, leave()])
    head.insts = [*body, branch(6, end)]
    head.next = head
    return MFunction("f", [MBlock("entry", [constant(6, 3), *first], head), head, end], list(slots))


def test_what_a_trip_leaves_is_cleared_at_the_next() -> None:
    slot = Slot(8, 8)
    fn = loop([], [put(slot, 6), get(7, slot)], [constant(0, 0)], slot)
    clear_left_slots(fn)
    assert cleared(fn) == {"entry": [slot], "head": [slot], "end": []}


def test_what_is_read_behind_the_loop_stays() -> None:
    slot = Slot(8, 8)
    fn = loop([put(slot, 6)], [], [get(0, slot)], slot)
    clear_left_slots(fn)
    assert cleared(fn) == {"entry": [slot], "head": [], "end": []}


def test_a_slot_that_a_call_reads_is_cleared_if_its_address_goes_nowhere_else() -> None:
    key, kept = Slot(8, 8), Slot(8, 8)
    fn = loop([], [put(key, 6), address(1, key), put(kept, 6), address(6, kept), call(1)], [constant(0, 0)], key, kept)
    clear_left_slots(fn)
    assert cleared(fn)["head"] == [key]


def test_a_slot_that_is_cleared_shares_its_place_with_none() -> None:
    one, other = Slot(8, 8), Slot(8, 8)
    fn = loop([put(other, 6)], [put(one, 6)], [get(0, other)], one, other)
    fn.apart = {one: set(), other: set()}
    clear_left_slots(fn)
    assert cleared(fn)["head"] == [one]
    assert not fn.apart


def test_clearing_changes_no_result() -> None:
    clears = 0
    for seed in range(200):
        fn = random_function(seed, 40)
        wanted = simulate(fn)
        allocate(fn)
        clear_left_slots(fn)
        clears += sum(map(len, cleared(fn).values()))
        assert simulate(fn) == wanted, seed
    assert clears > 100


def test_a_slot_that_is_reached_by_other_ways_stays() -> None:
    """As a packet's bytes that were copied there: what is read later is the pointer that the call gave."""
    buffer = Slot(8, 8, lasting=True)
    fn = loop([], [put(buffer, 6), address(1, buffer), call(1)], [constant(0, 0)], buffer)
    clear_left_slots(fn)
    assert not any(cleared(fn).values())


@bpf.struct
class Pair:
    a: u32
    b: u32


@bpf.tc
def slices(ctx):
    data = bpf.dynptr(ctx.packet)
    numbers = bpf.array(u32, 2)
    pair = data.at(4, Pair)

    def add(i):
        numbers[i & 1] += i

    bpf.loop(2, add)
    key: u32 = 1
    return numbers[0] if pair is None else pair.b + key


def test_what_is_reached_by_other_ways_is_known() -> None:
    """What a packet's bytes may be copied to, and what a callback finds by an address in memory."""
    functions = compile_program(slices.function, slices.kind, options=Options(cpu=3)).functions
    kept = lasting(next(fn for fn in functions if fn.name == "slices"))
    assert {op.imm[2] for op in kept} >= {"slice", "bpf.array"}
