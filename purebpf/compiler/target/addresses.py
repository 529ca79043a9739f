"""Addresses: which pointers need a register at all, and which one of their own, since calls want them again and again.

    before:  r1 = map[m]; r2 = r10; r2 += -4; call f; ...; r1 = map[m]; r2 = r10; r2 += -4; call g; ... (four slots a time)
    after:   r6 = map[m]; r7 = r10; r7 += -4; r1 = r6; r2 = r7; call f; ...; r1 = r6; r2 = r7; call g; ... (two)

Worth it from the third time on.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import dominated
from purebpf.compiler.ir.ops import CALLS, Block, Function, Op, Ptr

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


def pointers_in_registers(fn: Function) -> set[Op]:
    """What is read as a value, not only as the place of a load or store, which add a constant to a pointer by themselves."""
    work: list[Op] = []
    for op in fn.ops():
        for i, operand in enumerate(op.operands()):
            if not (op.kind in ("load", "store", "atomic", "cmpxchg") and i == 0) and not _moves_a_pointer(op):
                work.append(operand)
    found: set[Op] = set()
    while work:
        op = work.pop()
        if op not in found:
            found.add(op)
            if _moves_a_pointer(op):
                work.append(op.args[0])
    return found


def _moves_a_pointer(op: Op) -> bool:
    """Whether it gives its operand as it is, or a pointer moved by a constant."""
    return op.kind == "guard" or (op.kind == "add" and isinstance(op.type, Ptr) and op.args[1].is_const)
