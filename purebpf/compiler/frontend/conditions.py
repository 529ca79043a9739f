"""Conditions: `test` splits the flow in two and teaches each side what the test says.

`and`, `or`, `not`, comparison chains, `is None`, truth of values. A name that was tested gets a guarded value: its range
narrowed, or its None gone.
"""

from __future__ import annotations

import ast
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import arithmetic, maps, memory, text
from purebpf.compiler.frontend.flow import Flow, as_int
from purebpf.compiler.frontend.values import (
    NONE,
    S64_HIGH,
    U64,
    Bound,
    Const,
    Fill,
    IntValue,
    MaybeInt,
    MaybeRef,
    Ref,
    TupleValue,
    Value,
    describe,
)
from purebpf.compiler.frontend.values import known as known_number
from purebpf.compiler.ir.ops import BOOL, I64, Op, Ptr
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import CharsType, IntType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

Split = tuple[Flow | None, Flow | None]

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
SWAPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
TYPE_RANGES = {(0, (1 << n) - 1) for n in (8, 16, 32, 64)} | {(-(1 << n - 1), (1 << n - 1) - 1) for n in (8, 16, 32, 64)}
OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def test(cx: Lowering, node: ast.expr) -> Split:
    """Evaluate a condition; gives the flows where it holds and where it does not. The current flow is used up."""
    match node:
        case ast.BoolOp(op=op, values=values):
            return _chain(cx, isinstance(op, ast.And), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yes, no = test(cx, operand)
            return no, yes
        case ast.Compare():
            return _comparison(cx, node)
        case ast.NamedExpr(target=ast.Name(id=name)):
            value = cx.expression(node)
            return truth(cx, node.target, value, name)
    return truth(cx, node, cx.expression(node))


def _chain(cx: Lowering, conjunction: bool, values: list[ast.expr]) -> Split:
    """`a and b and c`, or the same with `or`."""
    left: list[Flow | None] = []
    goes_on: Flow | None = None
    for i, value in enumerate(values):
        if i:
            cx.go(goes_on)
            assert goes_on is not None
        yes, no = test(cx, value)
        goes_on, leaves = (yes, no) if conjunction else (no, yes)
        left.append(leaves)
    out = cx.join(*left)
    return (goes_on, out) if conjunction else (out, goes_on)


def truth(cx: Lowering, node: ast.expr, value: Value, name: str | None = None) -> Split:
    """A value as a condition, as Python sees it."""
    name = name or (node.id if isinstance(node, ast.Name) else None)
    match value:
        case Const(MapDeclaration()):
            cx.fail(node, "a map cannot be a condition", "its size is not known to a program", "test a key: `if k in m:`")
        case Const(v):
            return cx.branch(cx.builder.const(int(cx.python(node, lambda: bool(v))), BOOL))
        case MaybeRef():
            return present(cx, value, name)
        case MaybeInt(inner=inner):
            there, absent = present(cx, value, name)
            cx.go(there)
            yes, no = truth(cx, node, inner if name is None else cx.flow.names[name], name)
            return yes, cx.join(no, absent)
        case Ref(type=CharsType()):  # a text is true when it is not empty
            cx.usable(node, value)
            first = memory.load(cx, node, replace(value, type=IntType(8)))
            assert isinstance(first, IntValue)
            return _split_compare(cx, node, first, "!=", cx.int_const(0))
        case Ref() | Bound() | TupleValue():
            cx.usable(node, value)
            size = 1 if not isinstance(value, TupleValue) else len(value.items)
            return cx.branch(cx.builder.const(int(size > 0), BOOL))
        case Fill():
            cx.fail(node, "this text cannot be a condition", hint="store it in a field or variable first")
    number = cx.integer(node, value)
    if number.boolean:
        op = number.op if number.op.type == BOOL else cx.builder.emit("ne", BOOL, [number.op, cx.const(0)])
        yes, no = cx.branch(op)
        _learn(cx, yes, node, name, number, 1, 1)
        _learn(cx, no, node, name, number, 0, 0)
        return yes, no
    return _split_compare(cx, node, number, "!=", cx.int_const(0), name)


def present(cx: Lowering, value: MaybeRef | MaybeInt, name: str | None) -> Split:
    """Is it there? Where it is, the name stands for the value itself."""
    if isinstance(value, MaybeInt):
        yes, no = cx.branch(value.present)
        if name is not None:
            yes.names[name], no.names[name] = value.inner, NONE
        return yes, no
    kind = value.op.type
    assert isinstance(kind, Ptr)
    yes, no = cx.branch(cx.builder.emit("ne", BOOL, [value.op, cx.builder.const(0, kind)]))
    cx.go(yes)
    plain = cx.builder.emit("guard", Ptr(kind.kind), [value.op], ("nonnull", 0, 0))
    ref = replace(value.ref, op=plain)
    for flow, known in ((yes, ref), (no, NONE)):
        for other, old in flow.names.items():
            if old == value:
                flow.names[other] = known
        if name is not None:
            flow.names[name] = known
    yes.state["present"] = ref
    return yes, no


def _comparison(cx: Lowering, node: ast.Compare) -> Split:
    """`a < b <= c`: each operand once, left to right, stopping at the first that fails."""
    failed: list[Flow | None] = []
    left_node, left = node.left, cx.expression(node.left)
    for i, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
        right: Value | None = _run_time_range(cx, right_node) if isinstance(op, ast.In | ast.NotIn) else None
        if right is None:
            right = cx.expression(right_node)
        yes, no = compare(cx, node, left_node, left, COMPARISONS[type(op)], right_node, right)
        failed.append(no)
        if i + 1 < len(node.ops):
            cx.go(yes)
        left_node, left = right_node, right
    return yes, cx.join(*failed)


@dataclass(frozen=True, slots=True)
class Range(Value):
    """`range(start, stop, step)` of integers that are known at run time, or at compile time, behind `in`."""

    start: IntValue
    stop: IntValue
    step: int


def _run_time_range(cx: Lowering, node: ast.expr) -> Range | None:
    """`range(a, b)` behind `in`, when not all its bounds are constants."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or cx.expression(node.func) != Const(range):
        return None
    if node.keywords or not 1 <= len(node.args) <= 3 or any(isinstance(a, ast.Starred) for a in node.args):
        return None
    values = [cx.expression(a) for a in node.args]
    if all(isinstance(value, Const) for value in values):
        return None
    numbers = [cx.integer(at, value) for at, value in zip(node.args, values, strict=True)]
    start, stop = (cx.int_const(0), numbers[0]) if len(numbers) == 1 else numbers[:2]
    step = known_number(values[2]) if len(values) == 3 else 1
    if step is None:
        cx.fail(node.args[2], "the step of a range must be constant")
    if step == 0:
        cx.fail(node.args[2], "the step of a range cannot be 0")
    return Range(start, stop, step)


def _in_range(cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, found: Range) -> Split:
    """Between the ends, and a whole number of steps from the start."""
    number = cx.integer(left_node, left)
    outside: list[Flow | None] = []

    def narrow(symbol: str, end: IntValue) -> None:
        name = _name(left_node)
        now = cx.flow.names.get(name or "", number)
        yes, no = _split_compare(cx, node, now if isinstance(now, IntValue) else number, symbol, end, name, None, left_node)
        outside.append(no)
        cx.go(yes)

    narrow(">=" if found.step > 0 else "<=", found.start)
    narrow("<" if found.step > 0 else ">", found.stop)
    if abs(found.step) > 1:
        ends = (found.start, number) if found.step > 0 else (number, found.start)
        distance = cx.builder.emit("sub", I64, [ends[1].op, ends[0].op])  # not negative here, and below 2**64
        rest = arithmetic.binary(cx, node, "%", IntValue(distance, 0, U64), cx.int_const(abs(found.step)))
        yes, no = _split_compare(cx, node, rest, "==", cx.int_const(0))
        outside.append(no)
        cx.go(yes)
    return cx.current, cx.join(*outside)


def compare(
    cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, symbol: str, right_node: ast.expr, right: Value
) -> Split:
    """One comparison."""
    if symbol in ("is", "is not"):
        return _identity(cx, node, left_node, left, symbol, right)
    if symbol in ("in", "not in"):
        yes, no = _contains(cx, node, left_node, left, right_node, right)
        return (yes, no) if symbol == "in" else (no, yes)
    for side_node, value in ((left_node, left), (right_node, right)):
        if isinstance(value, Const) and isinstance(value.value, MapDeclaration):
            cx.fail(side_node, "a map cannot be compared", hint="compare its values: `m.get(key)`")
    if isinstance(left, Const) and isinstance(right, Const):
        return cx.branch(cx.builder.const(int(cx.python(node, lambda: _PYTHON[symbol](left.value, right.value))), BOOL))
    if isinstance(left, TupleValue) or isinstance(right, TupleValue):
        return _compare_tuples(cx, node, left, symbol, right)
    if NONE in (left, right) and symbol in ("==", "!="):
        cx.fail(
            node,
            "compare with None by `is` and `is not`",
            hint="a reference is not equal or unequal to None, it is or is not None",
        )
    for side, other in ((left, right), (right, left)):
        if isinstance(side, Ref | Fill) or (isinstance(side, Const) and isinstance(side.value, str | bytes)):
            return text.compare_memory(cx, node, side, symbol, other)
    cx.usable(left_node, left)
    cx.usable(right_node, right)
    a, b = as_int(cx.builder, left), as_int(cx.builder, right)
    if a is None and isinstance(left, Const) and isinstance(left.value, int):
        return _beyond(cx, left.value, SWAPPED[symbol])
    if b is None and isinstance(right, Const) and isinstance(right.value, int):
        return _beyond(cx, right.value, symbol)
    a, b = cx.integer(left_node, left), cx.integer(right_node, right)
    if symbol not in OPPOSITE:
        cx.fail(node, f"{describe(left)} and {describe(right)} cannot be compared by `{symbol}`")
    return _split_compare(cx, node, a, symbol, b, _name(left_node), _name(right_node), left_node, right_node)


_PYTHON = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def _name(node: ast.expr) -> str | None:
    if isinstance(node, ast.NamedExpr):
        node = node.target
    return node.id if isinstance(node, ast.Name) else None


def _beyond(cx: Lowering, constant: int, symbol: str) -> Split:
    """A 64-bit integer against a constant that no 64 bits hold: decided by the constant's sign."""
    above = constant > 0
    holds = {"==": False, "!=": True, "<": above, "<=": above, ">": not above, ">=": not above}[symbol]
    return cx.branch(cx.builder.const(int(holds), BOOL))


def _identity(cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, symbol: str, right: Value) -> Split:
    if right != NONE:
        cx.fail(node, f"`{symbol}` compares with None only in a program", hint=f"use `{'==' if symbol == 'is' else '!='}`")
    if isinstance(left, MaybeRef | MaybeInt):
        there, absent = present(cx, left, _name(left_node))
    else:
        if not isinstance(left, Const | IntValue | Ref | TupleValue):
            cx.usable(left_node, left)
        there, absent = cx.branch(cx.builder.const(int(left != NONE), BOOL))
    return (absent, there) if symbol == "is" else (there, absent)


def _contains(cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, right_node: ast.expr, right: Value) -> Split:
    """`x in (1, 2, 3)`, `x in range(a, b)`, `k in m`."""
    split = maps.contains(cx, left_node, left, right)
    if split is not None:
        return split
    if isinstance(right, Range):
        return _in_range(cx, node, left_node, left, right)
    if isinstance(right, Const) and isinstance(right.value, range) and not isinstance(left, Const):
        whole = right.value
        return _in_range(cx, node, left_node, left, Range(cx.int_const(whole.start), cx.int_const(whole.stop), whole.step))
    if isinstance(right, Const) and isinstance(right.value, tuple | list | set | frozenset | range):
        if isinstance(left, Const):
            return cx.branch(cx.builder.const(int(cx.python(node, lambda: left.value in right.value)), BOOL))
        items: tuple[Value, ...] = tuple(
            Const(item) for item in (sorted(right.value) if isinstance(right.value, set | frozenset) else right.value)
        )
    elif isinstance(right, TupleValue):
        items = right.items
    else:
        cx.fail(right_node, f"`in` wants a tuple, a range or a map on its right, not {describe(right)}")
    if len(items) > 64:
        cx.fail(
            right_node,
            f"`in` over {len(items)} items would be a ladder of as many comparisons",
            hint="put them into a map, or give a range",
        )
    found: list[Flow | None] = []
    for item in items:
        yes, no = compare(cx, node, left_node, left, "==", right_node, item)
        found.append(yes)
        cx.go(no)
    if not items:
        return cx.branch(cx.builder.const(0, BOOL))
    rest = cx.current
    return cx.join(*found), rest


def _compare_tuples(cx: Lowering, node: ast.expr, left: Value, symbol: str, right: Value) -> Split:
    a = (
        left.items
        if isinstance(left, TupleValue)
        else tuple(map(Const, left.value))
        if isinstance(left, Const) and isinstance(left.value, tuple)
        else None
    )
    b = (
        right.items
        if isinstance(right, TupleValue)
        else tuple(map(Const, right.value))
        if isinstance(right, Const) and isinstance(right.value, tuple)
        else None
    )
    if a is None or b is None or symbol not in ("==", "!="):
        cx.fail(
            node,
            f"{describe(left)} and {describe(right)} cannot be compared by `{symbol}`",
            hint="tuples compare by == and != with tuples",
        )
    if len(a) != len(b):
        return cx.branch(cx.builder.const(int(symbol == "!="), BOOL))
    differ: list[Flow | None] = []
    for x, y in zip(a, b, strict=True):
        yes, no = compare(cx, node, node, x, "==", node, y)
        differ.append(no)
        cx.go(yes)
    equal, unequal = cx.current, cx.join(*differ)
    return (equal, unequal) if symbol == "==" else (unequal, equal)


def _split_compare(
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
    decided = _decided(symbol, a, b)
    if decided is not None and not (a.op.is_const and b.op.is_const):
        if all(v.op.is_const or (v.low, v.high) in TYPE_RANGES for v in (a, b)):  # the types say so, not a test before
            cx.warn(node, f"this comparison is always {decided}", f"{a.low}..{a.high} {symbol} {b.low}..{b.high}")
        return cx.branch(cx.builder.const(int(decided), BOOL))
    op = integer_compare(cx, symbol, a, b)
    yes, no = cx.branch(op)
    for flow, relation in ((yes, symbol), (no, OPPOSITE[symbol])):
        low, high = _narrowed(relation, a, b)
        _learn(cx, flow, left_node, left, a, low, high)
        low, high = _narrowed(SWAPPED[relation], b, a)
        _learn(cx, flow, right_node, right, b, low, high)
    return yes, no


def _decided(symbol: str, a: IntValue, b: IntValue) -> bool | None:
    """What the ranges alone say."""
    if symbol in ("==", "!="):
        if a.high < b.low or b.high < a.low:
            return symbol == "!="
        return None
    if symbol in (">", ">="):
        return _decided(SWAPPED[symbol], b, a)
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


def _learn(cx: Lowering, flow: Flow, node: ast.expr | None, name: str | None, value: IntValue, low: int, high: int) -> None:
    """In `flow`, the tested value lies in low..high: its name (and the field it was read from) means the guarded value."""
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
        op = cx.builder.emit("guard", type, [known.op], ("range", least, most))
        table[key] = replace(known, op=op, low=least, high=most)
    cx.go(here)


def _other_view(a: IntValue, b: IntValue) -> bool:
    """Whether the same 64 bits may be one number as `a` and another as `b`: -1 and 2**64 - 1."""
    return a.low < 0 and b.high > S64_HIGH


def _unguarded(op: Op) -> Op:
    while op.kind == "guard":
        op = op.args[0]
    return op
