"""What the kernel's verifier knows of an integer, as opposed to what is true.

Before an integer becomes part of an address the verifier must have seen its bounds. It follows loads, masks, shifts, sums and
products of small values and comparisons; it knows nothing after a division, a byte swap or a helper call (measured on Linux
5.10 to 6.18). Where it would not see what the compiler has proven, a comparison that never fails tells it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from purebpf.compiler.ir.ops import BOOL, I32, Function, Op

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

Range = tuple[int, int]
U64, S64_HIGH = (1 << 64) - 1, (1 << 63) - 1
UNKNOWN: Range = (0, U64)


def verifier_range(op: Op) -> Range:
    """Unsigned bounds that the verifier derives for a value; (0, 2**64 - 1) when it knows none."""
    match op.kind:
        case "const":
            value = op.value & U64
            return value, value
        case "load":
            size, signed, _ = op.imm
            return UNKNOWN if signed and size < 8 else (0, (1 << 8 * size) - 1)
        case "guard" if op.imm[0] == "range":
            low, high = verifier_range(op.args[0])
            return (max(low, op.imm[1]), min(high, op.imm[2])) if op.imm[1] >= 0 else (low, high)
        case "param" if op.imm:  # where ways join: it follows each of them
            return int(op.imm[0]), int(op.imm[1])
        case "low32":
            low, high = verifier_range(op.args[0])
            return (low, high) if high < 1 << 32 else (0, (1 << 32) - 1)
    if op.type == BOOL:
        return 0, 1
    result = _computed(op)
    limit = (1 << 32) - 1 if op.type == I32 else U64
    return result if result[1] <= limit else (0, limit)


def _computed(op: Op) -> Range:
    if op.kind not in ("and", "add", "mul", "shl", "lshr"):
        return UNKNOWN
    (a, b), (c, d) = verifier_range(op.args[0]), verifier_range(op.args[1])
    match op.kind:
        case "and":
            return 0, min(b, d)
        case "add" if b + d <= U64:
            return a + c, b + d
        case "mul" if b * d <= U64:
            return a * c, b * d
        case "shl" if c == d and b << d <= U64:
            return a << c, b << d
        case "lshr" if c == d:
            return a >> c, b >> d
    return UNKNOWN


def shown(op: Op, before: Range, after: Range) -> Range:
    """What the verifier knows where a comparison has narrowed a value from `before` to `after`: the end that moved, and of the
    other one only what the value itself tells."""
    low, high = after
    if low >= 0 and high == before[1]:
        high = max(high, _ceiling(op) if before[0] < 0 else verifier_range(op)[1])
    if low > 0 and low == before[0]:
        low = min(low, verifier_range(op)[0])
    return low, high


def _ceiling(op: Op) -> int:
    """The largest number that the verifier takes a signed value for."""
    match op.kind:
        case "guard" if op.imm[0] == "range":
            return min(int(op.imm[2]), _ceiling(op.args[0]))
        case "load":
            return int((1 << 8 * op.imm[0] - 1) - 1) if op.imm[1] else min(verifier_range(op)[1], S64_HIGH)
        case "sext":
            return int((1 << op.imm[0] - 1) - 1)
    return min(verifier_range(op)[1], S64_HIGH)


def followed(op: Op) -> bool:
    """Whether the verifier knows anything of a value, signs and single bits included."""
    if op.kind == "load":
        return int(op.imm[0]) < 8
    if op.kind in ("add", "sub"):
        return all(followed(arg) for arg in op.args)
    return op.kind not in ("call", "callsub", "atomic", "cmpxchg")


def provable(cx: Lowering, op: Op, high: int) -> Op:
    """The value, which is known to be in 0..high, in a form that the verifier also knows to be."""
    low, known = verifier_range(op)
    if known <= high or op.is_const:
        return op
    del low
    from purebpf.compiler.frontend import scopes

    yes, no = cx.branch(cx.builder.emit("ule", BOOL, [op, cx.const(high)]))
    scopes.never(cx, no)
    cx.go(yes)
    return cx.builder.emit("guard", op.type if op.type != BOOL else I32, [op], ("range", 0, high))


def provable_negative(cx: Lowering, op: Op, low: int) -> Op:
    """The value, which is known to be in low..0, in a form that the verifier also knows to be. Of a negation it knows
    nothing."""
    from purebpf.compiler.frontend import scopes

    for ends in ((op, cx.const(0)), (cx.const(low), op)):
        yes, no = cx.branch(cx.builder.emit("sle", BOOL, list(ends)))
        scopes.never(cx, no)
        cx.go(yes)
    return cx.builder.emit("guard", op.type, [op], ("range", low, 0))


def forget_bounds(fn: Function) -> None:
    """The bounds of joined values (see `flow.join`) serve while lowering only."""
    for block in fn.blocks:
        for param in block.params:
            param.imm = ()
