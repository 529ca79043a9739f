"""Large pieces of stack memory, moved into the value of a per-CPU map of the program's own.

    before:  a = alloca 600; store a, x
    after:           key = alloca 4; store key, 0; p = call map_lookup_elem scratch, key; br p != 0, there, never
             there:  q = guard p nonnull; a = add q, 8; store a, x
             never:  ret 0

Each function has bytes of its own, since none is called twice at a time. Pieces that must stay: those whose address lies in
memory, those that hold pointers, and what helpers that call back are given. Pointers that meet in a parameter move together.
Requires: the passes that shrink memory have run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from purebpf.compiler.ir.ops import BOOL, I32, VOID, Block, Flag, Function, Op, Ptr, Target, Type
from purebpf.data import data, made

STAYS_WITH = frozenset({"loop", "for_each_map_elem", "find_vma", "user_ringbuf_drain"})  # they take pointers to the stack only
STATE = ("dynptr", "_iter_", "_irq_")  # in the names of those that keep state of their own on the stack
STACK = "stack"


@data(frozen=False)
class Webs:
    """Pointers to the stack that meet somewhere, as disjoint sets; `fixed` are those that must stay pointers to the stack."""

    parent: dict[Op, Op] = made(dict)
    fixed: set[Op] = made(set)

    def find(self, op: Op) -> Op:
        while (above := self.parent.setdefault(op, op)) is not op:
            op = above
        return op

    def join(self, a: Op, b: Op) -> None:
        self.parent[self.find(a)] = self.find(b)

    def movable(self, op: Op) -> bool:
        web = self.find(op)
        return all(self.find(each) is not web for each in self.fixed)


def move_large_locals(functions: Iterable[Function], map: str, smallest: int) -> int:
    """Move what has at least `smallest` bytes; gives the bytes of the map's value, 0 when nothing moved."""
    functions = list(functions)
    webs = _webs(functions)
    large = [op for fn in functions for op in fn.entry.ops if op.kind == "alloca" and op.imm[0] >= smallest]
    moving = {webs.find(op) for op in large if webs.movable(op)}
    size = 8
    for fn in functions:
        pieces = [op for op in fn.entry.ops if op.kind == "alloca" and webs.find(op) in moving]
        if pieces:
            size = _move(fn, pieces, map, size)
    for fn in functions:
        _retype(fn, webs, moving)
    return size if moving else 0


def _webs(functions: list[Function]) -> Webs:
    webs = Webs()
    by_name = {fn.name: fn for fn in functions}
    for fn in functions:
        if isinstance(fn.result, Ptr) and not fn.result.nullable:  # it has nothing to give where the map's entry is missing
            webs.fixed.update(op for op in fn.entry.ops if op.kind == "alloca")
        for op in fn.ops():
            for param, given in _handed_on(op, by_name):
                if _to_stack(param.type) and not given.is_const:
                    webs.join(param, _root(given))
            webs.fixed.update(_fixed(op, by_name))
    return webs


def _handed_on(op: Op, by_name: dict[str, Function]) -> Iterator[tuple[Op, Op]]:
    """(parameter, what it is given) of blocks and functions."""
    for target in op.targets:
        yield from zip(target.block.params, target.args, strict=True)
    if op.kind == "callsub":
        yield from zip(by_name[op.imm[0]].params, op.args, strict=True)


def _fixed(op: Op, by_name: dict[str, Function]) -> Iterator[Op]:
    """What an op does not let move."""
    if op.kind == "store" and isinstance(op.args[1].type, Ptr):
        yield _root(op.args[0])
        yield _root(op.args[1])
    elif op.kind == "load" and _to_stack(op.type):
        yield op
    elif op.kind == "func":
        yield from (param for param in by_name[op.imm[0]].params if _to_stack(param.type))
    elif op.kind in ("call", "kfunc") and (op.imm[0] in STAYS_WITH or any(word in op.imm[0] for word in STATE)):
        yield from (_root(arg) for arg in op.args if _to_stack(arg.type))


def _to_stack(type: Type) -> bool:
    return isinstance(type, Ptr) and type.kind == STACK


def _root(op: Op) -> Op:
    while op.kind in ("add", "guard"):
        op = op.args[0]
    return op


def _move(fn: Function, pieces: list[Op], map: str, offset: int) -> int:
    """Look the map's entry up at the start, and give the pieces their places in it; gives where the next function's begin."""
    body, loc = fn.entry, pieces[0].loc
    start, never = Block("scratch"), Block("no_scratch")
    fixed = [op for op in body.ops if op.kind in ("const", "alloca") and op not in pieces]
    rest = [op for op in body.ops if op.kind not in ("const", "alloca")]

    def make(block: Block, kind: str, type: Type, args: list[Op], imm: tuple[object, ...] = ()) -> Op:
        op = Op(kind, type, args, imm, loc, block=block)
        block.ops.append(op)
        return op

    nullable = Ptr("map_value", nullable=True)
    start.ops, body.ops = fixed, []
    zero, null = make(start, "const", I32, [], (0,)), make(start, "const", nullable, [], (0,))
    key = make(start, "alloca", Ptr(STACK), [], (4, 4, "scratch key"))
    make(start, "store", VOID, [key, zero], (4, 0))
    entry = make(start, "map", Ptr("map"), [], (map,))
    found = make(start, "call", nullable, [entry, key], ("map_lookup_elem",))
    there = make(start, "ne", BOOL, [found, null])
    make(start, "br", VOID, [there]).targets = [Target(body), Target(never)]
    place = make(body, "guard", Ptr("map_value"), [found], ("nonnull", 0, 0))
    moved: dict[Op, Op] = {}
    for piece in pieces:
        size, align, _ = piece.imm
        offset = -(-offset // max(align, 8)) * max(align, 8)
        distance = make(start, "const", I32, [], (offset,))
        start.ops.remove(distance)
        start.ops.insert(0, distance)
        moved[piece] = make(body, "add", Ptr("map_value"), [place, distance])
        offset += size
    body.ops += rest
    result = fn.result
    make(never, "ret", VOID, [] if result == VOID else [null if isinstance(result, Ptr) else zero])
    for op in (*start.ops, *fn.params):
        op.block = start
    start.params, body.params = body.params, []
    fn.blocks.insert(0, start)
    fn.blocks.append(never)
    fn.substitute(moved)
    return offset


def _retype(fn: Function, webs: Webs, moving: set[Op]) -> None:
    """Pointers into what moved are pointers into a map's value."""
    for param in (*fn.params, *(param for block in fn.blocks for param in block.params)):
        if _to_stack(param.type) and webs.find(param) in moving:
            param.type = _into_map(param.type)
    changed = True
    while changed:
        changed = False
        for op in fn.ops():
            if op.kind in ("add", "guard") and _to_stack(op.type) and not _to_stack(op.args[0].type):
                op.type, changed = _into_map(op.type), True
    for op in list(fn.ops()):
        if op.info.flags & Flag.COMPARE and not _to_stack(op.args[0].type) and _to_stack(op.args[1].type):
            op.args[1] = _null(fn)
        for target in op.targets:
            for i, param in enumerate(target.block.params):
                if _to_stack(target.args[i].type) and isinstance(param.type, Ptr) and not _to_stack(param.type):
                    target.args[i] = _null(fn)


def _into_map(type: Type) -> Ptr:
    assert isinstance(type, Ptr)
    return Ptr("map_value", type.nullable)


def _null(fn: Function) -> Op:
    null = Op("const", Ptr("map_value", nullable=True), [], (0,), None, block=fn.entry)
    fn.entry.ops.insert(0, null)
    return null
