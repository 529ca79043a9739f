"""Ways to break allocated code, as a wrong allocator might. Each changes the function in place."""

from __future__ import annotations

import random
from collections.abc import Callable

from purebpf.compiler.target.machine import Inst, MBlock, MFunction, Reg
from purebpf.isa.opcodes import EXIT_OPCODE

Mutation = Callable[[random.Random, MFunction], None]


def _all(fn: MFunction) -> list[tuple[MBlock, Inst]]:
    return [(block, inst) for block in fn.blocks for inst in block.insts]


def _movable(fn: MFunction) -> list[tuple[MBlock, Inst]]:
    return [(block, inst) for block, inst in _all(fn) if inst.target is None and inst.opcode != EXIT_OPCODE]


def _another(rng: random.Random, register: Reg | None) -> Reg:
    return rng.choice([r for r in range(10) if r != register])


def swap_source(rng: random.Random, fn: MFunction) -> None:
    inst = rng.choice([inst for _, inst in _all(fn) if inst.src is not None and inst.src < 10 and inst.src != inst.dst])
    old, inst.src = inst.src, _another(rng, inst.src)
    inst.uses = tuple(inst.src if r == old else r for r in inst.uses)
    inst.defs = tuple(inst.src if r == old else r for r in inst.defs)


def swap_destination(rng: random.Random, fn: MFunction) -> None:
    inst = rng.choice([inst for _, inst in _all(fn) if inst.dst is not None and inst.dst < 10])
    old, inst.dst = inst.dst, _another(rng, inst.dst)
    inst.uses = tuple(inst.dst if r == old else r for r in inst.uses)
    inst.defs = tuple(inst.dst if r == old else r for r in inst.defs)


def drop(rng: random.Random, fn: MFunction) -> None:
    block, inst = rng.choice(_movable(fn))
    block.insts.remove(inst)


def exchange(rng: random.Random, fn: MFunction) -> None:
    block = rng.choice([block for block in fn.blocks if len(block.insts) > 3])
    at = rng.randrange(len(block.insts) - 2)
    block.insts[at], block.insts[at + 1] = block.insts[at + 1], block.insts[at]


def repeat(rng: random.Random, fn: MFunction) -> None:
    block, inst = rng.choice(_movable(fn))
    block.insts.insert(rng.randrange(block.insts.index(inst) + 1), inst)


def swap_slot(rng: random.Random, fn: MFunction) -> None:
    accesses = [inst for _, inst in _all(fn) if inst.slot is not None and not inst.lea]
    if accesses:
        rng.choice(accesses).slot = rng.choice(fn.slots)


def change_constant(rng: random.Random, fn: MFunction) -> None:
    rng.choice([inst for _, inst in _all(fn) if inst.remat and not inst.lea]).imm += 1


MUTATIONS: tuple[Mutation, ...] = (swap_source, swap_destination, drop, exchange, repeat, swap_slot, change_constant)
