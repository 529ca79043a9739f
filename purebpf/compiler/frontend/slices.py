"""Slices with constant bounds: a part of an array or of bytes in memory, or the start of a text."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.values import Const, Ref, known, named
from purebpf.data import replace
from purebpf.lang.types import ArrayType, BytesType, CharsType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def part(cx: Lowering, node: ast.Subscript, ref: Ref) -> Ref:
    """The place of `ref[a:b]` of an array or bytes: negative bounds count from the end, too large ones end there."""
    type = ref.type
    start, stop = _bounds(cx, node, ref)
    if isinstance(type, ArrayType):
        return replace(ref, offset=ref.offset + start * type.element.size, type=ArrayType(type.element, stop - start))
    return replace(ref, offset=ref.offset + start, type=BytesType(stop - start))


def read(cx: Lowering, node: ast.Subscript, ref: Ref) -> Ref:
    """`ref[a:b]` as a value; of a text only its start, which is copied to get a NUL."""
    if not isinstance(ref.type, CharsType):
        return part(cx, node, ref)
    start, stop = _bounds(cx, node, ref)
    bound = node.slice.upper if isinstance(node.slice, ast.Slice) else None
    if start or (bound is not None and (known(cx.expression(bound)) or 0) < 0):
        cx.fail(node, "a slice of a text in memory begins at its start", "where it ends is known at run time", "`text[:4]`")
    if stop >= ref.type.size - 1:
        return ref
    place = memory.temporary(cx, CharsType(stop + 1), "slice")
    memory.copy(cx, node, replace(place, type=BytesType(stop)), replace(ref, type=BytesType(stop)), apart=True)
    memory.zero(cx, node, place, stop)
    return place


def _bounds(cx: Lowering, node: ast.Subscript, ref: Ref) -> tuple[int, int]:
    """First index and the one behind the last."""
    type, at = ref.type, node.slice
    assert isinstance(at, ast.Slice)
    if not isinstance(type, ArrayType | BytesType | CharsType):
        cx.fail(node, f"{named(type)} cannot be sliced")
    numbers: list[int | None] = []
    for bound in (at.lower, at.upper, at.step):
        value = cx.expression(bound) if bound is not None else Const(None)
        number = known(value)
        if bound is not None and number is None and value != Const(None):
            cx.fail(bound, "a slice has constant bounds", "this is known at run time only", "go over the elements in a loop")
        numbers.append(number)
    if numbers[2] not in (None, 1):
        cx.fail(node, "a slice in memory takes every element, in order", "its step is not 1", "go over the elements in a loop")
    start, stop, _ = slice(*numbers).indices(type.count if isinstance(type, ArrayType) else type.size)
    if start >= stop:
        cx.fail(node, "this slice is empty", f"{start} to {stop} of {named(type)}")
    return start, stop
