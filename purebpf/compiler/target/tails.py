"""Blocks that end alike share the end.

    before:  b1: ...; r0 = r6; w0 += 1; goto b9     b2: ...; r0 = r6; w0 += 1; goto b9
    after:   b1: ...; goto b8     b2: ...; goto b8     b8: r0 = r6; w0 += 1; goto b9

Requires: allocated registers, slots with offsets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from purebpf.compiler.target.machine import Inst, MBlock, MFunction


def share_tails(fn: MFunction, settle: Callable[[MFunction], None]) -> None:
    """`settle` makes edges go straight on over blocks that became empty."""
    settle(fn)
    while sum(_share(fn, blocks) for blocks in _groups(fn)):
        settle(fn)


def _groups(fn: MFunction) -> list[list[MBlock]]:
    """Blocks that go on to the same place, or end the function, with the same last instruction."""
    found: dict[object, list[MBlock]] = defaultdict(list)
    for block in _reachable(fn):
        if block.insts and block.insts[-1].target is None:
            found[block.next, _key(block.insts[-1])].append(block)
    return [blocks for blocks in found.values() if len(blocks) > 1]


def _share(fn: MFunction, blocks: list[MBlock]) -> bool:
    """Give the longest end that is worth it a block of its own."""
    common = 1
    while all(len(b.insts) > common for b in blocks) and len({_key(b.insts[-common - 1]) for b in blocks}) == 1:
        common += 1
    emptied = sum(len(block.insts) == common for block in blocks)
    jumps = len(blocks) - max(1, emptied) if blocks[0].next is None else 1  # a way out needs none, others have one
    if (len(blocks) - 1) * common <= jumps:
        return False
    tail = next((b for b in blocks if len(b.insts) == common and b is not fn.blocks[0]), None)
    if tail is None:
        tail = MBlock(f"{blocks[0].name}.tail", blocks[0].insts[-common:], blocks[0].next)
        fn.blocks.append(tail)
    for block in blocks:
        if block is not tail:
            del block.insts[-common:]
            block.next = tail
    return True


def _key(inst: Inst) -> tuple[object, ...]:
    """What two instructions must agree in to be the same."""
    slot = inst.slot.offset if inst.slot is not None else None
    return (inst.opcode, inst.dst, inst.src, inst.offset, inst.imm, inst.symbol, inst.pseudo, inst.lea, inst.core, slot)


def _reachable(fn: MFunction) -> list[MBlock]:
    seen: dict[MBlock, None] = {}
    work = [fn.blocks[0]]
    while work:
        block = work.pop()
        if block not in seen:
            seen[block] = None
            work += block.successors
    return list(seen)
