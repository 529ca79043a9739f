"""Random IR for property tests: well-typed integer functions that end, with branches, loops, stack memory and subprograms.

`random_module(seed)` is deterministic. Every run of it takes a bounded number of steps, reads only what has been written, and
gives an i64; the ops are made without any simplification, so passes find much to do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from purebpf.compiler.ir.fold import ARITHMETIC, COMPARE
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Block, Function, Module, Op, Ptr, Target, Type
from purebpf.isa.instruction import SourceLine

INTERESTING = (  # where widths, signs and shift counts end
    *(0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 255, 256, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, (1 << 63) - 1),
    *(-1, -2, -128, -(1 << 31), -(1 << 63)),
)
SCALARS = (I64, I64, I32, BOOL)


@dataclass(slots=True)
class Scope:
    """What may be read here: integers, and stack memory of which every byte has been written, with its size."""

    values: list[Op] = field(default_factory=list)
    memory: list[tuple[Op, int]] = field(default_factory=list)

    def inner(self) -> Scope:
        return Scope(list(self.values), list(self.memory))


class _Writer:
    """Writes one function. `block` is where ops go."""

    def __init__(self, rng: random.Random, name: str, callees: Sequence[Function], helpers: Sequence[str]) -> None:
        self.rng = rng
        self.callees = callees
        self.helpers = helpers
        self.fn = Function(name, [], I64)
        self.block = self.new_block()
        self.line = 0

    def new_block(self) -> Block:
        block = Block(f"b{len(self.fn.blocks)}")
        self.fn.blocks.append(block)
        return block

    def param(self, type: Type, block: Block) -> Op:
        return Op("param", type, [], (), None, block=block)

    def emit(
        self, kind: str, type: Type, args: list[Op], imm: tuple[object, ...] = (), targets: list[Target] | None = None
    ) -> Op:
        self.line += 1
        loc = SourceLine("generated.py", self.line, self.rng.randrange(8), "")
        op = Op(kind, type, args, imm, loc, targets, self.block)
        self.block.ops.append(op)
        return op

    def const(self, value: int, type: Type | None = None) -> Op:
        op = Op("const", type or (I32 if 0 <= value < 1 << 32 else I64), [], (value,), None, block=self.fn.entry)
        self.fn.entry.ops.insert(0, op)
        return op

    def pick(self, scope: Scope, type: Type = I64) -> Op:
        """A value that may be given where this type is wanted."""
        allowed = {BOOL: (BOOL,), I32: (BOOL, I32), I64: (BOOL, I32, I64)}[type]  # type: ignore[index]
        known = [value for value in scope.values if value.type in allowed]
        if known and self.rng.random() < 0.8:
            return self.rng.choice(known[-8:] if self.rng.random() < 0.6 else known)
        if type == BOOL:
            return self.const(self.rng.randrange(2), BOOL)
        value = self.rng.choice(INTERESTING) if self.rng.random() < 0.7 else self.rng.getrandbits(64) - (1 << 63)
        return self.const(value & 0xFFFF_FFFF if type == I32 else value)

    def jump(self, block: Block, args: list[Op]) -> None:
        self.emit("jump", VOID, [], (), [Target(block, args)])

    def arithmetic(self, scope: Scope, depth: int) -> None:
        kind = self.rng.choice(list(ARITHMETIC))
        scope.values.append(self.emit(kind, self.rng.choice((I32, I64)), [self.pick(scope), self.pick(scope)]))

    def convert(self, scope: Scope, depth: int) -> None:
        kind, type, imm = self.rng.choice(
            (
                ("low32", I32, ()),
                *(("sext", I64, (b,)) for b in (8, 16, 32)),
                ("tobe", I32, (16,)),
                ("tobe", I32, (32,)),
                ("tobe", I64, (64,)),
            )
        )
        scope.values.append(self.emit(kind, type, [self.pick(scope)], imm))

    def compare(self, scope: Scope, depth: int) -> None:
        scope.values.append(self.emit(self.rng.choice(list(COMPARE)), BOOL, [self.pick(scope), self.pick(scope)]))

    def logic(self, scope: Scope, depth: int) -> None:
        kind = self.rng.choice(("and", "or", "xor"))
        scope.values.append(self.emit(kind, BOOL, [self.pick(scope, BOOL), self.pick(scope, BOOL)]))

    def masked(self, scope: Scope, most: int) -> Op:
        """A value from 0 to `most` (a power of two less 1), with the guard that says so."""
        small = self.emit("and", self.rng.choice((I32, I64)), [self.pick(scope), self.const(most)])
        return self.emit("guard", small.type, [small], ("range", 0, most))

    def guard(self, scope: Scope, depth: int) -> None:
        scope.values.append(self.masked(scope, self.rng.choice((1, 7, 255))))

    def place(self, scope: Scope, size: int) -> tuple[Op, int]:
        """A pointer and an offset behind which `size` bytes are there, perhaps at a run-time index."""
        base, length = self.rng.choice(scope.memory)
        if self.rng.random() < 0.3 and length >= 8 + size:
            base = self.emit("add", Ptr("stack"), [base, self.masked(scope, 7)])
            length -= 7
        elif self.rng.random() < 0.3:
            moved = self.rng.randrange(length - size + 1)
            base = self.emit("add", Ptr("stack"), [base, self.const(moved)])
            length -= moved
        return base, self.rng.randrange(length - size + 1)

    def load(self, scope: Scope, depth: int) -> None:
        size, signed = self.rng.choice((1, 2, 4, 8)), self.rng.randrange(2)
        base, offset = self.place(scope, size)
        type = I64 if signed or size == 8 else self.rng.choice((I32, I64))
        scope.values.append(self.emit("load", type, [base], (size, signed, offset)))

    def store(self, scope: Scope, depth: int) -> None:
        size = self.rng.choice((1, 2, 4, 8))
        base, offset = self.place(scope, size)
        self.emit("store", VOID, [base, self.pick(scope)], (size, offset))

    def atomic(self, scope: Scope, depth: int) -> None:
        size, fetch = self.rng.choice((4, 8)), self.rng.randrange(2)
        base, length = self.rng.choice(scope.memory)
        offset = self.rng.randrange(length // size) * size
        name = self.rng.choice(("add", "and", "or", "xor"))
        if self.rng.randrange(4) == 0:
            args = [base, self.pick(scope), self.pick(scope)]
            scope.values.append(self.emit("cmpxchg", I32 if size == 4 else I64, args, (size, offset)))
            return
        type = (I32 if size == 4 else I64) if fetch else VOID
        op = self.emit("atomic", type, [base, self.pick(scope)], (name, size, offset, fetch))
        if fetch:
            scope.values.append(op)

    def call(self, scope: Scope, depth: int) -> None:
        if self.callees and (not self.helpers or self.rng.random() < 0.7):
            callee = self.rng.choice(self.callees)
            args = [self.pick(scope, param.type) for param in callee.params]
            scope.values.append(self.emit("callsub", I64, args, (callee.name,)))
        elif self.helpers:
            scope.values.append(self.emit("call", I64, [], (self.rng.choice(self.helpers),)))

    def branch(self, scope: Scope, depth: int) -> None:
        """if/else that meet again with up to three values; one side may leave the function."""
        condition = self.pick(scope, self.rng.choice((BOOL, BOOL, I64)))
        join = Block(f"b{len(self.fn.blocks)}_end")
        types = [self.rng.choice(SCALARS) for _ in range(self.rng.randrange(4))]
        if self.rng.random() < 0.2:  # both edges straight to the join
            targets = [Target(join, [self.pick(scope, type) for type in types]) for _ in range(2)]
            self.emit("br", VOID, [condition], (), targets)
        else:
            yes, no = self.new_block(), self.new_block()
            self.emit("br", VOID, [condition], (), [Target(yes), Target(no)])
            for block in (yes, no):
                self.block, inner = block, scope.inner()
                self.statements(inner, depth + 1, self.rng.randrange(5))
                if block is no and self.rng.random() < 0.2:
                    self.emit("ret", VOID, [self.pick(inner)])
                else:
                    self.jump(join, [self.pick(inner, type) for type in types])
        self.fn.blocks.append(join)
        join.params = [self.param(type, join) for type in types]
        scope.values += join.params
        self.block = join

    def loop(self, scope: Scope, depth: int) -> None:
        """A counted loop of at most 5 turns that carries up to two values."""
        turns = self.rng.randrange(6)
        types = [self.rng.choice(SCALARS) for _ in range(self.rng.randrange(3))]
        start = [self.const(0), *(self.pick(scope, type) for type in types)]
        header, body, after = self.new_block(), self.new_block(), Block(f"b{len(self.fn.blocks)}_end")
        self.jump(header, start)
        header.params = [self.param(type, header) for type in (I64, *types)]
        self.block = header
        self.emit(
            "br", VOID, [self.emit("ult", BOOL, [header.params[0], self.const(turns)])], (), [Target(body), Target(after)]
        )
        scope.values += header.params
        self.block, inner = body, scope.inner()
        self.statements(inner, depth + 1, self.rng.randrange(1, 5))
        following = self.emit("add", I64, [header.params[0], self.const(1)])
        self.jump(header, [following, *(self.pick(inner, type) for type in types)])
        self.fn.blocks.append(after)
        self.block = after

    def statements(self, scope: Scope, depth: int, count: int) -> None:
        for _ in range(count):
            choices: list[tuple[int, Callable[[Scope, int], None]]] = [
                *((8, self.arithmetic), (2, self.convert), (3, self.compare), (1, self.logic), (1, self.guard)),
                *((3, self.load), (3, self.store), (1, self.atomic), (1, self.call)),
                *((2 if depth < 3 else 0, self.branch), (1 if depth < 2 else 0, self.loop)),
            ]
            self.rng.choices([action for _, action in choices], [weight for weight, _ in choices])[0](scope, depth)

    def write(self, params: int, size: int) -> Function:
        fn, rng = self.fn, self.rng
        fn.params = [self.param(rng.choice(SCALARS), fn.entry) for _ in range(params)]
        scope = Scope(list(fn.params))
        for number in range(rng.randrange(1, 4)):
            length = rng.choice((8, 16, 24))
            buffer = self.emit("alloca", Ptr("stack"), [], (length, 8, f"buffer{number}"))
            for offset in range(0, length, 8):
                self.emit("store", VOID, [buffer, self.pick(scope)], (8, offset))
            scope.memory.append((buffer, length))
        self.statements(scope, 0, size)
        result = self.pick(scope)
        for buffer, length in scope.memory:  # what memory holds at the end counts too
            for offset in range(0, length, 8):
                result = self.emit("xor", I64, [result, self.emit("load", I64, [buffer], (8, 0, offset))])
        self.emit("ret", VOID, [result])
        return fn


def random_module(seed: int, size: int = 12, helpers: Sequence[str] = ("get_prandom_u32",)) -> Module:
    """A program of up to three functions; `size` is the number of statements in the main one, without nested ones.
    `helpers` are called without arguments."""
    rng = random.Random(seed)
    functions: list[Function] = []
    for number in range(rng.randrange(3)):
        writer = _Writer(rng, f"sub{number}", tuple(functions), helpers)
        functions.append(writer.write(rng.randrange(4), rng.randrange(1, 5)))
    main = _Writer(rng, "main", tuple(functions), helpers).write(rng.randrange(1, 4), size)
    return Module([main, *functions])


def random_arguments(seed: int, fn: Function) -> list[int]:
    """Values for a function's integer parameters."""
    rng = random.Random(seed)
    arguments = []
    for param in fn.params:
        value = rng.choice(INTERESTING) if rng.random() < 0.5 else rng.getrandbits(64) - (1 << 63)
        arguments.append(value & 1 if param.type == BOOL else value & 0xFFFF_FFFF if param.type == I32 else value)
    return arguments
