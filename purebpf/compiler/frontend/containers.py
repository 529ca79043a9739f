"""`in` over tuples, ranges, arrays, texts and maps, and comparison of tuples."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import arithmetic, comparing, instead, maps, memory
from purebpf.compiler.frontend.comparing import Split, split_compare
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.values import U64, Const, IntValue, Ref, TupleValue, Value, describe
from purebpf.compiler.frontend.values import known as known_number
from purebpf.compiler.ir.ops import BOOL, I64
from purebpf.data import data, replace
from purebpf.lang.types import ArrayType, BytesType, CharsType, IntType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


@data
class Range(Value):
    """`range(start, stop, step)` of integers that are known at run time, or at compile time, behind `in`."""

    start: IntValue
    stop: IntValue
    step: int


def run_time_range(cx: Lowering, node: ast.expr) -> Range | None:
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
    from purebpf.compiler.frontend import conditions

    number = cx.integer(left_node, left)
    outside: list[Flow | None] = []

    def narrow(symbol: str, end: IntValue) -> None:
        name = conditions.name_of(left_node)
        now = cx.flow.names.get(name or "", number)
        now = now if isinstance(now, IntValue) else number
        if comparing.decided(symbol, now, end):
            return  # an unsigned number is not below 0
        yes, no = split_compare(cx, node, now, symbol, end, name, None, left_node)
        outside.append(no)
        cx.go(yes)

    narrow(">=" if found.step > 0 else "<=", found.start)
    narrow("<" if found.step > 0 else ">", found.stop)
    if abs(found.step) > 1:
        ends = (found.start, number) if found.step > 0 else (number, found.start)
        distance = cx.builder.emit("sub", I64, [ends[1].op, ends[0].op])  # not negative here, and below 2**64
        rest = arithmetic.binary(cx, node, "%", IntValue(distance, 0, U64), cx.int_const(abs(found.step)))
        yes, no = split_compare(cx, node, rest, "==", cx.int_const(0))
        outside.append(no)
        cx.go(yes)
    return cx.current, cx.join(*outside)


def contains(cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, right_node: ast.expr, right: Value) -> Split:
    """`x in (1, 2, 3)`, `x in range(a, b)`, `x in array`, `k in m`."""
    from purebpf.compiler.frontend import conditions

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
    elif isinstance(right, Const) and isinstance(right.value, str | bytes):
        return _in_constant(cx, node, left_node, left, right_node, right.value)
    elif isinstance(right, TupleValue):
        items = right.items
    elif isinstance(right, Ref) and isinstance(right.type, ArrayType | BytesType | CharsType):
        return _in_memory(cx, node, left_node, left, right_node, right)
    else:
        cx.usable(right_node, right)
        cx.fail(
            right_node,
            f"`in` wants a tuple, a range, an array or a map on its right, not {describe(right)}",
            hint=instead.looked_into(left_node, right),
        )
    if len(items) > 64:
        cx.fail(
            right_node,
            f"`in` over {len(items)} items would be a ladder of as many comparisons",
            hint="put them into a map, or give a range",
        )
    found: list[Flow | None] = []
    for item in items:
        yes, no = conditions.compare(cx, node, left_node, left, "==", right_node, item)
        found.append(yes)
        cx.go(no)
    if not items:
        return cx.branch(cx.builder.const(0, BOOL))
    rest = cx.current
    return cx.join(*found), rest


def _in_constant(
    cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, right_node: ast.expr, whole: str | bytes
) -> Split:
    """`"a" in "abc"`, `byte in b"abc"`."""
    if isinstance(left, Const):
        return cx.branch(cx.builder.const(int(cx.python(node, lambda: left.value in whole)), BOOL))
    if isinstance(whole, str):
        cx.fail(left_node, f"{describe(left)} cannot be looked for in a constant text", hint="`in` a tuple of texts compares")
    return contains(cx, node, left_node, left, right_node, Const(tuple(whole)))


def _in_memory(cx: Lowering, node: ast.expr, left_node: ast.expr, left: Value, right_node: ast.expr, right: Ref) -> Split:
    """`x in array`, `byte in data`, `"constant" in text`: a loop that stops at the first."""
    from purebpf.compiler.frontend import conditions, iteration, reductions

    cx.usable(right_node, right)
    if not isinstance(right.type, CharsType):
        sequence = iteration.over_memory(cx, right_node, right)
        return reductions.search(
            cx,
            node,
            right_node,
            sequence,
            lambda item: conditions.compare(cx, node, left_node, left, "==", right_node, item),
        )
    if not isinstance(left, Const) or not isinstance(left.value, str):
        cx.fail(left_node, f"only a constant text can be looked for in a text, not {describe(left)}")
    wanted = left.value.encode("utf-8", "surrogateescape")
    places = right.type.size - len(wanted)
    if not wanted or places < 1:
        return cx.branch(cx.builder.const(int(not wanted), BOOL))

    def starts(index: Value) -> Split:
        differ: list[Flow | None] = []
        at = ast.copy_location(ast.Subscript(right_node, right_node, ast.Load()), node)
        for i, byte in enumerate(wanted):
            letters = replace(right, offset=right.offset + i, type=ArrayType(IntType(8), places))
            letter = cx.integer(node, memory.load(cx, node, memory.element(cx, at, letters, index)))
            if not i:  # nothing counts behind the NUL
                ends, goes_on = cx.branch(comparing.integer_compare(cx, "==", letter, cx.int_const(0)))
                cx.frame.loops[-1].breaks.append(ends)
                cx.go(goes_on)
            yes, no = cx.branch(comparing.integer_compare(cx, "==", letter, cx.int_const(byte)))
            differ.append(no)
            cx.go(yes)
        return cx.current, cx.join(*differ)

    sequence = iteration.Counted(cx.int_const(0), cx.int_const(places), 1)
    return reductions.search(cx, node, right_node, sequence, starts)


def compare_tuples(cx: Lowering, node: ast.expr, left: Value, symbol: str, right: Value) -> Split:
    """Item by item: the first two that differ decide, else the lengths."""
    from purebpf.compiler.frontend import conditions

    a, b = _tuple(left), _tuple(right)
    if a is None or b is None:
        cx.fail(
            node,
            f"{describe(left)} and {describe(right)} cannot be compared by `{symbol}`",
            hint="tuples compare with tuples",
        )
    if len(a) != len(b) and symbol in ("==", "!="):
        return cx.branch(cx.builder.const(int(symbol == "!="), BOOL))
    holds: list[Flow | None] = []
    fails: list[Flow | None] = []
    for x, y in zip(a, b, strict=False):
        equal, differ = conditions.compare(cx, node, node, x, "==", node, y)
        if symbol in ("==", "!="):
            (fails if symbol == "==" else holds).append(differ)
        elif differ is not None:
            cx.go(differ)
            yes, no = conditions.compare(cx, node, node, x, symbol[0], node, y)
            holds.append(yes)
            fails.append(no)
        cx.go(equal)
    if cx.current is not None:
        same = comparing.PYTHON[symbol](len(a), len(b))
        (holds if same else fails).append(cx.current)
    return cx.join(*holds), cx.join(*fails)


def _tuple(value: Value) -> tuple[Value, ...] | None:
    """The items of a tuple; None for what is none."""
    if isinstance(value, TupleValue):
        return value.items
    return tuple(map(Const, value.value)) if isinstance(value, Const) and isinstance(value.value, tuple) else None
