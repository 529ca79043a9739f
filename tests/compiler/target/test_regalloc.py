"""Register allocation: the allocated code computes the same, the checker accepts it, and refuses what is wrong."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest

from purebpf.compiler.target.allocation_check import AllocationError, check, snapshot
from purebpf.compiler.target.liveness import bits, each, liveness, loop_depths
from purebpf.compiler.target.machine import FIRST_VIRTUAL, FRAME_POINTER, Inst, MBlock, MFunction, Reg, Slot
from purebpf.compiler.target.regalloc import allocate
from purebpf.compiler.target.spill import LOAD as RELOAD
from tests.compiler.target.machines import (
    add,
    address,
    branch,
    call,
    compare_exchange,
    constant,
    fetch_add,
    leave,
    load,
    move,
    random_function,
    simulate,
    store,
    virtual_registers,
)
from tests.compiler.target.mutations import MUTATIONS, Mutation

V = [FIRST_VIRTUAL + i for i in range(64)]


def one_block(*insts: Inst, slots: tuple[Slot, ...] = ()) -> MFunction:
    return MFunction("f", [MBlock("b0", list(insts))], list(slots), next_virtual=V[-1] + 1)


def blocks(fn: MFunction, **insts: list[Inst]) -> list[MBlock]:
    """Blocks that go on to one another in this order."""
    fn.blocks = [MBlock(name, row) for name, row in insts.items()]
    for block, following in pairwise(fn.blocks):
        block.next = following
    return fn.blocks


def allocated(fn: MFunction) -> MFunction:
    before = snapshot(fn)
    allocate(fn)
    check(before, fn)
    assert not virtual_registers(fn)
    return fn


def code(fn: MFunction) -> list[Inst]:
    return [inst for block in fn.blocks for inst in block.insts]


def crowd(names: list[Reg]) -> list[Inst]:
    """All alive at once, none of them a constant."""
    return [
        *(load(name, 1, 8 * i) for i, name in enumerate(names)),
        *(add(name, other) for name, other in pairwise(names)),
        *(add(0, name) for name in names),
    ]


@pytest.mark.parametrize("variables", [3, 9, 14, 30])
@pytest.mark.parametrize("seed", range(40))
def test_allocated_code_computes_the_same(seed: int, variables: int) -> None:
    count = 3 + seed % 9
    wanted = simulate(random_function(seed, variables, count))
    assert simulate(allocated(random_function(seed, variables, count))) == wanted


def test_arguments_and_result_of_a_call_cost_no_moves() -> None:
    a, b, r = V[:3]
    before = (constant(a, 5), constant(b, 6), move(1, a), move(2, b))
    fn = allocated(one_block(*before, call(2), move(r, 0), move(0, r), leave()))
    assert not [inst for inst in code(fn) if inst.move]


def test_a_value_that_lives_across_a_call_is_in_r6_to_r9() -> None:
    a, b = V[:2]
    fn = allocated(one_block(move(a, 1), load(b, a), move(1, b), call(1), add(0, a), leave()))
    assert code(fn)[0].dst in (6, 7, 8, 9)
    assert code(fn)[1].dst == 1, "what is not wanted behind the call takes the argument's register"


def test_a_two_address_copy_of_a_value_that_ends_there_vanishes() -> None:
    a, b, c = V[:3]
    fn = allocated(one_block(load(a, 1), load(c, 1, 8), move(b, a), add(b, c), move(0, b), leave()))
    assert not [inst for inst in code(fn) if inst.move]


def test_block_arguments_that_swap_in_a_loop_stay_apart() -> None:
    a, b, t, n = V[:4]
    fn = MFunction("f", next_virtual=V[4])
    _, loop, end = blocks(
        fn,
        entry=[move(a, 1), move(b, 2), constant(n, 3)],
        loop=[move(t, a), move(a, b), move(b, t), Inst(0x07, n, imm=-1, defs=(n,), uses=(n,))],
        end=[move(0, a), add(0, b), add(0, b), leave()],
    )
    loop.insts.append(branch(n, end))
    loop.next = loop
    assert simulate(allocated(fn)) == [78 + 77 + 77]


def test_the_frame_pointer_is_never_given_away_or_replaced() -> None:
    a = V[0]
    fn = allocated(one_block(Inst(0xBF, a, FRAME_POINTER, defs=(a,), uses=(FRAME_POINTER,), move=True), move(0, a), leave()))
    assert [(inst.dst, inst.src) for inst in code(fn) if inst.opcode == 0xBF] == [(0, FRAME_POINTER)]


def test_compare_exchange_reads_and_writes_r0_and_keeps_its_operands_out_of_it() -> None:
    pointer, value, old, kept = V[:4]
    fn = allocated(
        one_block(
            *(move(pointer, 1), move(value, 2), load(old, pointer), load(kept, pointer, 8)),
            *(move(0, old), compare_exchange(pointer, value), add(kept, 0), move(0, kept), leave()),
        )
    )
    exchange = next(inst for inst in code(fn) if inst.opcode == 0xDB)
    assert exchange.defs == (0,) and exchange.uses[2] == 0 and 0 not in exchange.uses[:2]
    assert not [inst for inst in code(fn) if inst.move and inst.src == 0]


def test_fetch_and_add_gives_its_result_in_the_register_of_the_operand() -> None:
    pointer, value = V[:2]
    fn = allocated(one_block(move(pointer, 1), move(value, 2), fetch_add(pointer, value), move(0, value), leave()))
    atomic = next(inst for inst in code(fn) if inst.opcode == 0xDB)
    assert atomic.defs == (atomic.src,) and atomic.uses == (atomic.dst, atomic.src)


def test_constants_and_addresses_are_made_again_instead_of_spilled() -> None:
    array = Slot(16, 8, "array")
    insts = [constant(name, 100 + i) for i, name in enumerate(V[:14])] + [address(name, array) for name in V[14:18]]
    fn = one_block(*insts, constant(1, 1), call(1), *(add(0, name) for name in V[:18]), leave(), slots=(array,))
    wanted = simulate(fn)
    assert simulate(allocated(fn)) == wanted
    assert fn.slots == [array]


def test_a_spill_is_a_whole_aligned_slot() -> None:
    fn = allocated(one_block(constant(0, 0), *crowd(V[:14]), leave()))
    spills = [inst for inst in code(fn) if inst.slot is not None]
    assert spills and {(slot.size, slot.align, slot.name) for slot in fn.slots} == {(8, 8, "spill")}
    assert {(i.opcode, FRAME_POINTER in i.uses, i.offset) for i in spills} == {(0x7B, True, 0), (0x79, True, 0)}


def test_values_that_are_never_alive_together_share_a_spill_slot() -> None:
    once = allocated(one_block(constant(0, 0), *crowd(V[:14]), load(V[20], 1), add(0, V[20]), leave()))
    twice = allocated(one_block(constant(0, 0), *crowd(V[:14]), *crowd(V[20:34]), leave()))
    assert 0 < len(once.slots) == len(twice.slots)


def test_slots_are_shared_across_rounds_but_never_by_values_wanted_together() -> None:
    for seed in range(10):
        fn = allocated(random_function(seed, 40))
        number = {slot: i for i, slot in enumerate(fn.slots)}
        used = {number[inst.slot] for inst in code(fn) if inst.slot is not None}
        assert used >= set(range(1, len(fn.slots))), "a slot that nobody uses is left"


def test_what_the_verifier_tracks_is_spilled_last() -> None:
    names = V[:14]
    tracked = {names[0], names[1], names[2]}
    fn = one_block(constant(0, 0), *crowd(names), leave())
    fn.spill_last = tracked
    loads = {id(inst): inst.offset // 8 for inst in code(fn) if inst.opcode == 0x79}
    allocated(fn)
    insts = code(fn)
    stored = {loads[id(a)] for a, b in pairwise(insts) if b.opcode == 0x7B and id(a) in loads}
    assert stored and not stored & {0, 1, 2}


def test_what_a_loop_uses_is_spilled_after_what_it_does_not() -> None:
    inside, outside = V[:6], V[6:14]
    fn = MFunction("f", next_virtual=V[-1])
    _, loop, end = blocks(
        fn,
        entry=[constant(0, 0), *(load(name, 1, 8 * i) for i, name in enumerate(inside + outside))],
        loop=[add(0, name) for name in inside],
        end=[*(add(0, name) for name in outside), leave()],
    )
    loop.insts.append(branch(0, end))
    loop.next = loop
    allocated(fn)
    assert fn.slots and not [inst for inst in loop.insts if inst.slot is not None]


def test_a_two_address_pair_on_a_spilled_value_stores_once_and_loads_nothing() -> None:
    names = V[:12]
    fn = one_block(
        *(constant(0, 0), *(load(name, 1, 8 * i) for i, name in enumerate(names)), move(V[20], 1), add(V[20], 0)),
        *(constant(1, 1), call(1), *(add(0, name) for name in names), add(0, V[20]), leave()),
    )
    allocated(fn)
    per_slot: dict[Slot, list[int]] = {}
    for inst in code(fn):
        if inst.slot is not None:
            per_slot.setdefault(inst.slot, []).append(inst.opcode)
    assert len(per_slot) == 9 and all(row == [0x7B, 0x79] for row in per_slot.values())


def test_an_instruction_that_wants_too_many_registers_is_refused() -> None:
    names = V[:11]
    greedy = Inst(0x85, imm=1, defs=(), uses=tuple(names))
    with pytest.raises(AllocationError, match="more registers at once than there are"):
        allocate(one_block(*(constant(name, i) for i, name in enumerate(names)), greedy, constant(0, 0), leave()))


def test_liveness_goes_around_loops() -> None:
    a, b = V[:2]
    fn = MFunction("f")
    entry, loop, end = blocks(fn, entry=[constant(a, 1), constant(b, 1)], loop=[add(a, b)], end=[move(0, a), leave()])
    loop.insts.append(branch(a, end))
    loop.next = loop
    into, out = liveness(fn)
    assert (into[entry], out[entry]) == (0, bits([a, b]))
    assert (into[loop], out[loop]) == (bits([a, b]), bits([a, b]))
    assert (set(each(into[end])), out[end]) == ({a}, 0)


def test_a_loop_with_two_ways_back_is_one_loop() -> None:
    fn = MFunction("f")
    entry, outer, inner, latch, end = blocks(fn, entry=[constant(V[0], 1)], outer=[], inner=[], latch=[], end=[leave()])
    inner.insts.append(branch(V[0], outer))
    latch.insts.append(branch(V[0], end))
    inner.next, latch.next = latch, outer
    assert [loop_depths(fn)[block] for block in (entry, outer, inner, latch, end)] == [0, 1, 1, 1, 0]
    inner.insts[-1].target = inner
    assert [loop_depths(fn)[block] for block in (entry, outer, inner, latch, end)] == [0, 1, 2, 1, 0]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_the_checker_refuses_every_change_that_matters(mutation: Mutation) -> None:
    mattered = 0
    for seed in range(60):
        rng = random.Random(seed)
        variables = rng.choice((9, 14, 25))
        wanted = simulate(random_function(seed, variables))
        fn = random_function(seed, variables)
        before = snapshot(fn)
        allocate(fn)
        mutation(rng, fn)
        if matters(fn, wanted):
            mattered += 1
            with pytest.raises(AllocationError, match=r"random\d+, block b\d+: "):
                check(before, fn)
    assert mattered >= 12


def matters(fn: MFunction, wanted: list[int]) -> bool:
    """Whether a change to an allocated function alters what it computes, or makes it read what was never written."""
    try:
        return simulate(fn) != wanted
    except (AssertionError, KeyError):
        return True


def changed(fn: MFunction, change: str) -> None:
    """Single mistakes on top of a right allocation of: v = arg; call(v, v); return v + r0."""
    first, *_, total, _ = code(fn)
    called = next(inst for inst in code(fn) if inst.opcode == 0x85)
    if change == "call reads other registers":
        called.uses = (first.dst or 0, 2)
    elif change == "call returns elsewhere":
        called.defs = (7,)
    elif change == "call clobbers less":
        called.clobbers = (1,)
    elif change == "fields and operands differ":
        total.src = 7
    elif change == "a virtual register is left":
        first.dst, first.defs = V[0], (V[0],)
    elif change == "the frame pointer is overwritten":
        first.dst, first.defs = FRAME_POINTER, (FRAME_POINTER,)
    elif change == "an instruction is added":
        fn.blocks[0].insts.insert(1, add(8, 6))
    elif change == "a reload of nothing is added":
        fn.blocks[0].insts.insert(1, Inst(RELOAD, 8, FRAME_POINTER, defs=(8,), uses=(FRAME_POINTER,), slot=Slot(8, 8)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("call reads other registers", "operand 1 became r?6"),
        ("call returns elsewhere", "operand 0 became 7"),
        ("call clobbers less", "more than registers changed"),
        ("fields and operands differ", "operand 16 became 7"),
        ("a virtual register is left", "operand 16 became 16"),
        ("the frame pointer is overwritten", "operand 16 became 10"),
        ("an instruction is added", "no spill code"),
        ("a reload of nothing is added", "no known value"),
    ],
)
def test_the_checker_names_the_mistake(change: str, message: str) -> None:
    v = V[0]
    fn = one_block(move(v, 1), move(1, v), move(2, v), call(2), add(v, 0), move(0, v), leave())
    before = snapshot(fn)
    allocate(fn)
    check(before, fn)
    changed(fn, change)
    with pytest.raises(AllocationError, match=message):
        check(before, fn)


def test_a_constant_in_r1_is_no_substitute_for_the_argument_that_came_in_r1() -> None:
    a = V[0]
    fn = one_block(move(a, 1), constant(1, 5), call(1), add(0, a), leave())
    before = snapshot(fn)
    allocate(fn)
    code(fn)[0].src = 3
    code(fn)[0].uses = (3,)
    with pytest.raises(AllocationError):
        check(before, fn)


def test_a_spill_into_the_author_s_own_slot_is_refused() -> None:
    array = Slot(16, 8, "array")
    fn = one_block(address(V[40], array), store(V[40], 1), constant(0, 0), *crowd(V[:14]), leave(), slots=(array,))
    before = snapshot(fn)
    allocate(fn)
    check(before, fn)
    for inst in code(fn):
        inst.slot = array if inst.slot is fn.slots[1] else inst.slot
    with pytest.raises(AllocationError, match="no spill code"):
        check(before, fn)


def test_time_grows_little_faster_than_the_code() -> None:
    """A thousand instructions take about 15 ms on a slow machine; the bounds leave room for a busy one."""
    for count, limit in ((45, 0.3), (190, 1.5)):
        fn = random_function(3, 14, count, 22)
        before = snapshot(fn)
        start = time.process_time()
        allocate(fn)
        check(before, fn)
        assert time.process_time() - start < limit, f"{len(code(fn))} instructions"
