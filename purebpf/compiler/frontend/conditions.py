"""Conditions: `test` splits the flow in two and teaches each side what the test says.

`and`, `or`, `not`, comparison chains, `is None`, truth of values. A name that was tested gets a guarded value: its range
narrowed, or its None gone.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import containers, equality, maps, memory, references, text
from purebpf.compiler.frontend.comparing import OPPOSITE, PYTHON, SWAPPED, Split, learn, split_compare
from purebpf.compiler.frontend.flow import Flow, as_int
from purebpf.compiler.frontend.values import (
    NONE,
    Absent,
    Bound,
    Const,
    Fill,
    IntValue,
    KernelRef,
    MaybeInt,
    MaybeRef,
    Ref,
    TupleValue,
    Value,
    describe,
)
from purebpf.compiler.ir.ops import BOOL, Ptr
from purebpf.data import replace
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import CharsType, IntType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


def test(cx: Lowering, node: ast.expr) -> Split:
    """Evaluate a condition; gives the flows where it holds and where it does not. The current flow is used up.

    A side that a constant decides is dead: checked, then dropped. A side where None would have to be something else is None
    itself: it has no types that could be checked.
    """
    match node:
        case ast.Call(func=ast.Name() as function, args=[argument], keywords=[]) if cx.expression(function) == Const(bool):
            return test(cx, argument)
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
            if goes_on is None:
                break
            cx.go(goes_on)
        if i and isinstance(value, ast.Constant) and not isinstance(value.value, bool):
            _always(cx, values[i - 1], value)
        yes, no = test(cx, value)
        goes_on, leaves = (yes, no) if conjunction else (no, yes)
        left.append(leaves)
    out = cx.join(*left)
    return (goes_on, out) if conjunction else (out, goes_on)


def _always(cx: Lowering, before: ast.expr, value: ast.Constant) -> None:
    """`port == 80 or 443`: the second is no comparison."""
    shown, hint = ast.unparse(value), ""
    if isinstance(before, ast.Compare) and len(before.ops) == 1 and isinstance(before.ops[0], ast.Eq):
        hint = f"`{ast.unparse(before.left)} in ({ast.unparse(before.comparators[0])}, {shown})`"
    cx.warn(value, f"`{shown}` alone is always {bool(value.value)}", "it is compared with nothing", hint)


def truth(cx: Lowering, node: ast.expr, value: Value, name: str | None = None) -> Split:
    """A value as a condition, as Python sees it."""
    name = name or (node.id if isinstance(node, ast.Name) else None)
    match value:
        case Const(MapDeclaration()):
            cx.fail(node, "a map cannot be a condition", "its size is not known to a program", "test a key: `if k in m:`")
        case Const(None | Absent()):
            return None, cx.current
        case Const(v):
            return cx.branch(cx.builder.const(int(cx.python(node, lambda: bool(v))), BOOL))
        case MaybeRef():
            return present(cx, value, name)
        case KernelRef():
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
            return split_compare(cx, node, first, "!=", cx.int_const(0))
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
        learn(cx, yes, node, name, number, 1, 1)
        learn(cx, no, node, name, number, 0, 0)
        return yes, no
    return split_compare(cx, node, number, "!=", cx.int_const(0), name)


def present(cx: Lowering, value: MaybeRef | MaybeInt | KernelRef, name: str | None) -> Split:
    """Is it there? Where it is, the name stands for the value itself."""
    if isinstance(value, KernelRef):
        if len(value.path) > 1:  # inside of another object
            return cx.branch(cx.builder.const(1, BOOL))
        yes, no = cx.branch(cx.builder.emit("ne", BOOL, [value.op, cx.const(0)]))
        _settle(yes, value, replace(value, nullable=False), name)
        if references.absent(no, value.op):
            _settle(no, value, NONE, name)
        return yes, no
    if isinstance(value, MaybeInt):
        yes, no = cx.branch(value.present)
        maps.learn_presence(yes, value)
        _settle(yes, value, value.inner, name)
        _settle(no, value, NONE, name)
        return yes, no
    kind = value.op.type
    assert isinstance(kind, Ptr)
    yes, no = cx.branch(cx.builder.emit("ne", BOOL, [value.op, cx.builder.const(0, kind)]))
    cx.go(yes)
    plain = cx.builder.emit("guard", Ptr(kind.kind), [value.op], ("nonnull", 0, 0))
    ref = replace(value.ref, op=plain)
    maps.learn_presence(yes, value)
    references.absent(no, references.object_of(value.op))
    _settle(yes, value, ref, name)
    _settle(no, value, NONE, name)
    return yes, no


def _settle(flow: Flow, value: Value, known: Value, name: str | None) -> None:
    """In a flow where a test has told what a value is, all names of it say so."""
    for other, old in flow.names.items():
        if old == value:
            flow.names[other] = known
    if name is not None:
        flow.names[name] = known


def _comparison(cx: Lowering, node: ast.Compare) -> Split:
    """`a < b <= c`: each operand once, left to right, stopping at the first that fails."""
    failed: list[Flow | None] = []
    left_node, left = node.left, cx.expression(node.left)
    for i, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
        right: Value | None = containers.run_time_range(cx, right_node) if isinstance(op, ast.In | ast.NotIn) else None
        if right is None:
            right = cx.expression(right_node)
        yes, no = compare(cx, node, left_node, left, COMPARISONS[type(op)], right_node, right)
        failed.append(no)
        if yes is None:
            break
        if i + 1 < len(node.ops):
            cx.go(yes)
        left_node, left = right_node, right
    return yes, cx.join(*failed)


def compare(
    cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, symbol: str, right_node: ast.expr, right: Value
) -> Split:
    """One comparison."""
    if symbol in ("is", "is not"):
        return identity(cx, node, left_node, left, symbol, right)
    if symbol in ("in", "not in"):
        yes, no = containers.contains(cx, node, left_node, left, right_node, right)
        return (yes, no) if symbol == "in" else (no, yes)
    for side_node, value in ((left_node, left), (right_node, right)):
        if isinstance(value, Const) and isinstance(value.value, MapDeclaration):
            cx.fail(side_node, "a map cannot be compared", hint="compare its values: `m.get(key)`")
    if isinstance(left, Const) and isinstance(right, Const):
        holds = cx.python(node, lambda: PYTHON[symbol](left.value, right.value))
        return cx.branch(cx.builder.const(int(holds), BOOL))
    if equality.applies(left, right) and NONE not in (left, right):
        return equality.compare(cx, node, left, symbol, right)
    if isinstance(left, TupleValue) or isinstance(right, TupleValue):
        return containers.compare_tuples(cx, node, left, symbol, right)
    if NONE in (left, right) and symbol in ("==", "!="):
        cx.fail(
            node,
            "compare with None by `is` and `is not`",
            hint="a reference is not equal or unequal to None, it is or is not None",
        )
    cx.usable(left_node, left)
    cx.usable(right_node, right)
    for side, other in ((left, right), (right, left)):
        if isinstance(side, Ref | Fill) or (isinstance(side, Const) and isinstance(side.value, str | bytes)):
            return text.compare_memory(cx, node, side, symbol, other)
    if isinstance(left, KernelRef) and isinstance(right, KernelRef) and symbol in ("==", "!="):
        from purebpf.compiler.frontend import kernel

        numbers = kernel.identity_of(cx, left), kernel.identity_of(cx, right)
        return compare(cx, node, left_node, numbers[0], symbol, right_node, numbers[1])
    for side, at, other in ((left, left_node, right), (right, right_node, left)):
        if isinstance(side, KernelRef) and isinstance(other, Const) and other.value == 0:
            shown = ast.unparse(at)
            hint = f"whether it is NULL: `{shown} is {'not ' if symbol == '!=' else ''}None`"
            cx.fail(node, f"{describe(side)} is no number to compare with 0", hint=hint)
    a, b = as_int(cx.builder, left), as_int(cx.builder, right)
    if a is None and isinstance(left, Const) and isinstance(left.value, int):
        return _beyond(cx, left.value, SWAPPED[symbol])
    if b is None and isinstance(right, Const) and isinstance(right.value, int):
        return _beyond(cx, right.value, symbol)
    a, b = cx.integer(left_node, left), cx.integer(right_node, right)
    if symbol not in OPPOSITE:
        cx.fail(node, f"{describe(left)} and {describe(right)} cannot be compared by `{symbol}`")
    return split_compare(cx, node, a, symbol, b, name_of(left_node), name_of(right_node), left_node, right_node)


def name_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.NamedExpr):
        node = node.target
    return node.id if isinstance(node, ast.Name) else None


def _beyond(cx: Lowering, constant: int, symbol: str) -> Split:
    """A 64-bit integer against a constant that no 64 bits hold: decided by the constant's sign."""
    above = constant > 0
    holds = {"==": False, "!=": True, "<": above, "<=": above, ">": not above, ">=": not above}[symbol]
    return cx.branch(cx.builder.const(int(holds), BOOL))


def identity(cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, symbol: str, right: Value) -> Split:
    if isinstance(right, Const) and isinstance(right.value, bool) and isinstance(left, IntValue) and left.boolean:
        return compare(cx, node, left_node, left, "==" if symbol == "is" else "!=", node, right)
    if isinstance(left, KernelRef) and isinstance(right, KernelRef):
        return compare(cx, node, left_node, left, "==" if symbol == "is" else "!=", node, right)
    if right != NONE:
        cx.fail(node, f"`{symbol}` compares with None only in a program", hint=f"use `{'==' if symbol == 'is' else '!='}`")
    if isinstance(left, MaybeRef | MaybeInt | KernelRef):
        there, absent = present(cx, left, name_of(left_node))
    elif left == NONE:
        there, absent = None, cx.current
    else:
        if not isinstance(left, Const | IntValue | Ref | TupleValue):
            cx.usable(left_node, left)
        there, absent = cx.branch(cx.builder.const(1, BOOL))
    return (absent, there) if symbol == "is" else (there, absent)
