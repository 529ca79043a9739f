"""Numbers that the kernel's verifier knows exactly on every trip of a loop.

It walks through a bounded loop trip by trip. A counter that starts from a constant and is moved by constants is a constant to
it each time, and so is what is computed from such ones; not so in a loop with a budget (`may_goto`, an iterator), whose states
it widens.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import enclosing_loops, has_budget
from purebpf.compiler.ir.ops import Block, Function, Op


class Counters:
    """The counters of a function, found when they are asked for."""

    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self._edges: dict[Op, list[Op]] | None = None
        self._widened: set[Block] = set()

    def largest(self, op: Op) -> int | None:
        """The largest value that a sum of scaled counters can have, none of them negative; None for anything else."""
        match op.kind:
            case "const":
                return op.value if op.value >= 0 else None
            case "guard" if op.imm[0] == "range" and op.imm[1] >= 0 and self.counts(op.args[0]):
                return int(op.imm[2])
            case "guard":
                return self.largest(op.args[0])
            case "add" | "mul" | "shl":
                a, b = self.largest(op.args[0]), self.largest(op.args[1])
                if a is None or b is None or (op.kind == "shl" and b > 31):
                    return None
                found = a + b if op.kind == "add" else a * b if op.kind == "mul" else a << b
                return found if found < 1 << 31 else None
        return None

    def counts(self, op: Op) -> bool:
        """Whether this is a loop's parameter that every way in sets to a constant or moves by one."""
        if op.kind != "param" or op.block is None:
            return False
        if self._edges is None:
            self._find()
            assert self._edges is not None
        return op.block not in self._widened and all(self._steps(arg, op) for arg in self._edges.get(op, [op]))

    @staticmethod
    def _steps(arg: Op, param: Op) -> bool:
        if arg.is_const:
            return True
        if arg.kind not in ("add", "sub") or not arg.args[1].is_const:
            return False
        source = arg.args[0]
        while source.kind == "guard":
            source = source.args[0]
        return source is param

    def _find(self) -> None:
        self._edges = {}
        for block in self.fn.blocks:
            last = block.terminator
            for target in last.targets if last is not None else ():
                for param, arg in zip(target.block.params, target.args, strict=True):
                    self._edges.setdefault(param, []).append(arg)
        loops = enclosing_loops(self.fn)
        for block, headers in loops.items():
            if has_budget(block):
                self._widened |= headers
