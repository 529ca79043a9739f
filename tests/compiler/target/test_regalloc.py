"""Register allocation: the allocated code computes the same, the checker accepts it, and refuses what is wrong."""

from __future__ import annotations

import random

import pytest

from purebpf.compiler.target import allocation_check, regalloc
from purebpf.compiler.target.machine import FIRST_VIRTUAL, MBlock, MFunction
from tests.compiler.target.machines import (
    add,
    call,
    constant,
    leave,
    move,
    random_function,
    simulate,
    virtual_registers,
)


def one_block(*insts: object) -> MFunction:
    fn = MFunction("f")
    fn.blocks = [MBlock("b0", list(insts))]  # type: ignore[arg-type]
    fn.next_virtual = FIRST_VIRTUAL + 50
    return fn


def allocated(fn: MFunction) -> MFunction:
    before = allocation_check.snapshot(fn)
    regalloc.allocate(fn)
    allocation_check.check(before, fn)
    return fn


@pytest.mark.parametrize("variables", [4, 9, 14, 25])
@pytest.mark.parametrize("seed", range(40))
def test_allocated_code_computes_the_same(seed: int, variables: int) -> None:
    wanted = simulate(random_function(seed, variables))
    fn = allocated(random_function(seed, variables))
    assert not virtual_registers(fn)
    assert simulate(fn) == wanted


def test_arguments_and_result_of_a_call_cost_no_moves() -> None:
    a, b, r = FIRST_VIRTUAL, FIRST_VIRTUAL + 1, FIRST_VIRTUAL + 2
    before = (constant(a, 5), constant(b, 6), move(1, a), move(2, b))
    fn = allocated(one_block(*before, call(2), move(r, 0), move(0, r), leave()))
    assert not [inst for inst in fn.blocks[0].insts if inst.move]


def test_a_value_that_lives_across_a_call_is_in_r6_to_r9() -> None:
    a = FIRST_VIRTUAL
    fn = allocated(one_block(move(a, 1), constant(1, 0), call(1), move(0, a), leave()))
    assert fn.blocks[0].insts[0].dst in (6, 7, 8, 9)


def test_constants_are_made_again_instead_of_spilled() -> None:
    names = [FIRST_VIRTUAL + i for i in range(16)]
    insts = [constant(name, 100 + i) for i, name in enumerate(names)]
    insts += [constant(1, 1), call(1), *(add(0, name) for name in names), leave()]
    fn = allocated(one_block(*insts))
    assert fn.slots == []


def test_values_that_are_never_alive_together_share_a_spill_slot() -> None:
    def crowd(first: int) -> list[object]:
        names = [first + i for i in range(14)]
        return [
            *(move(name, 1) for name in names),
            *(add(names[i], names[i - 1]) for i in range(14)),
            *(add(0, n) for n in names),
        ]

    insts = [constant(0, 0), *crowd(FIRST_VIRTUAL), *crowd(FIRST_VIRTUAL + 20), leave()]
    fn = one_block(*insts)
    fn.next_virtual = FIRST_VIRTUAL + 100
    once = allocated(one_block(constant(0, 0), *crowd(FIRST_VIRTUAL), leave()))
    assert 0 < len(once.slots) <= len(allocated(fn).slots) < 2 * len(once.slots)


def matters(fn: MFunction, wanted: list[int]) -> bool:
    """Whether a change to an allocated function alters what it computes."""
    try:
        return simulate(fn) != wanted
    except (AssertionError, KeyError):
        return True


def test_the_checker_refuses_changed_registers() -> None:
    rng = random.Random(1)
    mattered = 0
    for seed in range(60):
        fn = random_function(seed)
        before = allocation_check.snapshot(fn)
        wanted = simulate(random_function(seed))
        regalloc.allocate(fn)
        insts = [i for i in rng.choice(fn.blocks).insts if i.src is not None and i.src < 10 and i.slot is None]
        if not insts:
            continue
        inst = rng.choice(insts)
        inst.src = rng.choice([r for r in range(10) if r != inst.src])
        inst.uses = (*inst.uses[:-1], inst.src)
        if matters(fn, wanted):
            mattered += 1
            with pytest.raises(allocation_check.AllocationError):
                allocation_check.check(before, fn)
    assert mattered > 20


def test_the_checker_refuses_a_lost_reload() -> None:
    mattered = 0
    for seed in range(20):
        wanted = simulate(random_function(seed, variables=25))
        for lost in range(3):
            fn = random_function(seed, variables=25)
            before = allocation_check.snapshot(fn)
            regalloc.allocate(fn)
            reloads = [(b, i) for b in fn.blocks for i in b.insts if i.slot is not None and i.defs]
            if lost >= len(reloads):
                break
            block, inst = reloads[lost]
            block.insts.remove(inst)
            if matters(fn, wanted):
                mattered += 1
                with pytest.raises(allocation_check.AllocationError):
                    allocation_check.check(before, fn)
    assert mattered > 5
