"""32-bit arithmetic where only the low half is wanted.

    before:  b = add i64 a, 5; c = low32 b        after:  c = add i32 a, 5, when nobody else reads b

Requires: ssa. Sums, products and bitwise ops have low halves that depend on low halves only; shifts right and divisions do not.
"""

from __future__ import annotations

from purebpf.compiler.ir.ops import I32, I64, Function, Op, Ptr

LOW_HALF = frozenset({"add", "sub", "mul", "and", "or", "xor"})


def narrow(fn: Function) -> None:
    replacement: dict[Op, Op] = {}
    uses = fn.uses()
    for op in fn.ops():
        if op.kind != "low32":
            continue
        source = op.args[0]
        if (
            source.kind in LOW_HALF
            and source.type == I64
            and uses[source] == 1
            and not any(isinstance(a.type, Ptr) for a in source.args)
        ):
            source.type = I32
            replacement[op] = source
    for block in fn.blocks:
        block.ops = [op for op in block.ops if op not in replacement]
    fn.substitute(replacement)
