"""The first remedy for what finds no register: out of its register over calls only.

    before:  v = ...; use v; use v; call f; use v
    after:   v = ...; slot = v; use v; use v; call f; v = slot; use v

Calls destroy r0 to r5, and r6 to r9 are few. Between calls registers are plenty, so a value that is kept in the frame is
loaded again only where a call may have come since it was last at hand. `spill.py` does the rest, should that not be enough.
"""

from __future__ import annotations

from purebpf.compiler.target.liveness import Bits, bits, each
from purebpf.compiler.target.machine import FRAME_POINTER, Inst, MBlock, MFunction, Reg, Slot
from purebpf.compiler.target.spill import LOAD, STORE, rename
from purebpf.isa.instruction import SourceLine


def split_at_calls(fn: MFunction, group: Bits) -> tuple[Reg, Slot]:
    """Replace the registers of a group, which are one value, by a register that lives over no call, and a slot."""
    register = fn.virtual()
    slot = Slot(8, 8, "spill")
    fn.slots.append(slot)
    to = dict.fromkeys(each(group), register)
    for block in fn.blocks:
        block.insts = [i for i in block.insts if not (i.move and i.dst in to and i.src in to)]
        for inst in block.insts:
            rename(inst, to)
    at_hand = _available(fn, register)
    for block in fn.blocks:
        available = at_hand.get(block, False)
        out: list[Inst] = []
        for inst in block.insts:
            if register in inst.uses and not available:
                out.append(_load(register, slot, inst.loc))
            out.append(inst)
            if register in inst.defs:
                out.append(_store(register, slot, inst.loc))
            available = _after(inst, register, available)
        block.insts = out
    return register, slot


def _available(fn: MFunction, register: Reg) -> dict[MBlock, bool]:
    """Whether the value is in its register at a block's start, on every way there."""
    entry: dict[MBlock, bool] = {fn.blocks[0]: False}
    work = [fn.blocks[0]]
    while work:
        block = work.pop()
        available = entry[block]
        for inst in block.insts:
            available = _after(inst, register, available)
        for successor in block.successors:
            now = available and entry.get(successor, True)
            if entry.get(successor) != now:
                entry[successor] = now
                work.append(successor)
    return entry


def _after(inst: Inst, register: Reg, available: bool) -> bool:
    if inst.clobbers:
        return register in inst.defs
    return available or register in inst.defs or register in inst.uses


def _load(register: Reg, slot: Slot, loc: SourceLine | None) -> Inst:
    return Inst(LOAD, register, FRAME_POINTER, loc=loc, defs=(register,), uses=(FRAME_POINTER,), slot=slot)


def _store(register: Reg, slot: Slot, loc: SourceLine | None) -> Inst:
    return Inst(STORE, FRAME_POINTER, register, loc=loc, uses=(FRAME_POINTER, register), slot=slot)


def helps(fn: MFunction, group: Bits, alive_after: dict[MBlock, Bits]) -> bool:
    """Whether a value is wanted after a call that it was there before, and cannot simply be made again."""
    makers = [inst for block in fn.blocks for inst in block.insts if bits(inst.defs) & group]
    if len(makers) == 1 and makers[0].remat:
        return False
    for block, alive in alive_after.items():
        for inst in reversed(block.insts):
            alive &= ~bits(inst.defs)
            if inst.clobbers and alive & group:
                return True
            alive |= bits(inst.uses)
    return False
