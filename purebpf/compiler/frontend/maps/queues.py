"""Queues, stacks and Bloom filters in a program: `push`, `pop`, `peek`, `add`, `value in filter`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.helpers import _pointer, allowed, from_map, map_op
from purebpf.compiler.frontend.maps.entries import arguments
from purebpf.compiler.frontend.values import NONE, MaybeInt, MaybeRef, Ref, Value, describe
from purebpf.compiler.ir.ops import BOOL, Op
from purebpf.data import replace
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import StructType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def _value(cx: Lowering, node: ast.AST, declaration: MapDeclaration, value: Value) -> Op:
    """A value in memory."""
    layout = declaration.value_type
    cx.usable(node, value)
    if isinstance(layout, StructType) and not (isinstance(value, Ref) and value.type == layout):
        cx.fail(node, f"`{declaration.name}` holds `{layout}`, not {describe(value)}")
    return _pointer(cx, memory.materialized(cx, node, value, layout, "value"))


def push(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`queue.push(value, flags=0)`: 0 or -errno."""
    value, *rest = arguments(cx, node, declaration, "push", ("value", "flags"), 1)
    return _push(cx, node, declaration, value, cx.integer(*rest[0]).op if rest else cx.const(0))


def add(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`filter.add(value)`: 0 or -errno."""
    (value,) = arguments(cx, node, declaration, "add", ("value",), 1)
    return _push(cx, node, declaration, value, cx.const(0))


def _push(cx: Lowering, node: ast.Call, declaration: MapDeclaration, value: tuple[ast.expr, Value], flags: Op) -> Value:
    allowed(cx, node, "map_push_elem")
    place = _value(cx, *_order(value, declaration))
    return from_map(cx, cx.call("map_push_elem", [map_op(cx, node, declaration), place, flags]))


def _order(value: tuple[ast.expr, Value], declaration: MapDeclaration) -> tuple[ast.expr, MapDeclaration, Value]:
    return value[0], declaration, value[1]


def pop(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`queue.pop()`: the next value, taken out, or None."""
    return _next(cx, node, declaration, "pop")


def peek(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`queue.peek()`: a copy of the next value, or None."""
    return _next(cx, node, declaration, "peek")


def _next(cx: Lowering, node: ast.Call, declaration: MapDeclaration, name: str) -> Value:
    arguments(cx, node, declaration, name, (), 0)
    allowed(cx, node, f"map_{name}_elem")
    place = memory.temporary(cx, declaration.value_type, "next")
    answer = from_map(cx, cx.call(f"map_{name}_elem", [map_op(cx, node, declaration), place.op]))
    there = cx.builder.emit("eq", BOOL, [answer.op, cx.const(0)])
    value = cx.diamond(there, lambda: memory.load(cx, node, place), lambda: NONE)
    if isinstance(value, MaybeRef | MaybeInt):
        return replace(value, why=f"`{ast.unparse(node)}` gives None when `{declaration.name}` is empty")
    return value


def holds(cx: Lowering, node: ast.expr, declaration: MapDeclaration, value: Value) -> tuple[Flow | None, Flow | None]:
    """`value in filter`."""
    allowed(cx, node, "map_peek_elem")
    place = _value(cx, node, declaration, value)
    answer = from_map(cx, cx.call("map_peek_elem", [map_op(cx, node, declaration), place]))
    return cx.branch(cx.builder.emit("eq", BOOL, [answer.op, cx.const(0)]))
