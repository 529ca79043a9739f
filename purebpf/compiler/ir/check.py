"""What every pass may rely on: the shape of a function, definitions before uses, and the types of each op.

It looks for the compiler's own mistakes and runs after each pass in tests; what is wrong with a person's program is found
before there is IR. The types of single ops are in `rules.py`; docs/ir.md says all of it in words.
"""

from __future__ import annotations

from typing import NoReturn

from purebpf.compiler.ir.analysis import dominator_children
from purebpf.compiler.ir.ops import OPS, VOID, Block, Flag, Function, Module, Op
from purebpf.compiler.ir.rules import RULES, Complaint, Surroundings, gives_nothing, is_type, target_arguments
from purebpf.compiler.ir.text import NO_LOCATION, WORDS, Names, format_op
from purebpf.errors import Error

TARGETS = {"jump": 1, "br": 2, "may_goto": 2}


class IrError(Error):
    """The compiler made IR that breaks its own rules: a mistake in the compiler. `op` is the place, if it is one op."""

    def __init__(self, message: str, op: Op | None = None) -> None:
        super().__init__(message)
        self.op = op


def check(fn: Function, module: Module | None = None) -> None:
    """Raise IrError when the function breaks a rule. With the module, calls of its other functions are checked too."""
    _Checker(fn, module).run()


def check_module(module: Module) -> None:
    """Check every function; names are unique, and no function calls itself, not even through others."""
    names = [fn.name for fn in module.functions]
    for name in names:
        if names.count(name) > 1:
            raise IrError(f"there are two functions `{name}`")
    for fn in module.functions:
        check(fn, module)
    calls = {fn.name: {op.imm[0] for op in fn.ops() if op.kind == "callsub"} for fn in module.functions}
    for name in names:
        reached, work = set[str](), [*calls[name]]
        while work:
            callee = work.pop()
            if callee == name:
                raise IrError(f"function `{name}` calls itself, directly or through others")
            if callee not in reached:
                reached.add(callee)
                work += calls[callee]


class _Checker:
    def __init__(self, fn: Function, module: Module | None) -> None:
        self.fn = fn
        self.module = module
        self.blocks = set(fn.blocks)
        self.places: dict[Op, tuple[Block, int]] = {}  # the position of each definition; parameters are at -1
        self.spans: dict[Block, tuple[int, int]] = {}  # first and last visit in the dominator tree

    def run(self) -> None:
        fn = self.fn
        if not fn.blocks:
            raise IrError(f"function `{fn.name}` has no block")
        if len(self.blocks) != len(fn.blocks):
            raise IrError(f"function `{fn.name}`: a block stands in it twice")
        if fn.entry.params and fn.entry.params != fn.params:
            raise IrError(f"function `{fn.name}`: the entry block has parameters that are not the function's")
        self.define_params(fn.params, fn.entry)
        for block in fn.blocks:
            if block is not fn.entry:
                self.define_params(block.params, block)
            self.shape(block)
        self.visit_dominator_tree()
        for block in fn.blocks:
            here = Surroundings(fn, block, self.module)
            for index, op in enumerate(block.ops):
                self.uses(block, index, op)
                try:
                    RULES[op.kind](op, here)
                    for target in op.targets:
                        target_arguments(target.block.params, target.args)
                except Complaint as complaint:
                    self.fail(block, op, str(complaint))

    def fail(self, block: Block, op: Op | None, message: str) -> NoReturn:
        names = Names(self.fn)
        where = f"function `{self.fn.name}`, block {names.block(block)}"
        if op is not None:
            where += f", `{format_op(op, names, locations=False)}`"
        raise IrError(f"{where}: {message}", op)

    def define_params(self, params: list[Op], block: Block) -> None:
        for param in params:
            if param.kind != "param" or param.args or param.imm or param.targets:
                self.fail(block, param, "a block's parameter is a `param` without operands")
            if param.type == VOID or not is_type(param.type):
                self.fail(block, param, f"a parameter cannot be of type {param.type}")
            self.define(param, block, -1)

    def define(self, op: Op, block: Block, index: int) -> None:
        if op in self.places:
            self.fail(block, op, "it stands in the function twice")
        if op.block is not None and op.block is not block:
            self.fail(block, op, f"it says that it stands in block {Names(self.fn).block(op.block)}")
        self.places[op] = (block, index)

    def shape(self, block: Block) -> None:
        """What does not need to know other blocks: one terminator at the end, arities, immediates."""
        if block.terminator is None:
            self.fail(block, block.ops[-1] if block.ops else None, "the block does not end with a terminator")
        for index, op in enumerate(block.ops):
            info = OPS.get(op.kind)
            if info is None or op.kind == "param":
                self.fail(
                    block, op, f"there is no op `{op.kind}`" if info is None else "a `param` stands among the block's ops"
                )
            if info.flags & Flag.TERMINATOR and index != len(block.ops) - 1:
                self.fail(block, op, "a terminator stands inside the block")
            if info.arity >= 0 and len(op.args) != info.arity:
                self.fail(block, op, f"`{op.kind}` takes {info.arity} operands, not {len(op.args)}")
            if len(op.imm) != len(info.imm):
                self.fail(block, op, f"`{op.kind}` has the immediates ({', '.join(info.imm)}), not {op.imm}")
            for name, value in zip(info.imm, op.imm, strict=True):
                if not isinstance(value, str if name in WORDS else int):
                    self.fail(block, op, f"its {name} is {value!r}, not {'a text' if name in WORDS else 'an integer'}")
            if len(op.targets) != TARGETS.get(op.kind, 0):
                self.fail(block, op, f"`{op.kind}` has {TARGETS.get(op.kind, 0)} targets, not {len(op.targets)}")
            for target in op.targets:
                if target.block not in self.blocks:
                    self.fail(block, op, f"it goes to block `{target.block.name}`, which is not in the function")
                if target.block is self.fn.entry:
                    self.fail(block, op, "it goes to the entry block")
            if op.loc is None and op.kind not in NO_LOCATION:
                self.fail(block, op, "it has no source location")
            if not is_type(op.type):
                self.fail(block, op, f"there is no type {op.type}")
            if (op.type == VOID) != gives_nothing(op):
                self.fail(
                    block, op, f"`{op.kind}` {'gives no value' if op.type != VOID else 'gives a value: void is no type for it'}"
                )
            self.define(op, block, index)

    def visit_dominator_tree(self) -> None:
        """Number the tree so that a block dominates those whose span lies in its own."""
        children = dominator_children(self.fn)
        clock = 0
        work: list[tuple[Block, bool]] = [(self.fn.entry, False)]
        while work:
            block, left = work.pop()
            clock += 1
            if left:
                self.spans[block] = (self.spans[block][0], clock)
                continue
            self.spans[block] = (clock, clock)
            work.append((block, True))
            work += [(child, False) for child in children[block]]

    def uses(self, block: Block, index: int, op: Op) -> None:
        """Every value that is read is defined on every way to here. In unreachable blocks it only has to exist."""
        span = self.spans.get(block)
        for value in op.operands():
            place = self.places.get(value)
            if place is None:
                self.fail(block, op, f"it reads `{value.kind}`, which is not in the function")
            if value.type == VOID:
                self.fail(block, op, f"it reads `{value.kind}`, which gives no value")
            home, at = place
            if home is block:
                early = at >= index
            elif span is None:
                early = False
            else:
                around = self.spans.get(home)
                early = around is None or not around[0] < span[0] <= span[1] < around[1]
            if early:
                name = Names(self.fn).value(value)
                self.fail(block, op, f"it reads {name}, which is not defined on every way that leads here")
