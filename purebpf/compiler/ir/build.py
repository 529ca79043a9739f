"""Making IR: ops are folded, simplified and shared as they are made, so most needless work never exists.

A `Scope` remembers the pure ops of one straight run of blocks; everything in a scope dominates everything in its
descendants, so an equal op found on the way up can be used instead of a new one.
"""

from __future__ import annotations

from typing import Any

from purebpf.compiler.ir.ops import BOOL, I32, I64, OPS, VOID, Block, Flag, Function, Op, Ptr, Target, Type, signed64
from purebpf.compiler.ir.rewrite import Make, Result, rewrite
from purebpf.isa.instruction import SourceLine


class Scope:
    """Pure ops that are available here, by value; `parent`'s are too."""

    __slots__ = ("depth", "ops", "parent")

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.ops: dict[tuple[Any, ...], Op] = {}

    def find(self, key: tuple[Any, ...]) -> Op | None:
        scope: Scope | None = self
        while scope is not None:
            if key in scope.ops:
                return scope.ops[key]
            scope = scope.parent
        return None


def common_scope(a: Scope, b: Scope) -> Scope:
    """The innermost scope that both are in."""
    while a is not b:
        if a.depth >= b.depth:
            assert a.parent is not None
            a = a.parent
        else:
            assert b.parent is not None
            b = b.parent
    return a


class Builder:
    """Appends ops to `block`. `loc` is the source position that new ops get."""

    def __init__(self, fn: Function, big_endian: bool = False) -> None:
        self.fn = fn
        self.big_endian = big_endian
        self.loc: SourceLine | None = None
        self.block: Block = self.new_block()
        self.scope = Scope()
        self.constants: dict[tuple[int, Type], Op] = {}

    def new_block(self) -> Block:
        block = Block(f"b{len(self.fn.blocks)}")
        self.fn.blocks.append(block)
        return block

    def add_param(self, block: Block, type: Type) -> Op:
        param = Op("param", type, [], (), self.loc, block=block)
        block.params.append(param)
        return param

    def const(self, value: int, type: Type | None = None) -> Op:
        """A constant. Constants stand in the entry block, once each."""
        value = signed64(value)
        type = type or (I32 if 0 <= value < 1 << 32 else I64)
        op = self.constants.get((value, type))
        if op is None:
            op = self.constants[value, type] = Op("const", type, [], (value,), None, block=self.fn.entry)
            self.fn.entry.ops.insert(0, op)
        return op

    def entry_op(self, kind: str, type: Type, args: list[Op], imm: tuple[Any, ...]) -> Op:
        """An op that stands in the entry block, before its own code: stack memory, loads from the context."""
        op = Op(kind, type, args, imm, self.loc, block=self.fn.entry)
        at = 0
        while at < len(self.fn.entry.ops) and self.fn.entry.ops[at].kind in ("const", "alloca"):
            at += 1
        if kind == "load":
            while at < len(self.fn.entry.ops) and self.fn.entry.ops[at].kind == "load" and self.fn.entry.ops[at].args == args:
                at += 1
        self.fn.entry.ops.insert(at, op)
        return op

    def emit(self, kind: str, type: Type, args: list[Op], imm: tuple[Any, ...] = ()) -> Op:
        """One op; a pure one may turn out to be a constant, an operand, or one that is there already."""
        info = OPS[kind]
        if info.flags & Flag.PURE:
            simpler = self.made(rewrite(kind, type, args, imm, self.big_endian), type)
            if simpler is not None:
                return simpler
            if info.flags & Flag.COMMUTATIVE and args[0].is_const and not isinstance(args[1].type, Ptr):
                args = [args[1], args[0]]
            key = (kind, type, tuple(id(a) for a in args), imm)
            known = self.scope.find(key)
            if known is not None:
                return known
            op = Op(kind, type, args, imm, self.loc, block=self.block)
            self.scope.ops[key] = op
        else:
            op = Op(kind, type, args, imm, self.loc, block=self.block)
        self.block.ops.append(op)
        return op

    def made(self, result: Result, type: Type) -> Op | None:
        """What a rule gave, as an op."""
        match result:
            case int():
                return self.const(result, BOOL if type == BOOL else None)
            case Make(kind, of, args, imm):
                values = [arg if isinstance(arg, Op) else self.made(arg, I64) for arg in args]
                return self.emit(kind, of, [value for value in values if value is not None], imm)
        return result

    def jump(self, block: Block, args: list[Op] | None = None) -> None:
        self.block.ops.append(Op("jump", VOID, [], (), self.loc, [Target(block, args or [])], self.block))

    def branch(self, condition: Op, yes: Block, no: Block) -> None:
        self.block.ops.append(Op("br", VOID, [condition], (), self.loc, [Target(yes), Target(no)], self.block))
