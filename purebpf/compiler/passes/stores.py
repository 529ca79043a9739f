"""Fewer, wider stores.

    before:  store p, 1 size=1 offset=0; store p, 2 size=1 offset=1                   after:  store p, 0x201 size=2 offset=0
    before:  a = load q size=4; b = load q size=4 offset=4; store p, a size=4;
             store p, b size=4 offset=4                                       after:  a = load q size=8; store p, a size=8
    before:  store p, x size=1; store p, 0 size=1 offset=1, x a byte                  after:  store p, x size=2
    before:  store s, 0 size=8; ...; store s, x size=8, nothing read between          after:  ...; store s, x size=8

Requires: ssa, forwarded memory. Stack memory is kept aligned, as the verifier wants it; packets and map values need not be.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import reverse_postorder
from purebpf.compiler.ir.ops import I32, I64, Block, Flag, Function, Op, Ptr, signed64
from purebpf.compiler.ir.ranges import highest
from purebpf.compiler.passes.memory import disjoint, escaping, place, root
from purebpf.data import data


def merge_stores(fn: Function) -> None:
    escaped = escaping(fn)
    drop_overwritten(fn, escaped)
    uses = fn.uses()
    for block in fn.blocks:
        _Merging(fn, block, escaped, uses).run()


@data(frozen=False)
class _Store:
    """A store that may still be joined with the next one."""

    op: Op
    base: Op
    at: int
    size: int


class _Merging:
    """Stores of one block, joined in pairs as long as that goes on."""

    def __init__(self, fn: Function, block: Block, escaped: set[Op], uses: dict[Op, int]) -> None:
        self.fn = fn
        self.block = block
        self.escaped = escaped
        self.uses = uses
        self.open: list[_Store] = []
        self.gone: set[Op] = set()

    def run(self) -> None:
        for op in list(self.block.ops):
            if op.kind == "store":
                self.store(op)
            elif op.kind == "load":
                self.closes(op, op.imm[0], op.imm[2])
            elif op.kind == "atomic":
                self.closes(op, op.imm[1], op.imm[2])
            elif op.kind == "cmpxchg":
                self.closes(op, op.imm[0], op.imm[1])
            elif op.info.flags & (Flag.READS | Flag.WRITES):
                self.open = [s for s in self.open if s.base.kind == "alloca" and not self.reaches(op, s.base)]
        if self.gone:
            self.block.ops = [op for op in self.block.ops if op not in self.gone]

    def reaches(self, call: Op, memory: Op) -> bool:
        """Whether a call can see this stack memory."""
        return memory in self.escaped and any(isinstance(a.type, Ptr) for a in call.args)

    def closes(self, op: Op, size: int, offset: int) -> None:
        """An access: stores that it may touch are left as they are."""
        base, at = place(op.args[0], offset)
        self.open = [s for s in self.open if disjoint((s.base, s.at, s.size), base, at, size, self.escaped)]

    def store(self, op: Op) -> None:
        size, offset = op.imm
        base, at = place(op.args[0], offset)
        self.open = [s for s in self.open if disjoint((s.base, s.at, s.size), base, at, size, self.escaped)]
        new = _Store(op, base, at, size)
        while (joined := self.joined(new)) is not None:
            new = joined
        self.open.append(new)

    def joined(self, new: _Store) -> _Store | None:
        """The new store and an open one beside it as one store, at the place of the new one."""
        for old in self.open:
            if old.base is not new.base or old.size != new.size or new.size == 8 or abs(old.at - new.at) != new.size:
                continue
            low, high = sorted((old, new), key=lambda s: s.at)
            if not _aligned(low.base, low.at, 2 * low.size):
                continue
            value = self.both(low, high)
            if value is None:
                continue
            self.open.remove(old)
            self.gone.add(old.op)
            pointer = low.op.args[0]
            new.op.args = [pointer, value]
            new.op.imm = (2 * low.size, low.at - place(pointer, 0)[1])
            return _Store(new.op, low.base, low.at, 2 * low.size)
        return None

    def both(self, low: _Store, high: _Store) -> Op | None:
        """The two values side by side."""
        a, b = low.op.args[1], high.op.args[1]
        if a.is_const and b.is_const and not isinstance(a.type, Ptr) and not isinstance(b.type, Ptr):
            mask = (1 << 8 * low.size) - 1
            value = (a.value & mask) | (b.value & mask) << 8 * low.size
            if low.size == 4 and not -(1 << 31) <= signed64(value) < 1 << 31:
                return None
            return self.constant(value)
        if b.is_const and b.value == 0 and not isinstance(a.type, Ptr) and highest(a) < 1 << 8 * low.size:
            return a  # nothing but zeros above it
        if a.kind == b.kind == "load" and a is not b:
            return self.loads(a, b, low.size)
        return None

    def constant(self, value: int) -> Op:
        op = Op("const", I32 if value < 1 << 32 else I64, [], (signed64(value),), None, block=self.fn.entry)
        self.fn.entry.ops.insert(0, op)
        return op

    def loads(self, a: Op, b: Op, size: int) -> Op | None:
        """Two loads of neighbours as one, at the place of the first."""
        if a.block is not self.block or b.block is not self.block or self.uses.get(a) != 1 or self.uses.get(b) != 1:
            return None
        if a.imm[0] != size or b.imm[0] != size or isinstance(a.type, Ptr) or isinstance(b.type, Ptr):
            return None
        (base, at), (other, beside) = place(a.args[0], a.imm[2]), place(b.args[0], b.imm[2])
        if base is not other or beside != at + size or not _aligned(base, at, 2 * size):
            return None
        ops = self.block.ops
        i, j = sorted((ops.index(a), ops.index(b)))
        first, last = ops[i], ops[j]
        if not all(self.passes(op, base, at, size) for op in ops[i + 1 : j] if op not in self.gone):
            return None
        pointer = first.args[0] if _reach(first.args[0]) >= _reach(last.args[0]) else None
        if pointer is None:
            return None
        _, distance = place(pointer, 0)
        wide = Op("load", I64 if size == 4 else I32, [pointer], (2 * size, 0, at - distance), first.loc, block=self.block)
        ops[i] = wide
        self.gone.add(last)
        self.uses[wide] = 1
        return wide

    def passes(self, op: Op, base: Op, at: int, size: int) -> bool:
        """Whether a load of these bytes can be done before this op as well."""
        if op.kind in ("store", "atomic"):
            other, where = place(op.args[0], op.imm[1] if op.kind == "store" else op.imm[2])
            length = op.imm[0] if op.kind == "store" else op.imm[1]
            return disjoint((base, at, 2 * size), other, where, length, self.escaped)
        return not op.info.flags & Flag.WRITES


def _reach(pointer: Op) -> int:
    """How many bytes a guard on the way has shown to be there."""
    reach = 0
    while pointer.kind in ("guard", "add"):
        if pointer.kind == "guard" and pointer.imm[0] == "packet":
            reach = max(reach, pointer.imm[1])
        pointer = pointer.args[0]
    return reach


def _aligned(base: Op, at: int, size: int) -> bool:
    """Whether the kernel takes an access of this size there. Stack memory is aligned for it, when it is large enough."""
    if base.kind == "alloca":
        if at % size or base.imm[0] < size:
            return False
        base.imm = (base.imm[0], max(base.imm[1], size), *base.imm[2:])
        return True
    return isinstance(base.type, Ptr) and base.type.kind in ("packet", "map_value")


# -- stores that nobody reads


def drop_overwritten(fn: Function, escaped: set[Op]) -> None:
    """Drop stores to stack memory all whose bytes are written again, on every way, before anything may read them."""
    memories = {op for op in fn.entry.ops if op.kind == "alloca"} - _handed_on(fn)
    if not memories:
        return
    order = reverse_postorder(fn)
    entry: dict[Block, dict[Op, int]] = {block: {} for block in order}
    changed = True
    while changed:
        changed = False
        for block in reversed(order):
            wanted = _wanted_after(block, entry)
            for op in reversed(block.ops):
                _step_back(op, wanted, memories)
            if wanted != entry[block]:
                entry[block] = wanted
                changed = True
    for block in order:
        wanted = _wanted_after(block, entry)
        kept = []
        for op in reversed(block.ops):
            if op.kind == "store":
                base, at = place(op.args[0], op.imm[1])
                if base in memories and not wanted.get(base, 0) & _bytes(at, op.imm[0]):
                    continue
            _step_back(op, wanted, memories)
            kept.append(op)
        block.ops = kept[::-1]


def _wanted_after(block: Block, entry: dict[Block, dict[Op, int]]) -> dict[Op, int]:
    """By memory, a bit for each byte that is read before it is written again."""
    wanted: dict[Op, int] = {}
    for successor in block.successors:
        for memory, mask in entry.get(successor, {}).items():
            wanted[memory] = wanted.get(memory, 0) | mask
    return wanted


def _step_back(op: Op, wanted: dict[Op, int], memories: set[Op]) -> None:
    if op.kind == "store":
        base, at = place(op.args[0], op.imm[1])
        if base in memories:
            wanted[base] = wanted.get(base, 0) & ~_bytes(at, op.imm[0])
        return
    if op.kind in ("guard", "add") and isinstance(op.type, Ptr):
        return
    for operand in op.operands():
        if isinstance(operand.type, Ptr) and root(operand) in memories:
            memory = root(operand)
            if op.kind == "load" and place(operand, 0)[0] is memory:
                wanted[memory] = wanted.get(memory, 0) | _bytes(place(operand, op.imm[2])[1], op.imm[0])
            else:
                wanted[memory] = (1 << memory.imm[0]) - 1


def _bytes(at: int, size: int) -> int:
    return ((1 << size) - 1) << at if at >= 0 else -1


def _handed_on(fn: Function) -> set[Op]:
    """Memory that not all accesses name: its address is in other memory, or in a parameter of a block."""
    found: set[Op] = set()
    for op in fn.ops():
        values = [*([op.args[1]] if op.kind == "store" else []), *(a for t in op.targets for a in t.args)]
        values += op.args if op.kind in ("ret", "eq", "ne", "sub") else []
        found.update(root(v) for v in values if isinstance(v.type, Ptr))
    return found
