"""The rules of `ir/rewrite.py` once more, after other passes have replaced operands; and values that are computed twice.

    before:  b = add a, 0; c = eq 3, 3            after:  b is a; c is 1
    before:  b = add x, y; c = add x, y           after:  c is b, where b dominates c

Requires: ssa.
"""

from __future__ import annotations

from typing import Any

from purebpf.compiler.ir.analysis import dominator_children, told
from purebpf.compiler.ir.ops import BOOL, I32, I64, Block, Function, Op, Type, signed64
from purebpf.compiler.ir.rewrite import Make, Result, rewrite


class _Fold:
    def __init__(self, fn: Function, big_endian: bool) -> None:
        self.fn = fn
        self.big_endian = big_endian
        self.told = told(fn)
        self.replacement: dict[Op, Op] = {}
        self.fresh: list[Op] = []  # constants that the entry block does not have yet
        self.constants = {(op.value, op.type): op for op in fn.entry.ops if op.is_const}

    def constant(self, value: int, type: Type) -> Op:
        key = (value, BOOL if type == BOOL else I32 if 0 <= value < 1 << 32 else I64)
        if key not in self.constants:
            self.constants[key] = Op("const", key[1], [], (value,), None, block=self.fn.entry)
            self.fresh.append(self.constants[key])
        return self.constants[key]

    def final(self, op: Op) -> Op:
        while op in self.replacement:
            op = self.replacement[op]
        return op

    def block(self, block: Block, known: dict[tuple[Any, ...], Op]) -> None:
        """Rewrite a block's ops, given the values computed on the way here."""
        out: list[Op] = []
        for op in block.ops:
            op.args = [self.final(arg) for arg in op.args]
            for target in op.targets:
                target.args = [self.final(arg) for arg in target.args]
            if not op.pure or op.is_const:
                out.append(op)
                continue
            result = rewrite(op.kind, op.type, op.args, op.imm, self.big_endian, op in self.told)
            simpler = self.made(result, op, out, known)
            key = (op.kind, op.type, tuple(op.args), op.imm)
            simpler = known.get(key) if simpler is None else simpler
            if simpler is not None and simpler is not op:
                self.replacement[op] = simpler
            else:
                known[key] = op
                out.append(op)
        block.ops = out

    def made(self, result: Result, like: Op, out: list[Op], known: dict[tuple[Any, ...], Op]) -> Op | None:
        """What a rule gave as an op; new ones are appended to `out`."""
        match result:
            case int():
                return self.constant(result, like.type)
            case Make(kind, type, args, imm):
                values = [self._argument(arg, like, out, known) for arg in args]
                again = self.made(rewrite(kind, type, values, imm, self.big_endian, like in self.told), like, out, known)
                if again is not None:
                    return again
                key = (kind, type, tuple(values), imm)
                if key not in known:
                    known[key] = Op(kind, type, values, imm, like.loc, block=like.block)
                    out.append(known[key])
                return known[key]
        return result

    def _argument(self, arg: Op | int | Make, like: Op, out: list[Op], known: dict[tuple[Any, ...], Op]) -> Op:
        if isinstance(arg, int):
            return self.constant(signed64(arg), I64)
        made = self.made(arg, like, out, known)
        assert made is not None
        return made


def fold(fn: Function, big_endian: bool = False) -> bool:
    """Gives True when something changed."""
    folding = _Fold(fn, big_endian)
    children = dominator_children(fn)
    work: list[tuple[Block, dict[tuple[Any, ...], Op]]] = [(fn.entry, {})]
    while work:
        block, known = work.pop()
        folding.block(block, known)
        work += [(child, dict(known)) for child in children[block]]
    fn.entry.ops[:0] = folding.fresh
    fn.substitute(folding.replacement)
    return bool(folding.replacement)
