"""The largest value that an integer op can have, as its operands alone tell."""

from __future__ import annotations

from purebpf.compiler.ir.ops import BOOL, I32, Op

M32, M64 = (1 << 32) - 1, (1 << 64) - 1
DEPTH = 6  # further up an expression it is not worth looking


def highest(op: Op, depth: int = DEPTH, told: bool = False) -> int:
    """Read as unsigned; 2**64 - 1 when nothing is known. `told` leaves out what the kernel's verifier does not follow."""
    if op.type == BOOL:
        return 1
    limit = M32 if op.type == I32 else M64
    if op.kind == "const":
        return op.value & M64
    if op.kind == "load" and not (op.imm[1] and op.imm[0] < 8):
        return int((1 << 8 * op.imm[0]) - 1)
    if told and op.kind in ("tobe", "umod", "udiv"):
        return limit
    if op.kind == "tobe":
        return int((1 << op.imm[0]) - 1)
    if depth == 0:
        return limit
    a, *rest = (highest(arg, depth - 1, told) for arg in op.args) if op.args else (M64,)
    b = rest[0] if rest else M64
    match op.kind:
        case "guard" if op.imm[0] == "range" and op.imm[1] >= 0:
            found = min(a, op.imm[2])
        case "low32":
            found = a if a <= M32 else M32
        case "and" | "umod" if op.kind == "and" or b:
            found = min(a, b) if op.kind == "and" else a
        case "or" | "xor":
            found = (1 << max(a, b).bit_length()) - 1
        case "add":
            found = a + b
        case "mul":
            found = a * b
        case "udiv":
            found = a
        case "lshr":
            far = told and not op.args[1].is_const and b >= (32 if op.type == I32 else 64)  # of such the verifier knows nothing
            found = limit if far else a >> (op.args[1].value & 63) if op.args[1].is_const else a
        case "shl" if op.args[1].is_const:
            found = a << (op.args[1].value & 63)
        case _:
            return limit
    return found if found <= limit else limit


def only_sign(op: Op) -> bool:
    """Whether an integer can be -1 and 0 only: a sign shifted all the way down, or what is true or false, negated."""
    while op.kind == "guard":
        op = op.args[0]
    if op.kind == "sub":
        return op.args[0].is_const and op.args[0].value == 0 and highest(op.args[1]) <= 1
    if op.kind != "ashr" or not op.args[1].is_const:
        return False
    source = op.args[0]
    width = 32 if op.type == I32 else 64
    if source.kind == "load" and source.imm[1]:
        width = min(width, 8 * source.imm[0])
    elif source.kind == "sext":
        width = min(width, source.imm[0])
    elif source.kind == "ashr" and source.args[1].is_const:
        width -= source.args[1].value % width
    return bool(op.args[1].value % (32 if op.type == I32 else 64) >= width - 1)
