"""Integer arithmetic with Python's exact meaning up to 64 bits.

Every operation has a mathematical range. What fits u64 or s64 is exact; what does not wraps at 64 bits, unsigned when both
operands are unsigned, signed when both are signed, and is an error otherwise. `//` and `%` floor; a run-time divisor of 0
gives 0 and the dividend, as the instruction set has it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.values import S64_HIGH, S64_LOW, U64, IntValue, exact, known
from purebpf.compiler.ir.ops import I32, I64, Op, Type

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

Range = tuple[int, int]
U32 = (1 << 32) - 1

SYMBOLS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%", ast.BitAnd: "&", ast.BitOr: "|",
    ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@",
}  # fmt: skip


def _bits(n: int) -> int:
    """The smallest 2**k - 1 that is not below n."""
    return (1 << max(n, 0).bit_length()) - 1


def _corners(a: IntValue, b: IntValue, f: Callable[[int, int], int]) -> Range:
    results = [f(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(results), max(results)


def _and_range(a: IntValue, b: IntValue) -> Range:
    if a.low >= 0 and b.low >= 0:
        return 0, min(a.high, b.high)
    if a.low >= 0:
        return 0, a.high
    if b.low >= 0:
        return 0, b.high
    return min(-_bits(-a.low - 1) - 1, -_bits(-b.low - 1) - 1), max(a.high, b.high, 0)


def _or_range(a: IntValue, b: IntValue) -> Range:
    if a.low >= 0 and b.low >= 0:
        return max(a.low, b.low), _bits(max(a.high, b.high))
    low = min(a.low, b.low)
    return -_bits(-low - 1) - 1, _bits(max(a.high, b.high, 0))


def _xor_range(a: IntValue, b: IntValue) -> Range:
    top = _bits(max(a.high, b.high, -a.low - 1, -b.low - 1, 0))
    return (0, top) if a.low >= 0 and b.low >= 0 else (-top - 1, top)


EXACT: dict[str, Callable[[IntValue, IntValue], Range]] = {
    "+": lambda a, b: (a.low + b.low, a.high + b.high),
    "-": lambda a, b: (a.low - b.high, a.high - b.low),
    "*": lambda a, b: _corners(a, b, lambda x, y: x * y),
    "&": _and_range,
    "|": _or_range,
    "^": _xor_range,
}

KINDS = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor"}


def binary(cx: Lowering, node: ast.AST, symbol: str, a: IntValue, b: IntValue) -> IntValue:
    """`a symbol b` on two run-time integers."""
    return exact(_binary(cx, node, symbol, a, b))


def _binary(cx: Lowering, node: ast.AST, symbol: str, a: IntValue, b: IntValue) -> IntValue:
    if symbol in EXACT:
        low, high = EXACT[symbol](a, b)
        low, high, signed = fit(cx, node, symbol, a, b, low, high)
        return IntValue(
            cx.builder.emit(KINDS[symbol], width(low, high), [a.op, b.op]), low, high, signed, _both_bool(symbol, a, b)
        )
    if symbol in ("//", "%"):
        return divide(cx, node, symbol, a, b)
    if symbol in ("<<", ">>"):
        return shift(cx, node, symbol, a, b)
    hints = {
        "/": "use `//`, which rounds down as Python's does: there are no floats in the kernel",
        "**": "write the product out, or use a power of two by shifting: `1 << n`",
    }
    cx.fail(node, f"`{symbol}` is not available on run-time integers", hint=hints.get(symbol, "use + - * // % & | ^ << >>"))


def _both_bool(symbol: str, a: IntValue, b: IntValue) -> bool:
    return symbol in "&|^" and a.boolean and b.boolean


def width(low: int, high: int) -> Type:
    """An op whose exact result fits u32 can run in 32 bits."""
    return I32 if low >= 0 and high <= U32 else I64


def fit(cx: Lowering, node: ast.AST, symbol: str, a: IntValue, b: IntValue, low: int, high: int) -> tuple[int, int, bool]:
    """The range of a result in a register: exact where 64 bits hold it, else wrapped; and its signedness."""
    signed = low < 0 or ((a.signed or b.signed) and high <= S64_HIGH)
    if (low >= 0 and high <= U64) or (low >= S64_LOW and high <= S64_HIGH):
        cx.computed(node, low)
        return low, high, signed

    signed_both = all(v.signed and v.high <= S64_HIGH for v in (a, b))
    unsigned_ok = not signed_both and all(v.low >= 0 for v in (a, b))  # also with a signed one that is known not to be negative
    signed_ok = all(v.high <= S64_HIGH for v in (a, b))  # an unsigned value that fits s64 is as good as a signed one
    if unsigned_ok:
        cx.computed(node, 0, True)
        return 0, U64, False
    if signed_ok:
        cx.computed(node, S64_LOW, True)
        return S64_LOW, S64_HIGH, True
    if low >= 0 and all(v.low >= 0 for v in (a, b)):  # one of a signed type, but known not to be negative: `total += x & 15`
        cx.computed(node, 0, True)
        return 0, U64, False
    cx.fail(
        node,
        f"the result of `{symbol}` may fit neither u64 nor s64",
        label=f"{a.low}..{a.high} {symbol} {b.low}..{b.high}",
        hint="one side is signed, the other unsigned: cast one, such as `s64(x)`, or annotate the variable: `n: s64 = 0`",
    )


def divide(cx: Lowering, node: ast.AST, symbol: str, a: IntValue, b: IntValue) -> IntValue:
    """Floor division and its remainder."""
    if a.low >= 0 and b.low >= 0:
        return _divide_unsigned(cx, symbol, a, b)
    if b.op.is_const and b.low == b.high and b.low > 0 and b.low & (b.low - 1) == 0 and a.high <= S64_HIGH:
        if symbol == "//":
            count = cx.builder.const(b.low.bit_length() - 1)
            return IntValue(cx.builder.emit("ashr", I64, [a.op, count]), a.low // b.low, a.high // b.low, True)
        return IntValue(cx.builder.emit("and", I64, [a.op, cx.builder.const(b.low - 1)]), 0, b.low - 1, False)
    if a.high > S64_HIGH or b.high > S64_HIGH:
        cx.fail(
            node,
            f"`{symbol}` of a signed and a large unsigned integer",
            label=f"{a.low}..{a.high} {symbol} {b.low}..{b.high}",
            hint="cast one side: `s64(x)` or `u64(x)`",
        )
    return _divide_signed(cx, node, symbol, a, b)


def _divide_unsigned(cx: Lowering, symbol: str, a: IntValue, b: IntValue) -> IntValue:
    narrow = I32 if a.high <= U32 and b.high <= U32 else I64
    if b.op.is_const and b.low == b.high and b.low > 0 and b.low & (b.low - 1) == 0:
        kind, operand = ("lshr", b.low.bit_length() - 1) if symbol == "//" else ("and", b.low - 1)
        high = a.high >> (b.low.bit_length() - 1) if symbol == "//" else min(a.high, b.low - 1)
        return IntValue(cx.builder.emit(kind, narrow, [a.op, cx.builder.const(operand)]), 0, high, a.signed)
    if symbol == "//":
        return IntValue(cx.builder.emit("udiv", narrow, [a.op, b.op]), 0, a.high // max(b.low, 1), a.signed)
    high = a.high if b.low == 0 else min(a.high, b.high - 1)
    return IntValue(cx.builder.emit("umod", narrow, [a.op, b.op]), 0, high, a.signed)


def _divide_signed(cx: Lowering, node: ast.AST, symbol: str, a: IntValue, b: IntValue) -> IntValue:
    """Truncating division corrected downward: q = a / b; r = a % b; if r != 0 and the signs of r and b differ: q -= 1, r += b.

    The correction is branch-free: c = ((r ^ b) >> 63) & (r != 0), where r != 0 is the sign of r | -r.
    """
    e, one = cx.builder.emit, cx.builder.const
    r = e("smod", I64, [a.op, b.op])
    differ = e("lshr", I64, [e("and", I64, [e("xor", I64, [r, b.op]), e("or", I64, [r, e("sub", I64, [one(0), r])])]), one(63)])
    if b.low <= 0 <= b.high:  # by a run-time 0: the remainder is the dividend, uncorrected (b's sign would say -1 < 0)
        nonzero = e("lshr", I64, [e("or", I64, [b.op, e("sub", I64, [one(0), b.op])]), one(63)])
        differ = e("and", I64, [differ, nonzero])
    if symbol == "//":
        q = e("sub", I64, [e("sdiv", I64, [a.op, b.op]), differ])
        biggest = max(abs(a.low), abs(a.high))
        cx.computed(node, S64_LOW, biggest > S64_HIGH)
        if biggest > S64_HIGH:
            return IntValue(q, S64_LOW, S64_HIGH, True)
        return IntValue(q, -biggest - 1, biggest, True)
    r = e("add", I64, [r, e("and", I64, [b.op, e("sub", I64, [one(0), differ])])])
    if b.low <= 0 <= b.high:
        return IntValue(r, min(a.low, b.low + 1, 0), max(a.high, b.high - 1, 0), True)
    return IntValue(r, min(b.low + 1, 0), max(b.high - 1, 0), b.low < 0)


def shift(cx: Lowering, node: ast.AST, symbol: str, a: IntValue, b: IntValue) -> IntValue:
    """Shifts: the count is taken modulo 64; `>>` of a signed value keeps the sign."""
    count = known(b)
    operand = b.op if count is None else cx.builder.const(count & 63)
    counts: Range = (b.low, b.high) if b.low >= 0 and b.high <= 63 else (0, 63)
    if count is not None:
        counts = count & 63, count & 63
    if symbol == ">>":
        low, high = min(a.low >> counts[0], a.low >> counts[1]), max(a.high >> counts[0], a.high >> counts[1])
        kind = "ashr" if a.low < 0 else "lshr"
        narrow = I32 if a.low >= 0 and a.high <= U32 and counts[1] < 32 else I64
        return IntValue(cx.builder.emit(kind, narrow, [a.op, operand]), low, high, a.signed)
    low, high = min(a.low << counts[0], a.low << counts[1]), max(a.high << counts[0], a.high << counts[1])
    low, high, signed = fit(cx, node, symbol, a, IntValue(b.op, *counts, signed=a.signed), low, high)
    return IntValue(cx.builder.emit("shl", width(low, high) if counts[1] < 32 else I64, [a.op, operand]), low, high, signed)


def negate(cx: Lowering, node: ast.AST, a: IntValue) -> IntValue:
    zero = IntValue(cx.builder.const(0), 0, 0)
    return binary(cx, node, "-", zero, a)


def invert(cx: Lowering, node: ast.AST, a: IntValue) -> IntValue:
    """`~a` is -a - 1, exact: of a u32 it is negative, as in Python."""
    low, high = -a.high - 1, -a.low - 1
    cx.computed(node, 0 if low < S64_LOW else low, low < S64_LOW)
    if low < S64_LOW:
        low, high = 0, U64
    return exact(IntValue(cx.builder.emit("xor", I64, [a.op, cx.builder.const(-1)]), low, high, low < 0))


def narrow(cx: Lowering, value: IntValue, bits: int, signed: bool) -> IntValue:
    """The value as stored in so many bits: what a cast, an annotated variable or a field makes of it."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if low <= value.low and value.high <= high:
        return IntValue(value.op, value.low, value.high, signed)
    op: Op
    if bits == 64:
        op = value.op
    elif signed:
        op = cx.builder.emit("sext", I64, [value.op], (bits,))
    elif bits == 32:
        op = cx.builder.emit("low32", I32, [value.op])
    else:
        op = cx.builder.emit("and", I32, [value.op, cx.builder.const((1 << bits) - 1)])
    return exact(IntValue(op, low, high, signed))
