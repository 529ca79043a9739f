"""IR that the instruction set can say: conditions used as numbers become branches, signed division before cpu v4 becomes
unsigned,
sign extension before v4 becomes shifts.

    before:  c = ult a, b; store p, c         after:  br (ult a, b), j(1), j(0); j(c'): store p, c'

Requires: ssa.
"""

from __future__ import annotations

from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Block, Flag, Function, Int, Op, Target


def legalize(fn: Function, cpu: int) -> None:
    materialize_conditions(fn)
    if cpu < 4:
        for block in fn.blocks:
            expand_signed(fn, block)


def materialize_conditions(fn: Function) -> None:
    """A comparison that is read by anything but a branch becomes a parameter that is 1 on one way and 0 on the other."""
    read: set[Op] = set()
    for op in fn.ops():
        plain = op.operands() if op.kind != "br" else (arg for target in op.targets for arg in target.args)
        read.update(value for value in plain if value.info.flags & Flag.COMPARE)
    constants = {op.value: op for op in fn.entry.ops if op.is_const and op.type == BOOL}

    def constant(value: int) -> Op:
        if value not in constants:
            constants[value] = Op("const", BOOL, [], (value,), None, block=fn.entry)
            fn.entry.ops.insert(0, constants[value])
        return constants[value]

    replacement: dict[Op, Op] = {}
    blocks: list[Block] = []
    for block in fn.blocks:
        blocks.append(block)
        current = block
        ops, current.ops = current.ops, []
        for op in ops:
            op.block = current
            current.ops.append(op)
            if op not in read:
                continue
            rest = Block(f"{block.name}_{len(blocks)}")
            param = Op("param", BOOL, [], (), op.loc, block=rest)
            rest.params.append(param)
            targets = [Target(rest, [constant(1)]), Target(rest, [constant(0)])]
            current.ops.append(Op("br", VOID, [op], (), op.loc, targets, current))
            replacement[op] = param
            blocks.append(rest)
            current = rest
    fn.blocks = blocks
    for op in fn.ops():
        if op.kind != "br":  # a branch can compare by itself
            op.args = [replacement.get(arg, arg) for arg in op.args]
        for target in op.targets:
            target.args = [replacement.get(arg, arg) for arg in target.args]


def expand_signed(fn: Function, block: Block) -> None:
    """Signed division by magnitudes: q = (|a| / |b|) with the sign of a ^ b, r = |a| % |b| with the sign of a."""
    out: list[Op] = []
    replacement: dict[Op, Op] = {}
    shift = Op("const", I64, [], (63,), None, block=fn.entry)

    for op in block.ops:
        if op.kind not in ("sdiv", "smod"):
            out.append(op)
            continue

        def emit(kind: str, *args: Op, at: Op = op, type: Int = I64, imm: tuple[int, ...] = ()) -> Op:
            made = Op(kind, type, list(args), imm, at.loc, block=block)
            out.append(made)
            return made

        a, b = op.args
        if op.type == I32:
            a, b = emit("sext", a, imm=(32,)), emit("sext", b, imm=(32,))
        sa, sb = emit("ashr", a, shift), emit("ashr", b, shift)
        ua, ub = emit("sub", emit("xor", a, sa), sa), emit("sub", emit("xor", b, sb), sb)
        sign = sa if op.kind == "smod" else emit("xor", sa, sb)
        magnitude = emit("umod" if op.kind == "smod" else "udiv", ua, ub)
        result = emit("sub", emit("xor", magnitude, sign), sign)
        replacement[op] = emit("low32", result, type=I32) if op.type == I32 else result
    block.ops = out
    if replacement:
        fn.entry.ops.insert(0, shift)
    fn.substitute(replacement)
