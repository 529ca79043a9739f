"""Comparisons of integers, exact whatever their signs, and what each side of a branch learns from them.

A name that was tested means the guarded value from there on: the same op, its range narrowed.
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.bounds import shown, verifier_range
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.values import S64_HIGH, IntValue, Value
from purebpf.compiler.ir.ops import BOOL, I64, Op
from purebpf.data import replace

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

Split = tuple[Flow | None, Flow | None]  # where a condition holds, and where it does not

PYTHON = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
SWAPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
TYPE_RANGES = {(0, (1 << n) - 1) for n in (8, 16, 32, 64)} | {(-(1 << n - 1), (1 << n - 1) - 1) for n in (8, 16, 32, 64)}
OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def split_compare(
    cx: Lowering,
    node: ast.expr,
    a: IntValue,
    symbol: str,
    b: IntValue,
    left: str | None = None,
    right: str | None = None,
    left_node: ast.expr | None = None,
    right_node: ast.expr | None = None,
) -> Split:
    """Compare two integers, exactly whatever their signs, and narrow the tested names' ranges on both sides."""
    holds = decided(symbol, a, b)
    if holds is not None and not (a.op.is_const and b.op.is_const):
        if all(v.op.is_const or (v.low, v.high) in TYPE_RANGES for v in (a, b)):  # the types say so, not a test before
            cx.warn(node, f"this comparison is always {holds}", f"{a.low}..{a.high} {symbol} {b.low}..{b.high}")
        return cx.branch(cx.builder.const(int(holds), BOOL))
    op = integer_compare(cx, symbol, a, b)
    yes, no = cx.branch(op)
    for flow, relation in ((yes, symbol), (no, OPPOSITE[symbol])):
        low, high = _narrowed(relation, a, b)
        learn(cx, flow, left_node, left, a, low, high, _seen(b) and (relation != "!=" or high == a.high))
        low, high = _narrowed(SWAPPED[relation], b, a)
        learn(cx, flow, right_node, right, b, low, high, _seen(a) and (relation != "!=" or high == b.high))
    return yes, no


def _seen(end: IntValue) -> bool:
    """Whether the verifier knows what the compiler does of an operand, and so learns from a comparison with it."""
    if end.op.is_const:
        return True
    low, high = verifier_range(end.op)
    return end.low <= low and high <= end.high


def decided(symbol: str, a: IntValue, b: IntValue) -> bool | None:
    """What the ranges alone say."""
    if symbol in ("==", "!="):
        if a.high < b.low or b.high < a.low:
            return symbol == "!="
        return None
    if symbol in (">", ">="):
        return decided(SWAPPED[symbol], b, a)
    if symbol == "<":
        return True if a.high < b.low else False if a.low >= b.high else None
    return True if a.high <= b.low else False if a.low > b.high else None


def integer_compare(cx: Lowering, symbol: str, a: IntValue, b: IntValue) -> Op:
    """A bool op. Mixed signs: a negative operand is less than any unsigned one, which takes a test of its own."""
    e = cx.builder.emit
    if symbol in (">", ">="):
        return integer_compare(cx, SWAPPED[symbol], b, a)
    signed = a.low < 0 or b.low < 0
    if signed and (a.high > S64_HIGH or b.high > S64_HIGH):
        negative, other, first = (a, b, True) if a.low < 0 else (b, a, False)
        sign = e("slt", BOOL, [negative.op, cx.const(0)])
        plain = e({"==": "eq", "!=": "ne", "<": "ult", "<=": "ule"}[symbol], BOOL, [a.op, b.op])
        del other
        holds = {"==": False, "!=": True, "<": first, "<=": first}[symbol]
        if holds:
            return e("or", BOOL, [sign, plain])
        return e("and", BOOL, [e("eq", BOOL, [sign, cx.builder.const(0, BOOL)]), plain])
    kind = {"==": "eq", "!=": "ne", "<": "slt" if signed else "ult", "<=": "sle" if signed else "ule"}[symbol]
    return e(kind, BOOL, [a.op, b.op])


def _narrowed(symbol: str, a: IntValue, b: IntValue) -> tuple[int, int]:
    """The range of `a` where `a symbol b` holds."""
    low, high = a.low, a.high
    if symbol == "<":
        high = min(high, b.high - 1)
    elif symbol == "<=":
        high = min(high, b.high)
    elif symbol == ">":
        low = max(low, b.low + 1)
    elif symbol == ">=":
        low = max(low, b.low)
    elif symbol == "==":
        low, high = max(low, b.low), min(high, b.high)
    elif symbol == "!=" and b.low == b.high:
        low += low == b.low
        high -= high == b.low
    return low, high


def learn(
    cx: Lowering,
    flow: Flow,
    node: ast.expr | None,
    name: str | None,
    value: IntValue,
    low: int,
    high: int,
    seen: bool = True,
) -> None:
    """In `flow`, the tested value lies in low..high: its name (and the field it was read from) means the guarded value. Where
    the verifier has not `seen` that, as with `!= 7` for 0..7, there is no guard: an address made of the value gets a comparison
    of its own."""
    if value.op.is_const or (low, high) == (value.low, value.high) or low > high:
        return
    root = _unguarded(value.op)
    names: dict[object, Value] = flow.names  # type: ignore[assignment]
    places: list[tuple[dict[object, Value], object, IntValue]] = [
        (names, key, known) for key, known in flow.names.items() if isinstance(known, IntValue) and _unguarded(known.op) is root
    ]
    if isinstance(node, ast.Attribute | ast.Subscript) and not flow.dead:
        place = cx.places.get(node)
        if place is not None:
            places.append((flow.state, ("fact", place.op, place.offset, place.type), value))
    here = cx.current
    cx.go(flow)
    for table, key, known in places:
        least, most = max(low, known.low), min(high, known.high)
        if (least, most) == (known.low, known.high) and table is names:
            continue
        if least > most or _other_view(value, known) or _other_view(known, value):
            continue
        if value.boolean and least == most:
            table[key] = IntValue(cx.builder.const(least, BOOL), least, most, False, True)
            continue
        type = known.op.type if known.op.type != BOOL else I64
        told = shown(known.op, (known.low, known.high), (least, most))
        op = cx.builder.emit("guard", type, [known.op], ("range", *told)) if seen else known.op
        table[key] = replace(known, op=op, low=least, high=most)
    cx.go(here)


def _other_view(a: IntValue, b: IntValue) -> bool:
    """Whether the same 64 bits may be one number as `a` and another as `b`: -1 and 2**64 - 1."""
    return a.low < 0 and b.high > S64_HIGH


def _unguarded(op: Op) -> Op:
    while op.kind == "guard":
        op = op.args[0]
    return op
