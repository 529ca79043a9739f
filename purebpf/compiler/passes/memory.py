"""Forwarding through memory: a load that reads what a store or load before it had in hand.

    before:  store p, x size=4 offset=0; a = load p size=4 offset=0        after:  a is x, cut to 32 bits
    before:  a = load p size=2; b = load p size=2                           after:  b is a
    before:  store p, 0; store p, 0                                         after:  store p, 0      (p on the stack)

Requires: ssa. Knowledge follows edges into blocks with one predecessor and ends where a write may alias: provenance decides
(stack memory whose address no call has seen is untouched by calls and by stores elsewhere).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from purebpf.compiler.ir.analysis import dominator_children
from purebpf.compiler.ir.ops import BOOL, I32, I64, Block, Flag, Function, Op, Ptr

Cell = tuple[Op, int, int]  # base pointer, offset, size


@dataclass(slots=True)
class Known:
    """Cells whose content is a value in hand: (value, whether a load made it with that sign extension)."""

    cells: dict[Cell, Op] = field(default_factory=dict)


def forward_memory(fn: Function) -> None:
    children = dominator_children(fn)
    edges = fn.predecessors()
    escaped = _escaped(fn)
    replacement: dict[Op, Op] = {}
    after: dict[Block, Known] = {}
    work = [fn.entry]
    while work:
        block = work.pop()
        preds = edges[block]
        known = Known(dict(after[preds[0][0]].cells)) if len(preds) == 1 and preds[0][0] in after else Known()
        kept: list[Op] = []
        for op in block.ops:
            op.args = [replacement.get(arg, arg) for arg in op.args]
            result = _step(op, known, escaped, kept)
            if result is not None:
                replacement[op] = result
            else:
                kept.append(op)
        block.ops = kept
        after[block] = known
        work += reversed(children[block])
    fn.substitute(replacement)


def _place(pointer: Op, offset: int) -> tuple[Op, int]:
    """The pointer's base and the whole constant offset from it."""
    while pointer.kind in ("add", "guard"):
        if pointer.kind == "add":
            if not pointer.args[1].is_const:
                break
            offset += pointer.args[1].value
        pointer = pointer.args[0]
    return pointer, offset


def _root(pointer: Op) -> Op:
    """What a pointer was made from, by whatever moves."""
    while pointer.kind in ("add", "guard"):
        pointer = pointer.args[0]
    return pointer


def _escaped(fn: Function) -> set[Op]:
    """Stack memory whose address is handed to a call, stored, or passed to a block."""
    seen: set[Op] = set()
    for op in fn.ops():
        if op.kind in ("load", "add", "guard", "atomic", "cmpxchg"):
            continue
        values = [op.args[1]] if op.kind == "store" else list(op.operands())
        for value in values:
            if isinstance(value.type, Ptr) and _root(value).kind == "alloca":
                seen.add(_root(value))
    return seen


def _step(op: Op, known: Known, escaped: set[Op], kept: list[Op]) -> Op | None:
    """Note what an op does to memory; gives the value a load can be replaced by, or that a store finds stored already."""
    if op.kind == "load":
        size, signed, offset = op.imm
        base, at = _place(op.args[0], offset)
        cell = (base, at, size)
        value = known.cells.get(cell)
        if value is None:
            if not isinstance(op.type, Ptr) and not (signed and size < 8):
                known.cells[cell] = op
            return None
        if isinstance(op.type, Ptr) or isinstance(value.type, Ptr):
            return value if value.type == op.type else None
        return _cut(value, size, bool(signed), op, kept)
    if op.kind == "store":
        size, offset = op.imm
        base, at = _place(op.args[0], offset)
        there = known.cells.get((base, at, size))
        if (
            base.kind == "alloca"
            and there is not None
            and there.is_const
            and there.imm == op.args[1].imm
            and op.args[1].is_const
        ):
            return there
        _forget(known, base, at, size, escaped)
        known.cells[base, at, size] = op.args[1]
    elif op.kind == "atomic":
        base, at = _place(op.args[0], op.imm[2])
        _forget(known, base, at, op.imm[1], escaped)
    elif op.kind == "cmpxchg":
        base, at = _place(op.args[0], op.imm[1])
        _forget(known, base, at, op.imm[0], escaped)
    elif op.info.flags & Flag.WRITES:
        known.cells = {
            cell: value for cell, value in known.cells.items() if cell[0].kind == "alloca" and cell[0] not in escaped
        }
    return None


def _forget(known: Known, base: Op, at: int, size: int, escaped: set[Op]) -> None:
    """A write of `size` bytes at base + at: what may overlap is known no longer."""

    def survives(cell: Cell) -> bool:
        other, start, length = cell
        if other is base:
            return start + length <= at or at + size <= start
        mine, theirs = _root(base), _root(other)
        if mine is theirs:
            return False  # the same memory, at a distance that is known at run time only
        if mine.kind == theirs.kind == "alloca":
            return True
        if any(root.kind == "alloca" and root not in escaped for root in (mine, theirs)):
            return True
        kinds = (getattr(theirs.type, "kind", ""), getattr(mine.type, "kind", ""))
        return kinds[0] != kinds[1] and "mem" not in kinds  # a packet is no map value

    known.cells = {cell: value for cell, value in known.cells.items() if survives(cell)}


def _cut(value: Op, size: int, signed: bool, load: Op, kept: list[Op]) -> Op | None:
    """The low bytes of a value as a load of that size gives them."""
    if signed and size < 8:
        return _emit(kept, load, "sext", I64, [value], (size * 8,))
    if size == 8 or value.type == BOOL:
        return value
    if value.kind == "load" and value.imm[0] <= size and not value.imm[1]:
        return value
    if value.is_const:
        return value if 0 <= value.value < 1 << (8 * size) else None
    if size == 4:
        return value if value.type == I32 else _emit(kept, load, "low32", I32, [value], ())
    return None


def _emit(kept: list[Op], at: Op, kind: str, type: object, args: list[Op], imm: tuple[int, ...]) -> Op:
    op = Op(kind, type, args, imm, at.loc, block=at.block)  # type: ignore[arg-type]
    kept.append(op)
    return op
