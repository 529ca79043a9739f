"""Clears stack slots that nobody reads any more, where ways join in a loop: for programs with less for the verifier to follow.

In a loop it compares all that a trip left in the frame with what earlier ones left there, whether it is wanted or not; for
registers it knows which are. A zero in place of what is left makes such trips alike.
"""

from __future__ import annotations

from purebpf.compiler.target.layout import STACK_LIMIT
from purebpf.compiler.target.liveness import Bits, each, liveness, loop_depths
from purebpf.compiler.target.machine import FRAME_POINTER, Inst, MBlock, MFunction, Slot
from purebpf.isa.opcodes import CALL_OPCODE

CLEAR = 0x7A  # *(u64 *)(r10 + slot) = 0
WHOLE = (0x7A, 0x7B)  # stores of eight bytes


def clear_left_slots(fn: MFunction) -> None:
    """After registers are allocated. Slots are those of eight bytes whose address goes nowhere but to a call in its block; they
    no longer share their place with others, if there is room."""
    kept, roomy = _escaping(fn), sum(slot.size for slot in fn.slots) <= STACK_LIMIT
    kept.update(slot for slot in fn.slots if slot.size != 8 or slot.lasting or (slot in fn.apart and not roomy))
    slots = [slot for slot in fn.slots if slot not in kept]
    for slot in slots:
        fn.apart.pop(slot, None)
    number: dict[Slot | None, int] = {slot: i for i, slot in enumerate(slots)}

    def effect(inst: Inst) -> tuple[Bits, Bits]:
        bit = 1 << number[inst.slot] if inst.slot in number else 0
        return (0, bit) if inst.opcode in WHOLE and not inst.offset else (bit, 0)

    wanted, depth = liveness(fn, effect)[0], loop_depths(fn)
    entries = dict.fromkeys(fn.blocks, 0)
    for block in fn.blocks:
        for successor in block.successors:
            entries[successor] += 1
    joins = {block for block in fn.blocks if depth[block] and entries[block] > 1}
    left = _left(fn, number, joins, wanted)
    for block in joins:
        _clear(block, [slots[i] for i in each(left[block] & ~wanted[block])])
    in_loops = 0
    for block in fn.blocks:
        in_loops |= left[block] if depth[block] else 0
    _clear(fn.blocks[0], [slots[i] for i in each(in_loops)])  # what was never written differs, too


def _clear(block: MBlock, slots: list[Slot]) -> None:
    loc = block.insts[0].loc if block.insts else None
    block.insts[:0] = [Inst(CLEAR, FRAME_POINTER, uses=(FRAME_POINTER,), loc=loc, slot=slot) for slot in slots]


def _escaping(fn: MFunction) -> set[Slot]:
    """Slots whose address outlives its block, or is more than an argument."""
    found: set[Slot] = set()
    for block in fn.blocks:
        pending: set[Slot] = set()
        for inst in block.insts:
            if inst.lea and inst.slot is not None:
                pending.add(inst.slot)
                if inst.dst is None or not 1 <= inst.dst <= 5:
                    found.add(inst.slot)
            elif inst.opcode == CALL_OPCODE:
                pending.clear()
        found |= pending
    return found


def _left(fn: MFunction, number: dict[Slot | None, int], joins: set[MBlock], wanted: dict[MBlock, Bits]) -> dict[MBlock, Bits]:
    """The slots that may hold something at the start of each block, when `joins` clear what is not wanted."""
    into = dict.fromkeys(fn.blocks, 0)
    work = list(fn.blocks)
    while work:
        block = work.pop()
        out = into[block] & wanted[block] if block in joins else into[block]
        for inst in block.insts:
            if inst.slot in number:
                out |= 1 << number[inst.slot]
        for successor in block.successors:
            if out & ~into[successor]:
                into[successor] |= out
                work.append(successor)
    return into
