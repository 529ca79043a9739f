"""Which pieces of stack memory may share their place.

A piece is in use between the first and the last op that touches it (on every way through the function). Pieces that are
never in
use at the same time may overlap; one whose address flows through a block's parameter keeps a place of its own.
"""

from __future__ import annotations

from purebpf.compiler.ir.ops import Block, Function, Op


def lasting(fn: Function) -> set[Op]:
    """The pieces that are reached by other ways than the ops that name them: their address is in memory, where a callback finds
    it, in a block's parameter, or behind a pointer that a call gave."""
    found: set[Op] = set()
    for op in fn.ops():
        if op.kind == "store":
            found.add(_piece(op.args[1]))
        if _gives_slices(op):
            found.update(map(_piece, op.args))
        for target in op.targets:
            found.update(map(_piece, target.args))
    return {op for op in found if op.kind == "alloca"}


def conflicts(fn: Function) -> dict[Op, set[Op]]:
    """For each `alloca`, the others that are in use at the same time as it."""
    pieces = [op for op in fn.entry.ops if op.kind == "alloca"]
    number = {op: 1 << i for i, op in enumerate(pieces)}
    everywhere = sum(number[op] for op in lasting(fn))
    touched: dict[Block, list[int]] = {}
    for block in fn.blocks:
        row: list[int] = []
        for op in block.ops:
            bits = 0
            if op.kind not in ("add", "guard"):
                for arg in op.args:
                    bits |= number.get(_piece(arg), 0)
            row.append(bits)
        touched[block] = row
    before = _spread(fn, touched, forward=True)
    after = _spread(fn, touched, forward=False)
    in_use: set[int] = set()
    for block in fn.blocks:
        seen, rest = before[block], list(_suffixes(touched[block], after[block]))
        for bits, later in zip(touched[block], rest, strict=True):
            seen |= bits
            in_use.add(seen & later | bits | everywhere)
    result: dict[Op, set[Op]] = {op: set() for op in pieces}
    for together in in_use:
        members = [op for op in pieces if number[op] & together]
        for op in members:
            result[op].update(members)
    for op in pieces:
        result[op].discard(op)
    return result


def _gives_slices(op: Op) -> bool:
    """Whether pointers that come of it are good only as long as the memory that it was given: dynptrs that nobody gives back,
    and copies of a packet's bytes."""
    return (op.kind == "kfunc" and "dynptr" in op.imm[0]) or (op.kind == "call" and op.imm[0] == "dynptr_from_mem")


def _piece(op: Op) -> Op:
    while op.kind in ("add", "guard"):
        op = op.args[0]
    return op


def _suffixes(row: list[int], after: int) -> list[int]:
    """For each op, what it or anything behind it touches."""
    out: list[int] = []
    for bits in reversed(row):
        after |= bits
        out.append(after)
    out.reverse()
    return out


def _spread(fn: Function, touched: dict[Block, list[int]], forward: bool) -> dict[Block, int]:
    """What may have been touched before each block (forward), or may be touched behind it."""
    whole = dict.fromkeys(fn.blocks, 0)
    for block, row in touched.items():
        for bits in row:
            whole[block] |= bits
    result = dict.fromkeys(fn.blocks, 0)
    changed = True
    while changed:
        changed = False
        for block in fn.blocks if forward else reversed(fn.blocks):
            for successor in block.successors:
                source, sink = (block, successor) if forward else (successor, block)
                new = result[sink] | result[source] | whole[source]
                if new != result[sink]:
                    result[sink] = new
                    changed = True
    return result
