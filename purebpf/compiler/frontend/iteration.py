"""What a `for` goes over: ranges, tuples, arrays and bytes in memory, and `enumerate`, `zip`, `reversed` of those.

`over` gives either `Items`, known one by one (the body is lowered once for each, with its own types), or `Counted`, a counter
and what it stands for.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import arithmetic, comparing, instead, memory, owned, tables, text_methods
from purebpf.compiler.frontend.values import S64_HIGH, Const, IntValue, Ref, TupleValue, Value, describe, known
from purebpf.data import data, replace
from purebpf.lang.types import ArrayType, BytesType, CharsType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

UNROLLED = 32  # a `for` over a tuple is a copy of the body for each item; over more numbers it is a loop over a table
FEW = 10_000  # trips of a loop that the verifier may walk through, where their number is not below 0
COPIES = 256  # of what cannot be a table


@data
class Items:
    """Values that are known one by one."""

    values: tuple[Value, ...]

    @property
    def certain(self) -> bool:
        """Whether there is at least one."""
        return bool(self.values)


@data
class Counted:
    """`range(start, stop, step)`; `item` makes of the counter what the loop's variable gets (None: the counter itself)."""

    start: IntValue
    stop: IntValue
    step: int
    item: Callable[[IntValue], Value] | None = None

    @property
    def certain(self) -> bool:
        """Whether there is at least one."""
        return self.start.high < self.stop.low if self.step > 0 else self.start.low > self.stop.high

    def at(self, counter: IntValue) -> Value:
        return self.item(counter) if self.item is not None else counter


Sequence = Items | Counted


class Ready(ast.expr):
    """A sequence that was evaluated already, in the place of its syntax."""

    sequence: Sequence


def over(cx: Lowering, node: ast.expr) -> Sequence:
    """What the expression behind `in` of a `for` gives, or an error."""
    if isinstance(node, Ready):
        return node.sequence
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        function = cx.expression(node.func)
        handler = next((make for known, make in CALLS if function == Const(known)), None)
        if handler is not None:
            return handler(cx, node)
    from purebpf.compiler.frontend import each

    if each.view(cx, node) is not None:
        hint = f"for item in {ast.unparse(node)}: ..."
        cx.fail(node, "only a `for` statement of its own goes over a map's entries", hint=hint)
    value = memory.in_memory(cx, cx.expression(node))
    match value:
        case Const(range() as r):
            return Counted(cx.int_const(r.start), cx.int_const(r.stop), r.step)
        case Const(tuple() | bytes() as table) if len(table) > UNROLLED and tables.uniform(table):
            return _indexed_by(cx, node, len(table), lambda at, i: tables.look_up(cx, at, table, i))
        case Const(tuple() | str() | bytes() as items):
            return _few(cx, node, Items(tuple(Const(item) for item in items)))
        case Const(enum.EnumType() as members):
            return Items(tuple(map(Const, list[enum.Enum](members))))
        case TupleValue(items=values):
            return _few(cx, node, Items(values))
        case Ref(type=ArrayType() | BytesType() | CharsType()) as ref:
            return over_memory(cx, node, ref)
        case Const(list() | dict() | set() | frozenset() as items):
            name = type(items).__name__
            cx.fail(node, f"a {name} may change or has no fixed order: a `for` cannot go over it", hint="make it a tuple")
    cx.usable(node, value)
    cx.fail(
        node, f"a `for` goes over a range, a tuple or an array, not over {describe(value)}", hint=instead.walked(node, value)
    )


def _few(cx: Lowering, node: ast.expr, items: Items) -> Items:
    if len(items.values) > COPIES:
        cx.fail(
            node,
            f"a `for` over a tuple of {len(items.values)} would be as many copies of its body",
            hint="go over `range(len(t))` and index the tuple",
        )
    return items


def over_memory(cx: Lowering, node: ast.expr, ref: Ref) -> Counted:
    """The elements of an array, bytes, or the bytes of a text up to its NUL."""
    cx.usable(node, ref)
    if isinstance(ref.type, CharsType):
        count = cx.integer(node, text_methods.length(cx, node, ref))
    else:
        count = cx.int_const(ref.type.count if isinstance(ref.type, ArrayType) else ref.type.size)

    def item(at: ast.Subscript, index: IntValue) -> Value:
        return owned.argument(cx, cx.frame, node, "", memory.load(cx, node, memory.element(cx, at, ref, index)))

    return _indexed_by(cx, node, count, item)


