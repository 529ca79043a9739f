"""What is done on every way that leads to a block is done once, in the block.

    before:  b1: a = tobe x; jump b3(a)    b2: b = tobe y; jump b3(b)     b3(p): br (eq p, 0x0800), ...
    after:   b1: jump b3(x)                b2: jump b3(y)                 b3(q): p = tobe q; br (eq p, 0x0800), ...

Rules for one op then see it beside its readers: here the comparison takes the bytes as they lie.

Requires: ssa.
"""

from __future__ import annotations

from purebpf.compiler.ir.ops import I32, I64, Function, Op

SUNK = frozenset({"tobe", "low32", "sext"})


def sink_operations(fn: Function) -> None:
    edges = fn.predecessors()
    replacement: dict[Op, Op] = {}
    for block in fn.blocks[1:]:
        for i, param in enumerate(block.params):
            given = [target.args[i] for _, target in edges[block]]
            first = given[0] if given else param
            if len(given) < 2 or first.kind not in SUNK:
                continue
            if any((op.kind, op.imm, op.type) != (first.kind, first.imm, first.type) for op in given):
                continue
            if first.type != param.type:
                continue
            type = I32 if all(op.args[0].type == I32 for op in given) else I64
            raw = Op("param", type, [], (), param.loc, block=block)
            again = Op(first.kind, first.type, [raw], first.imm, param.loc, block=block)
            for _, target in edges[block]:
                target.args[i] = target.args[i].args[0]
            replacement[param] = again
            block.params[i] = raw
            block.ops.insert(0, again)
    fn.substitute(replacement)
