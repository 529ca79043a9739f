"""Equality of arrays and records in memory: by wide loads where bytes decide, else text by text and bit field by bit field.

Padding does not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.comparing import Split
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.values import Const, ListValue, Ref, TupleValue, Value, count, describe, named
from purebpf.compiler.ir.ops import BOOL, I32, I64
from purebpf.data import data, replace
from purebpf.lang.types import ArrayType, BytesType, CharsType, StructType, Type

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


@data
class Run:
    """Bytes that compare as such (`type` is BytesType), a text, or the bit field `name` of the record at `offset`."""

    offset: int
    type: Type
    name: str = ""


def applies(a: Value, b: Value) -> bool:
    """Whether one side is an array or record in memory."""
    return any(isinstance(side, Ref) and isinstance(side.type, ArrayType | StructType) for side in (a, b))


def compare(cx: Lowering, node: ast.expr, a: Value, symbol: str, b: Value) -> Split:
    """`==` and `!=` of arrays, records and lists."""
    for side in (a, b):
        cx.usable(node, side)
    if symbol not in ("==", "!="):
        cx.fail(node, f"{describe(a)} and {describe(b)} cannot be compared by `{symbol}`", hint="they compare by == and !=")
    x, y = (a, b) if isinstance(a, Ref) else (b, a)
    assert isinstance(x, Ref)
    if isinstance(y, ListValue) and isinstance(x.type, ArrayType):
        equal, other = _with_items(cx, node, x, x.type, y.items)
    elif isinstance(y, Const) and isinstance(y.value, list) and isinstance(x.type, ArrayType):
        equal, other = _with_items(cx, node, x, x.type, tuple(map(Const, y.value)))
    elif isinstance(y, Ref) and y.type == x.type:
        equal, other = _places(cx, node, x, y)
    else:
        tuples = isinstance(y, TupleValue) or (isinstance(y, Const) and isinstance(y.value, tuple))
        kind = "records" if isinstance(x.type, StructType) else "arrays"
        hint = f"{kind} compare with {kind} of the same type" + (", or with a list: `[1, 2]`" if kind == "arrays" else "")
        why = "a tuple never equals a list, which an array is in Python" if tuples and kind == "arrays" else ""
        cx.fail(node, f"{describe(a)} and {describe(b)} cannot be compared", why, hint)
    return (equal, other) if symbol == "==" else (other, equal)


def _with_items(cx: Lowering, node: ast.expr, ref: Ref, type: ArrayType, items: tuple[Value, ...]) -> Split:
    """An array and a list, one by one."""
    from purebpf.compiler.frontend import conditions

    if len(items) != type.count:
        cx.warn(node, "lists of different lengths are never equal", f"{named(type)} and {count(len(items), 'item')}")
        return cx.branch(cx.builder.const(0, BOOL))
    unequal: list[Flow | None] = []
    for i, item in enumerate(items):
        element = memory.load(cx, node, replace(ref, offset=ref.offset + i * type.element.size, type=type.element))
        yes, no = conditions.compare(cx, node, node, element, "==", node, item)
        unequal.append(no)
        cx.go(yes)
    return cx.current, cx.join(*unequal)


def _places(cx: Lowering, node: ast.expr, x: Ref, y: Ref) -> Split:
    """Two places of one type."""
    from purebpf.compiler.frontend import conditions, text

    unequal: list[Flow | None] = []

    def go_on(split: Split) -> None:
        unequal.append(split[1])
        cx.go(split[0])

    for run in _joined(_runs(x.type, 0)):
        left, right = (replace(ref, offset=ref.offset + run.offset, type=run.type) for ref in (x, y))
        if run.name:
            bits = [memory.load_member(cx, node, ref, run.name) for ref in (left, right)]
            go_on(conditions.compare(cx, node, node, bits[0], "==", node, bits[1]))
        elif isinstance(run.type, CharsType):
            go_on(text.compare_memory(cx, node, left, "==", right))
        else:
            for offset, width in memory.chunks(run.type.size, min(memory.alignment(left), memory.alignment(right))):
                kind = I64 if width == 8 else I32
                words = [cx.builder.emit("load", kind, [ref.op], (width, 0, ref.offset + offset)) for ref in (left, right)]
                go_on(cx.branch(cx.builder.emit("eq", BOOL, words)))
    return cx.current, cx.join(*unequal)


def _runs(type: Type, start: int) -> Iterator[Run]:
    """What of a type counts, in order."""
    if isinstance(type, StructType) and type.union:
        yield Run(start, BytesType(type.size))
    elif isinstance(type, StructType):
        for field in type.values:
            if field.bits:
                yield Run(start, type, field.name)
            else:
                yield from _runs(field.type, start + field.offset)
    elif isinstance(type, ArrayType):
        for i in range(type.count):
            yield from _runs(type.element, start + i * type.element.size)
    elif isinstance(type, CharsType):
        yield Run(start, type)
    else:
        yield Run(start, BytesType(type.size))


def _joined(runs: Iterator[Run]) -> list[Run]:
    """Neighbouring bytes as one run."""
    out: list[Run] = []
    for run in runs:
        before = out[-1] if out else None
        plain = before is not None and isinstance(before.type, BytesType) and isinstance(run.type, BytesType)
        if before is not None and plain and before.offset + before.type.size == run.offset:
            out[-1] = Run(before.offset, BytesType(before.type.size + run.type.size))
        else:
            out.append(run)
    return out