def _indexed_by(
    cx: Lowering, node: ast.expr, count: IntValue | int, item: Callable[[ast.Subscript, IntValue], Value]
) -> Counted:
    """What has an item for every index below `count`; `item` gets a subscript of it, for messages."""
    at = ast.copy_location(ast.Subscript(node, node, ast.Load()), node)
    stop = cx.int_const(count) if isinstance(count, int) else count
    return Counted(cx.int_const(0), stop, 1, lambda i: item(at, i))


def _arguments(cx: Lowering, node: ast.Call, keywords: tuple[str, ...] = ()) -> None:
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            cx.fail(argument, "`*` arguments are not available in a program")
    for keyword in node.keywords:
        if keyword.arg not in keywords:
            cx.fail(keyword.value, f"`{ast.unparse(node.func)}` has no parameter `{keyword.arg}` in a program")


def range_(cx: Lowering, node: ast.Call) -> Counted:
    """`range(stop)`, `range(start, stop)`, `range(start, stop, step)`."""
    if node.keywords or not 1 <= len(node.args) <= 3 or any(isinstance(a, ast.Starred) for a in node.args):
        cx.fail(node, "range() takes one to three integers")
    values = [cx.integer(arg, cx.expression(arg)) for arg in node.args]
    start = values[0] if len(values) > 1 else cx.int_const(0)
    stop = values[1] if len(values) > 1 else values[0]
    step = known(values[2]) if len(values) == 3 else 1
    if step is None:
        cx.fail(node.args[2], "the step of a range must be constant")
    if step == 0:
        cx.fail(node.args[2], "range() cannot have a step of 0")
    return Counted(start, stop, step)


def _enumerate(cx: Lowering, node: ast.Call) -> Sequence:
    """`enumerate(x, start=0)`."""
    _arguments(cx, node, ("start",))
    given = [*node.args, *(k.value for k in node.keywords)]
    if not node.args or len(given) > 2:
        cx.fail(node, "enumerate() takes what to go over, and where to start counting")
    inner = over(cx, node.args[0])
    start = cx.integer(given[1], cx.expression(given[1])) if len(given) == 2 else cx.int_const(0)
    if isinstance(inner, Items):
        first = known(start)
        numbers: list[Value] = [
            Const(first + i) if first is not None else arithmetic.binary(cx, node, "+", start, cx.int_const(i))
            for i in range(len(inner.values))
        ]
        return Items(tuple(TupleValue((n, v)) for n, v in zip(numbers, inner.values, strict=True)))
    length, item = _indexed(cx, node, inner)
    return Counted(cx.int_const(0), length, 1, lambda i: TupleValue((arithmetic.binary(cx, node, "+", start, i), item(i))))


def _zip(cx: Lowering, node: ast.Call) -> Sequence:
    """`zip(a, b, ...)`, up to the shortest; `strict=True` where the lengths are known."""
    _arguments(cx, node, ("strict",))
    sequences = [over(cx, argument) for argument in node.args]
    lengths = [_length(sequence) for sequence in sequences]
    if any(cx.expression(k.value) != Const(False) for k in node.keywords) and (None in lengths or len(set(lengths)) > 1):
        cx.fail(node, "`strict` wants the same known length on all sides", hint="leave out `strict`")
    if not sequences:
        return Items(())
    if any(isinstance(sequence, Items) for sequence in sequences):
        if None in lengths:
            cx.fail(
                node.args[lengths.index(None)],
                "a tuple and a range whose length is known at run time only",
                hint="go over the range and index the tuple",
            )
        count = min(n for n in lengths if n is not None)
        rows = [_unfolded(cx, node, sequence, count) for sequence in sequences]
        return Items(tuple(TupleValue(column) for column in zip(*rows, strict=True)))
    pairs = [_indexed(cx, node, sequence) for sequence in sequences if isinstance(sequence, Counted)]
    shortest = pairs[0][0]
    for length, _ in pairs[1:]:
        shortest = _smaller(cx, node, shortest, length)
    return Counted(cx.int_const(0), shortest, 1, lambda i: TupleValue(tuple(item(i) for _, item in pairs)))


