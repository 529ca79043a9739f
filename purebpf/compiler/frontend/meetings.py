"""Places of different kinds that meet where ways join.

    name = "tcp" if tcp else "other"     # a place of the function's own, as long as the longest
    flow = flows.get(key) or Flow()      # in a map or the function's own: a pointer into memory of either kind

A text or bytes is a value, so it is copied at the end of each way. A record stays the reference it is: what is written through
the name is written to the map where it came from there. The verifier follows each kind of pointer on a way of its own.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.values import EITHER, Const, MaybeRef, Ref, Value, kind_of_either, text_size
from purebpf.data import replace
from purebpf.lang.types import BytesType, CharsType, Type

if TYPE_CHECKING:
    from purebpf.compiler.frontend.flow import Flow
    from purebpf.compiler.frontend.lower import Lowering

READABLE = frozenset({"stack", "map_value", "ctx"})  # what can be read at any time without a test


def brought(cx: Lowering, flow: Flow, value: Value, shape: Value) -> Value:
    """The value as a place of this shape takes it, at the end of `flow`: without constant offset where the shape has none, as
    a pointer into memory of either kind where the shape is one."""
    if isinstance(value, Ref) and isinstance(shape, Ref) and value.offset != shape.offset:
        value = cx.moved(flow, value)
    wanted = shape.ref if isinstance(shape, MaybeRef) else shape
    there = value.ref if isinstance(value, MaybeRef) else value
    if not isinstance(wanted, Ref) or wanted.region != EITHER or not isinstance(there, Ref) or there.region == EITHER:
        return value
    keep = cx.current
    cx.go(flow)
    op = cx.builder.emit("guard", kind_of_either(there.op), [there.op], ("mem", 0, 0))
    cx.go(keep)
    there = replace(there, op=op, region=EITHER)
    return replace(value, op=op, ref=there) if isinstance(value, MaybeRef) else there


def copied(cx: Lowering, flows: list[Flow], values: list[Value]) -> Value | None:
    """Texts, or bytes of one length, as one value of the function's own; None where these are something else, or where one
    place has them all."""
    types = [_text_type(value) for value in values]
    if any(type is None for type in types) or not _differ(values):
        return None
    longest = max((type for type in types if type is not None), key=lambda type: type.size)
    alike = all(isinstance(type, CharsType) for type in types) or all(type == longest for type in types)
    if not alike:
        return None
    from purebpf.compiler.frontend import memory

    place = memory.temporary(cx, longest)
    keep = cx.current
    for flow, value in zip(flows, values, strict=True):
        cx.go(flow)
        memory.store(cx, ast.Pass(), place, value)
    cx.go(keep)
    return place


def _differ(values: list[Value]) -> bool:
    """Whether they are no one constant, and no places that one pointer can stand for."""
    first = values[0]
    if all(value == first for value in values[1:]):
        return False
    places = [value for value in values if isinstance(value, Ref)]
    alike = len(places) == len(values) and len({(place.type, place.region) for place in places}) == 1
    return not alike or places[0].region == "ctx"


def _text_type(value: Value) -> Type | None:
    match value:
        case Const(str()) if size := text_size(value):
            return CharsType(size)
        case Const(bytes() as data) if data:
            return BytesType(len(data))
        case Ref(type=CharsType() | BytesType() as type, region=region) if region in READABLE:
            return type
    return None
