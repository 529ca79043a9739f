"""Reading maps in a program: `m[k]`, `m.get(k)`, `k in m`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.maps import queues
from purebpf.compiler.frontend.maps.entries import (
    ARRAYS,
    NUMBER,
    arguments,
    array_entry,
    if_there,
    keyed,
    known_entry,
    learn_presence,
    lookup,
    name_of_entry,
    where_there,
)
from purebpf.compiler.frontend.values import (
    NONE,
    Const,
    MaybeRef,
    Ref,
    Value,
)
from purebpf.compiler.ir.ops import BOOL, Ptr
from purebpf.data import replace
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.maps.queues import BloomFilter
from purebpf.lang.types import BoolType, IntType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def item(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration) -> Value:
    """`m[k]` read."""
    keyed(cx, node, declaration, "read by index")
    if declaration.kind not in ARRAYS:
        return _hash_item(cx, node, declaration)
    if isinstance(declaration.value_type, IntType | BoolType):
        return memory.load(cx, node, array_entry(cx, node, declaration, node.slice, cx.expression(node.slice)))
    return _record_item(cx, node, declaration)


def _hash_item(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration) -> Value:
    """`m[k]` of a hash: allowed where a test has shown that the key is there."""
    found = known_entry(cx, node, declaration, cx.expression(node.slice))
    if found is not None:
        return memory.load(cx, node, found)
    name, key = ast.unparse(node.value), ast.unparse(node.slice)
    cx.fail(
        node,
        f"`{name}[{key}]` may not exist",
        "a hash may lack the key",
        f"use `{name}.get({key})` and test for None"
        + (f", or `{name}.get({key}, 0)`" if isinstance(declaration.value_type, IntType | BoolType) else ""),
    )


def _record_item(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration) -> Value:
    """A record of an array: the index is proven, so the branch for null is never taken; the verifier wants it."""
    return array_entry(cx, node, declaration, node.slice, cx.expression(node.slice))


def entry(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration, key: Value) -> Ref | MaybeRef:
    """The place `m[k]`; of a hash it may be missing."""
    keyed(cx, node, declaration, "changed")
    if declaration.kind in ARRAYS:
        return array_entry(cx, node, declaration, node.slice, key)
    return lookup(cx, node, declaration, node.slice, key)


def get(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.get(k)` is `V | None`; `m.get(k, default)` an integer."""
    keyed(cx, node, declaration, "looked up")
    key, *rest = arguments(cx, node, declaration, "get", ("key", "default"), 1)
    maybe = lookup(cx, node, declaration, key[0], key[1])
    maybe = replace(maybe, why=f"`{ast.unparse(node)}` gives None when the key is absent")
    layout = declaration.value_type
    if rest:
        default = rest[0][1]
        if not isinstance(layout, IntType | BoolType):
            if default == NONE:
                return maybe
            cx.fail(
                rest[0][0],
                "a default is for maps of integers",
                hint=f"`{ast.unparse(node.func)}({ast.unparse(key[0])}) or {ast.unparse(rest[0][0])}`",
            )
        return where_there(cx, maybe, lambda ref: memory.load(cx, node, ref), lambda: default)
    if not isinstance(layout, IntType | BoolType):
        return maybe
    found = if_there(cx, maybe, lambda ref: memory.load(cx, node, ref), lambda: NONE, maybe.why)
    if name := name_of_entry(declaration, key[1]):
        cx.flow.state[name + NUMBER] = found
    return found


def contains(cx: Lowering, node: ast.expr, key: Value, container: Value) -> tuple[Flow | None, Flow | None] | None:
    """`k in m`; None when the container is no map."""
    if not isinstance(container, Const) or not isinstance(container.value, MapDeclaration):
        return None
    declaration = container.value
    if isinstance(declaration, BloomFilter):
        return queues.holds(cx, node, declaration, key)
    keyed(cx, node, declaration, "searched")
    found = lookup(cx, node, declaration, node, key)
    assert isinstance(found.op.type, Ptr)
    yes, no = cx.branch(cx.builder.emit("ne", BOOL, [found.op, cx.builder.const(0, found.op.type)]))
    learn_presence(yes, found)
    return yes, no