def _smaller(cx: Lowering, node: ast.AST, a: IntValue, b: IntValue) -> IntValue:
    if a.high <= b.low or b.high <= a.low:
        return a if a.high <= b.low else b
    picked = cx.diamond(comparing.integer_compare(cx, "<", a, b), lambda: a, lambda: b)
    return replace(cx.integer(node, picked), low=min(a.low, b.low), high=min(a.high, b.high))


def _reversed(cx: Lowering, node: ast.Call) -> Sequence:
    """`reversed(x)` of a range, a tuple or an array."""
    _arguments(cx, node)
    if len(node.args) != 1:
        cx.fail(node, "reversed() takes one range, tuple or array")
    inner_node = node.args[0]
    if (
        isinstance(inner_node, ast.Call)
        and isinstance(inner_node.func, ast.Name)
        and inner_node.func.id in ("zip", "enumerate")
    ):
        cx.fail(
            inner_node,
            f"Python cannot go over `{inner_node.func.id}` backwards",
            hint=f"reverse what is inside: `{inner_node.func.id}(reversed(...))`",
        )
    inner = over(cx, inner_node)
    if isinstance(inner, Items):
        return Items(inner.values[::-1])
    if abs(inner.step) == 1:
        first, last = (_next(cx, node, end, -inner.step) for end in (inner.stop, inner.start))
        return replace(inner, start=first, stop=last, step=-inner.step)
    length, item = _indexed(cx, node, inner)
    if length.low < 0:
        return Counted(_next(cx, node, length, -1), cx.int_const(-1), -1, item)
    return Counted(length, cx.int_const(0), -1, lambda i: item(_next(cx, node, i, -1)))


def _next(cx: Lowering, node: ast.AST, end: IntValue, step: int) -> IntValue:
    """`end + step`, which must not wrap."""
    if end.high > S64_HIGH:
        cx.fail(node, "this range may go beyond 2**63", f"up to {end.high}", "cast its bound: `s64(n)`")
    return arithmetic.binary(cx, node, "+", end, cx.int_const(step))


def _length(sequence: Sequence) -> int | None:
    """How many there are; None when that is known at run time only."""
    if isinstance(sequence, Items):
        return len(sequence.values)
    start, stop = known(sequence.start), known(sequence.stop)
    return None if start is None or stop is None else len(range(start, stop, sequence.step))


def _unfolded(cx: Lowering, node: ast.AST, sequence: Sequence, count: int) -> tuple[Value, ...]:
    """The first `count` values, one by one."""
    if isinstance(sequence, Items):
        return sequence.values[:count]
    return tuple(sequence.at(cx.int_const(sequence.start.low + i * sequence.step)) for i in range(count))


def _indexed(cx: Lowering, node: ast.AST, counted: Counted) -> tuple[IntValue, Callable[[IntValue], Value]]:
    """The same by an index from 0: how many (0 or less: none), and what is at an index."""
    start, stop, step = counted.start, counted.stop, counted.step
    if known(start) == 0 and step == 1:
        return stop, counted.at
    count = _length(counted)
    if count is not None:
        length = cx.int_const(count)
    else:
        ends = (start, stop) if step > 0 else (stop, start)
        length = arithmetic.binary(cx, node, "-", ends[1], ends[0])
        if abs(step) > 1:
            length = arithmetic.binary(cx, node, "+", length, cx.int_const(abs(step) - 1))
            length = arithmetic.binary(cx, node, "//", length, cx.int_const(abs(step)))
    if length.low < 0 < length.high <= FEW:
        picked = cx.diamond(comparing.integer_compare(cx, ">", length, cx.int_const(0)), lambda: length, lambda: Const(0))
        length = replace(cx.integer(node, picked), low=0, high=length.high, signed=False)
    low, high = (start.low, stop.high - 1) if step > 0 else (stop.low + 1, start.high)

    def item(index: IntValue) -> Value:
        moved = arithmetic.binary(cx, node, "*", index, cx.int_const(step))
        counter = arithmetic.binary(cx, node, "+", start, moved)
        if low <= high and not counter.op.is_const:
            counter = replace(counter, low=max(low, counter.low), high=min(high, counter.high))
        return counted.at(counter)

    return length, item


CALLS: tuple[tuple[object, Callable[[Lowering, ast.Call], Sequence]], ...] = (
    (range, range_), (enumerate, _enumerate), (zip, _zip), (reversed, _reversed),
)  # fmt: skip
