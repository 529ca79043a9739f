"""Values that a register holds already are not put there again.

    before:  w0 = 2; if r1 > r2 goto end; r3 = ...; w0 = 2; if r3 != 8 goto end        after:  the second w0 = 2 is gone
    before:  r7 = r1; r1 = r7                                                          after:  r7 = r1
    before:  r6 = map[m]; ...; r1 = map[m]                                             after:  r6 = map[m]; ...; r1 = r6

Requires: allocated registers. Follows every way to a block; a call forgets what it clobbers.
"""

from __future__ import annotations

from purebpf.compiler.target.machine import Inst, MBlock, MFunction, Reg
from purebpf.isa.instruction import WIDE_LOAD
from purebpf.isa.opcodes import ALU, ALU64, MOV, K, X

Known = dict[Reg, object]  # register: what it holds; equal things are the same value
LOADS = (ALU | MOV | K, ALU64 | MOV | K, WIDE_LOAD)


def drop_repeated_values(fn: MFunction) -> None:
    known: dict[MBlock, Known] = {fn.blocks[0]: {register: ("at entry", register) for register in range(1, 6)}}
    work = [fn.blocks[0]]
    while work:
        block = work.pop()
        state = dict(known[block])
        for inst in block.insts:
            _step(inst, state)
        for successor in block.successors:
            old = known.get(successor)
            new = state if old is None else {register: value for register, value in old.items() if state.get(register) == value}
            if new != old:
                known[successor] = dict(new)
                work.append(successor)
    for block in fn.blocks:
        state = dict(known.get(block, {}))
        kept = []
        for inst in block.insts:
            value = _value(inst, state)
            if value is not None and state.get(inst.dst or 0) == value:
                continue
            holder = next((r for r, held in state.items() if held == value), None) if _long(inst) else None
            _step(inst, state)
            kept.append(inst if holder is None else _copy(inst, holder))
        block.insts = kept


def _value(inst: Inst, state: Known) -> object:
    """What an instruction puts into its register, where that can be told; None where it cannot."""
    if inst.core is not None:
        return None
    if inst.move:
        return state.get(inst.src or 0, inst)
    if inst.lea:
        return ("address", inst.slot, inst.imm)
    if inst.opcode in LOADS:
        return (inst.opcode, inst.imm, inst.symbol, inst.pseudo)
    return None


def _long(inst: Inst) -> bool:
    """Takes two slots, where a copy takes one."""
    return inst.lea or inst.opcode == WIDE_LOAD


def _copy(inst: Inst, holder: Reg) -> Inst:
    return Inst(
        ALU64 | MOV | X, inst.dst, holder, loc=inst.loc, defs=inst.defs, uses=(holder,), clobbers=inst.clobbers, move=True
    )


def _step(inst: Inst, state: Known) -> None:
    value = _value(inst, state)
    for register in (*inst.defs, *inst.clobbers):
        state.pop(register, None)
    if value is not None and inst.dst is not None:
        if value is inst:  # a copy of something unknown: from here on both hold the same
            for register in [register for register, held in state.items() if held is inst]:
                del state[register]
            state[inst.src or 0] = inst
        state[inst.dst] = value
