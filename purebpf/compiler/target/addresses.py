"""Addresses that calls want again and again: maps and stack memory.

    before:  r1 = map[m]; r2 = r10; r2 += -4; call f; ...; r1 = map[m]; r2 = r10; r2 += -4; call g; ... (four slots a time)
    after:   r6 = map[m]; r7 = r10; r7 += -4; r1 = r6; r2 = r7; call f; ...; r1 = r6; r2 = r7; call g; ... (two)

Worth it from the third time on.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import dominated
from purebpf.compiler.ir.ops import CALLS, Block, Function, Op

WORTH = 3


def shared_addresses(fn: Function, idom: dict[Block, Block]) -> dict[Op, list[Op]]:
    """By op: the addresses that are to be put into a register of their own right before it."""
    users: dict[Op, list[Op]] = {}
    for block in fn.blocks:
        for op in block.ops:
            if op.kind in CALLS:
                for arg in op.args:
                    if arg.kind in ("map", "alloca"):
                        users.setdefault(arg, []).append(op)
    found: dict[Op, list[Op]] = {}
    for address, calls in users.items():
        if len(calls) >= WORTH:
            found.setdefault(_first(calls, idom), []).append(address)
    return found


def _first(calls: list[Op], idom: dict[Block, Block]) -> Op:
    """The first op of the block that leads to all of these: the first of them, if it has any, else its end."""
    blocks = [call.block for call in calls if call.block is not None]
    place = blocks[0]
    while not all(dominated(idom, block, place) for block in blocks):
        place = idom[place]
    return next((op for op in place.ops if op in calls), place.ops[-1])
