"""Constants that a register holds already are not loaded again.

    before:  w0 = 2; if r1 > r2 goto end; r3 = ...; w0 = 2; if r3 != 8 goto end        after:  the second w0 = 2 is gone

Requires: allocated registers. Follows every way to a block; a call forgets what it clobbers.
"""

from __future__ import annotations

from purebpf.compiler.target.machine import Inst, MBlock, MFunction
from purebpf.isa.opcodes import ALU, ALU64, MOV, K

Known = dict[int, tuple[int, int]]  # register: (opcode, constant) that was loaded into it
LOADS = (ALU | MOV | K, ALU64 | MOV | K)


def drop_repeated_constants(fn: MFunction) -> None:
    known: dict[MBlock, Known] = {fn.blocks[0]: {}}
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
            held = state.get(inst.dst) if inst.dst is not None else None
            _step(inst, state)
            if inst.lea or held is None or held != (inst.opcode, inst.imm):
                kept.append(inst)
        block.insts = kept


def _step(inst: Inst, state: Known) -> None:
    for register in (*inst.defs, *inst.clobbers):
        state.pop(register, None)
    if inst.opcode in LOADS and not inst.lea and inst.dst is not None:
        state[inst.dst] = (inst.opcode, inst.imm)
