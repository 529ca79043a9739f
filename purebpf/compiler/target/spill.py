"""What finds no register: kept in the stack frame, or made again where it is wanted.

Each instruction that touches such a value gets a fresh register for it, loaded before and stored behind. Instructions in a row
that touch the same value share the register, so a two-address pair costs one store. Slots are shared at the end, when all are
known: two whose values are never wanted at the same time become one (8 bytes, aligned: a pointer keeps its type only so).
"""

from __future__ import annotations

from purebpf.compiler.target.liveness import Bits, bits, each, liveness
from purebpf.compiler.target.machine import FRAME_POINTER, Inst, MFunction, Reg, Slot
from purebpf.data import data, replace
from purebpf.isa.instruction import SourceLine

STORE, LOAD = 0x7B, 0x79  # *(u64 *)(r10 + slot) = rX, and back


@data(eq=False)
class Home:
    """Where registers live that were coalesced into one: a slot, or nowhere if `source` can make the value again."""

    slot: Slot | None
    source: Inst | None = None

    def load(self, to: Reg, loc: SourceLine | None) -> Inst:
        if self.source is None:
            return Inst(LOAD, to, FRAME_POINTER, loc=loc, defs=(to,), uses=(FRAME_POINTER,), slot=self.slot)
        made = replace(self.source)
        made.dst, made.defs, made.loc = to, (to,), loc
        return made

    def store(self, register: Reg, loc: SourceLine | None) -> Inst:
        return Inst(STORE, FRAME_POINTER, register, loc=loc, uses=(FRAME_POINTER, register), slot=self.slot)


def homes_for(fn: MFunction, groups: list[Bits], split: dict[Reg, Slot]) -> dict[Reg, Home]:
    """A home for each group of coalesced registers; a group with one definition that can be repeated needs no slot, and one
    that `split.py` made has its slot."""
    group_of = {register: number for number, group in enumerate(groups) for register in each(group)}
    makers: list[list[Inst]] = [[] for _ in groups]
    for block in fn.blocks:
        for inst in block.insts:
            for register in inst.defs:
                if register in group_of:
                    makers[group_of[register]].append(inst)
    homes = []
    for group, made in zip(groups, makers, strict=True):
        again = len(made) == 1 and made[0].remat
        slot = next((slot for register, slot in split.items() if group == 1 << register), None)
        homes.append(Home(None, made[0]) if again else Home(slot or Slot(8, 8, "spill")))
    fn.slots += [home.slot for home in homes if home.slot is not None and home.slot not in split.values()]
    return {register: homes[number] for register, number in group_of.items()}


def spill(fn: MFunction, homes: dict[Reg, Home]) -> Bits:
    """Take the registers of `homes` out of the code. Returns the short-lived registers that it has instead."""
    first = fn.next_virtual
    for block in fn.blocks:
        out: list[Inst] = []
        at_hand: dict[Home, Reg] = {}  # values that the instruction before has in a register
        dirty: dict[Home, Reg] = {}  # of these, the ones that are not in their slot yet
        for inst in block.insts:
            touched = {homes[r] for r in (*inst.defs, *inst.uses) if r in homes}
            if any(home.source is inst or (inst.slot is not None and home.slot is inst.slot) for home in touched):
                continue  # the value itself, or a copy from or to its slot
            if inst.move and len(touched) == 1 and inst.dst in homes and inst.src in homes:
                continue  # from a value to itself
            for home in [home for home in dirty if home not in touched or inst.target is not None]:
                out.append(home.store(dirty.pop(home), inst.loc))
            at_hand = {home: register for home, register in at_hand.items() if home in touched}
            read = {homes[r] for r in inst.uses if r in homes}
            for home in sorted(touched, key=lambda home: min(r for r in (*inst.defs, *inst.uses) if homes.get(r) is home)):
                if home not in read or home not in at_hand:
                    at_hand[home] = fn.virtual()
                    if home in read:
                        out.append(home.load(at_hand[home], inst.loc))
            rename(inst, {r: at_hand[homes[r]] for r in (*inst.defs, *inst.uses) if r in homes})
            dirty.update({home: at_hand[home] for home in touched if bits(inst.defs) >> at_hand[home] & 1})
            out.append(inst)
        out += [home.store(register, out[-1].loc) for home, register in dirty.items()]
        block.insts = out
    return bits(range(first, fn.next_virtual))


def rename(inst: Inst, to: dict[Reg, Reg]) -> None:
    """Replace registers in the fields and in what is read and written."""
    inst.dst = to.get(inst.dst, inst.dst) if inst.dst is not None else None
    inst.src = to.get(inst.src, inst.src) if inst.src is not None else None
    inst.defs = tuple([to.get(r, r) for r in inst.defs])
    inst.uses = tuple([to.get(r, r) for r in inst.uses])


def share_slots(fn: MFunction, slots: list[Slot]) -> None:
    """Give spilled values that are never wanted at the same time one slot, and drop stores of what nobody reads."""
    number: dict[Slot | None, int] = {slot: i for i, slot in enumerate(slots)}

    def effect(inst: Inst) -> tuple[Bits, Bits]:
        bit = 1 << number[inst.slot] if inst.slot in number else 0
        return (bit, 0) if inst.defs else (0, bit)

    near = [0] * len(slots)
    for block, alive in liveness(fn, effect)[1].items():
        kept: list[Inst] = []
        for inst in reversed(block.insts):
            read, written = effect(inst)
            if written & ~alive:
                continue
            for i in each(written):
                near[i] |= alive & ~written
            alive = alive & ~written | read
            kept.append(inst)
        block.insts = kept[::-1]
    for i, others in enumerate(near[:]):
        for other in each(others):
            near[other] |= 1 << i
    wearing: list[Bits] = []  # for each slot that stays, the ones that share it
    home: dict[Slot, Slot] = {}
    for i, slot in enumerate(slots):
        place = next((p for p, users in enumerate(wearing) if not users & near[i]), len(wearing))
        if place == len(wearing):
            wearing.append(0)
        wearing[place] |= 1 << i
        home[slot] = slots[place]
    for block in fn.blocks:
        for inst in block.insts:
            inst.slot = home.get(inst.slot, inst.slot) if inst.slot is not None else None
    dropped = set(slots[len(wearing) :])
    fn.slots = [slot for slot in fn.slots if slot not in dropped]
