"""Forwarding through memory: a load that reads what a store or load before it had in hand.

    before:  store p, x size=4 offset=0; a = load p size=4 offset=0        after:  a is x, cut to 32 bits
    before:  a = load p size=2; b = load p size=2                           after:  b is a
    before:  store p, 0; store p, 0                                         after:  store p, 0      (p on the stack)

Requires: ssa. Knowledge ends where a write may alias: provenance decides (stack memory whose address no call has seen is
untouched by calls and by stores elsewhere). A block that several ways lead to knows what was known where they parted, less
what is written on any of them.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import dominator_children, immediate_dominators
from purebpf.compiler.ir.ops import BOOL, I32, I64, Block, Flag, Function, Op, Ptr, Target
from purebpf.data import data, made

Cell = tuple[Op, int, int]  # base pointer, offset, size


@data(frozen=False)
class Known:
    """Cells whose content is a value in hand: (value, whether a load made it with that sign extension)."""

    cells: dict[Cell, Op] = made(dict)


def forward_memory(fn: Function) -> None:
    children = dominator_children(fn)
    edges = fn.predecessors()
    idom = immediate_dominators(fn)
    escaped = escaping(fn)
    replacement: dict[Op, Op] = {}
    after: dict[Block, Known] = {}
    work = [fn.entry]
    while work:
        block = work.pop()
        known = _on_entry(fn, block, edges, after, idom, escaped)
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


def _on_entry(
    fn: Function,
    block: Block,
    edges: dict[Block, list[tuple[Block, Target]]],
    after: dict[Block, Known],
    idom: dict[Block, Block],
    escaped: set[Op],
) -> Known:
    if block is fn.entry:
        return Known()
    fork = idom[block]
    known = Known(dict(after[fork].cells))
    between: set[Block] = set()
    work = [source for source, _ in edges[block]]
    while work and known.cells:
        here = work.pop()
        if here is fork or here in between:
            continue
        between.add(here)
        for op in here.ops:
            _overwrite(op, known, escaped)
        work += [source for source, _ in edges[here]]
    return known


def place(pointer: Op, offset: int) -> tuple[Op, int]:
    """The pointer's base and the whole constant offset from it."""
    while pointer.kind in ("add", "guard"):
        if pointer.kind == "add":
            if not pointer.args[1].is_const:
                break
            offset += pointer.args[1].value
        pointer = pointer.args[0]
    return pointer, offset


def root(pointer: Op) -> Op:
    """What a pointer was made from, by whatever moves."""
    while pointer.kind in ("add", "guard"):
        pointer = pointer.args[0]
    return pointer


def escaping(fn: Function) -> set[Op]:
    """Stack memory whose address is handed to a call, stored, or passed to a block."""
    seen: set[Op] = set()
    for op in fn.ops():
        if op.kind in ("load", "add", "guard", "atomic", "cmpxchg"):
            continue
        values = [op.args[1]] if op.kind == "store" else list(op.operands())
        for value in values:
            if isinstance(value.type, Ptr) and root(value).kind == "alloca":
                seen.add(root(value))
    return seen


def _step(op: Op, known: Known, escaped: set[Op], kept: list[Op]) -> Op | None:
    """Note what an op does to memory; gives the value a load can be replaced by, or that a store finds stored already."""
    if op.kind == "load":
        size, signed, offset = op.imm
        base, at = place(op.args[0], offset)
        cell = (base, at, size)
        value = known.cells.get(cell)
        if value is None:
            if not isinstance(op.type, Ptr):
                known.cells[cell] = op
            return None
        if isinstance(op.type, Ptr) or isinstance(value.type, Ptr):
            return value if value.type == op.type else None
        return _cut(value, size, bool(signed), op, kept)
    if op.kind == "store":
        size, offset = op.imm
        base, at = place(op.args[0], offset)
        there = known.cells.get((base, at, size))
        new = op.args[1]
        if base.kind == "alloca" and there is not None and there.is_const and new.is_const and there.imm == new.imm:
            return there
    _overwrite(op, known, escaped)
    if op.kind == "store":
        known.cells[base, at, size] = op.args[1]
    return None


def _overwrite(op: Op, known: Known, escaped: set[Op]) -> None:
    """Forget what an op may write."""
    if op.kind == "store":
        base, at = place(op.args[0], op.imm[1])
        _forget(known, base, at, op.imm[0], escaped)
    elif op.kind == "atomic":
        base, at = place(op.args[0], op.imm[2])
        _forget(known, base, at, op.imm[1], escaped)
    elif op.kind == "cmpxchg":
        base, at = place(op.args[0], op.imm[1])
        _forget(known, base, at, op.imm[0], escaped)
    elif op.info.flags & Flag.WRITES:
        known.cells = {
            cell: value for cell, value in known.cells.items() if cell[0].kind == "alloca" and cell[0] not in escaped
        }


def _forget(known: Known, base: Op, at: int, size: int, escaped: set[Op]) -> None:
    """A write of `size` bytes at base + at: what may overlap is known no longer."""

    known.cells = {c: value for c, value in known.cells.items() if disjoint(c, base, at, size, escaped)}


def disjoint(cell: Cell, base: Op, at: int, size: int, escaped: set[Op]) -> bool:
    """Whether a cell shares no byte with `size` bytes at base + at."""
    other, start, length = cell
    if other is base:
        return start + length <= at or at + size <= start
    mine, theirs = root(base), root(other)
    if mine is theirs:
        return False  # the same memory, at a distance that is known at run time only
    if mine.kind == theirs.kind == "alloca":
        return True
    if any(origin.kind == "alloca" and origin not in escaped for origin in (mine, theirs)):
        return True
    kinds = (getattr(theirs.type, "kind", ""), getattr(mine.type, "kind", ""))
    return kinds[0] != kinds[1] and "mem" not in kinds  # a packet is no map value


def _cut(value: Op, size: int, signed: bool, load: Op, kept: list[Op]) -> Op | None:
    """The low bytes of a value as a load of that size gives them."""
    if value.kind == "load" and value.imm[1] and value.imm[0] < 8:
        return value if signed and value.imm[0] == size else None
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
