"""Constants and identities once more, after other passes have replaced operands; and values that are computed twice.

    before:  b = add a, 0; c = eq 3, 3            after:  b is a; c is 1
    before:  b = add x, y; c = add x, y           after:  c is b, where b dominates c

Requires: ssa.
"""

from __future__ import annotations

from typing import Any

from purebpf.compiler.ir.analysis import dominator_children
from purebpf.compiler.ir.fold import evaluate, identity
from purebpf.compiler.ir.ops import BOOL, I32, I64, Block, Function, Op, Ptr, Type


def fold(fn: Function) -> bool:
    """Gives True when something changed."""
    replacement: dict[Op, Op] = {}
    constants = {(op.value, op.type): op for op in fn.entry.ops if op.is_const}

    def constant(value: int, type: Type) -> Op:
        key = (value, BOOL if type == BOOL else I32 if 0 <= value < 1 << 32 else I64)
        if key not in constants:
            constants[key] = Op("const", key[1], [], (value,), None, block=fn.entry)
            fn.entry.ops.insert(0, constants[key])
        return constants[key]

    def final(op: Op) -> Op:
        while op in replacement:
            op = replacement[op]
        return op

    children = dominator_children(fn)
    work: list[tuple[Block, dict[tuple[Any, ...], Op]]] = [(fn.entry, {})]
    while work:
        block, known = work.pop()
        for op in list(block.ops):
            op.args = [final(arg) for arg in op.args]
            for target in op.targets:
                target.args = [final(arg) for arg in target.args]
            if not op.pure or op.is_const:
                continue
            simpler = _simpler(op, constant)
            key = (op.kind, op.type, tuple(op.args), op.imm)
            if simpler is None and key in known:
                simpler = known[key]
            if simpler is not None and simpler is not op:
                replacement[op] = simpler
            else:
                known[key] = op
        work += [(child, dict(known)) for child in children[block]]
    for block in fn.blocks:
        block.ops = [op for op in block.ops if op not in replacement]
    fn.substitute(replacement)
    return bool(replacement)


def _simpler(op: Op, constant: Any) -> Op | None:
    args = op.args
    if args and all(a.is_const and not isinstance(a.type, Ptr) for a in args):
        value = evaluate(op.kind, op.type, [a.value for a in args], op.imm)
        if value is not None:
            return constant(value, op.type)  # type: ignore[no-any-return]
    if op.kind == "guard" and args[0].is_const:
        return args[0]
    if op.kind == "guard" and op.imm[0] == "nonnull" and args[0].type == op.type:
        return args[0]  # the test that came with it was threaded away: the operand is a plain pointer now
    if op.kind == "low32" and args[0].type in (I32, BOOL):
        return args[0]
    if (
        op.kind in ("eq", "ne")
        and isinstance(args[0].type, Ptr)
        and not args[0].type.nullable
        and args[1].is_const
        and args[1].value == 0
    ):
        return constant(int(op.kind == "ne"), BOOL)  # type: ignore[no-any-return]
    if op.kind == "ne" and args[0].type == BOOL and args[1].is_const and args[1].value == 0:
        return args[0]
    if len(args) == 2 and args[1].is_const and not isinstance(args[1].type, Ptr):
        same = identity(op.kind, op.type if args[0].type != I32 else I64, args[1].value)
        if same == "x" and op.type != BOOL:
            return args[0]
        if same == "0":
            return constant(0, op.type)  # type: ignore[no-any-return]
    return None
