"""Constant tuples of integers, or of tuples of one shape, indexed at run time: tables in the read-only data.

PORTS = ((80, 6), (53, 17))
port, protocol = PORTS[i]       # i is 0 or 1: two loads at i * 4
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import advice, memory
from purebpf.compiler.frontend.values import Const, IntValue, Ref, TupleValue, Value, describe
from purebpf.compiler.ir.ops import Ptr
from purebpf.data import data, replace
from purebpf.lang.types import ArrayType, BoolType, IntType, Type

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

WIDEST = 256  # numbers in a row: each is a load, until it turns out that nobody reads it
TYPES = (*(IntType(bits) for bits in (8, 16, 32, 64)), *(IntType(bits, True) for bits in (8, 16, 32, 64)))


@data
class Row(TupleValue):
    """A tuple out of a table: one of `candidates`, which lies at `place`."""

    candidates: tuple[Any, ...]
    place: Ref


def look_up(cx: Lowering, node: ast.Subscript, values: Any, index: Value) -> Value:
    """`TABLE[i]` of a constant tuple (or bytes)."""
    if isinstance(values, list | dict | set):
        cx.fail(
            node,
            f"a {type(values).__name__} may change while the program runs, so it cannot be read from it",
            hint="make it a tuple, or a map",
        )
    shapes = {_shape(value) for value in values} if isinstance(values, tuple | bytes) else set()
    if len(shapes) != 1 or None in shapes:
        why = "its items have different shapes" if len(shapes) > 1 and None not in shapes else ""
        hint = "a tuple of integers can, or one of tuples of integers that are alike"
        cx.fail(node, f"{describe(Const(values))} cannot be indexed at run time", why, hint)
    leaves = list(_leaves(values))
    if len(leaves) // len(values) > WIDEST:
        cx.fail(node, f"the rows of this table have {len(leaves) // len(values)} numbers", f"at most {WIDEST}", "use a map")
    element = _element(cx, node, leaves)
    data = b"".join(element.encode(leaf) for leaf in leaves)
    if data not in cx.unit.literals:
        cx.unit.rodata += bytes(-len(cx.unit.rodata) % element.size)
    base = cx.builder.emit("map_value", Ptr("map_value"), [], (cx.unit.rodata_name, cx.unit.literal(data)))
    return _pick(cx, node, Ref(base, 0, element, "map_value", writable=False), (tuple(values),), index)


def pick(cx: Lowering, node: ast.Subscript, row: Row, index: Value) -> Value:
    """`row[j]` at a run-time index."""
    if len({_shape(item) for item in row.candidates[0]}) > 1:
        cx.fail(node, "this tuple cannot be indexed at run time", "its items have different shapes")
    return _pick(cx, node, row.place, row.candidates, index)


def _pick(cx: Lowering, node: ast.Subscript, place: Ref, rows: Sequence[tuple[Any, ...]], index: Value) -> Value:
    """One item, at a run-time index, of a row at `place` (whose type is that of its numbers)."""
    number, count = cx.integer(node.slice, index), len(rows[0])
    if number.low < 0 or number.high >= count:
        cx.fail(
            node.slice,
            f"the index may be outside the tuple of {count}",
            f"{number.low}..{number.high}",
            advice.to_test(node.slice, number.low, count),
        )
    width = sum(1 for _ in _leaves(rows[0][0]))
    item: Type = ArrayType(place.type, width) if width > 1 else place.type
    found = memory.element(cx, node, replace(place, type=ArrayType(item, count)), number)
    candidates = [item for row in rows for item in row[number.low : number.high + 1]]
    return _item(cx, node, replace(found, type=place.type), candidates)


def _item(cx: Lowering, node: ast.AST, place: Ref, candidates: Sequence[Any]) -> Value:
    """What lies at a place: a number in the range of its candidates, or a row of those."""
    if not isinstance(candidates[0], tuple):
        loaded = memory.load(cx, node, place)
        assert isinstance(loaded, IntValue)
        low, high = min(candidates), max(candidates)
        return loaded if loaded.boolean else replace(loaded, low=int(low), high=int(high), signed=low < 0)
    items: list[Value] = []
    offset = place.offset
    for column in zip(*candidates, strict=True):
        items.append(_item(cx, node, replace(place, offset=offset), column))
        offset += place.type.size * sum(1 for _ in _leaves(column[0]))
    return Row(tuple(items), tuple(candidates), place)


def uniform(values: Sequence[Any]) -> bool:
    """Whether its items can be a table: numbers, or tuples of numbers of one shape."""
    shapes = {_shape(value) for value in values}
    return len(shapes) == 1 and None not in shapes


def _shape(value: Any) -> object:
    """0 for a number, a tuple of shapes for a tuple; None for what no table can hold."""
    if isinstance(value, int):
        return 0
    shapes = tuple(_shape(item) for item in value) if isinstance(value, tuple) else ()
    return shapes if shapes and None not in shapes else None


def _leaves(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    else:
        for item in value:
            yield from _leaves(item)


def _element(cx: Lowering, node: ast.AST, leaves: list[int]) -> IntType | BoolType:
    """The smallest type that holds them all."""
    if all(isinstance(leaf, bool) for leaf in leaves):
        return BoolType()
    low, high = min(leaves), max(leaves)
    found = next((type for type in TYPES if type.low <= low and high <= type.high), None)
    if found is None:
        cx.fail(node, "the numbers of this tuple fit no 64-bit type", f"{low}..{high}")
    return found
