"""Writing maps in a program: `m[k] = v`, `m[k] += n`, `del m[k]`, `set`, `delete`, `pop`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.helpers import _pointer, from_map, map_op
from purebpf.compiler.frontend.maps.entries import (
    ARRAYS,
    arguments,
    array_entry,
    changed,
    if_there,
    key_pointer,
    keyed,
    known_entry,
    lookup,
    name_of_entry,
    proven_index,
    where_there,
)
from purebpf.compiler.frontend.values import (
    NONE,
    Const,
    IntValue,
    MaybeRef,
    Ref,
    Value,
    describe,
    known,
)
from purebpf.compiler.ir.ops import BOOL, Op, Ptr
from purebpf.data import replace
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.maps.arena import Arena
from purebpf.lang.types import BoolType, IntType, StructType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

BPF_ANY, BPF_NOEXIST = 0, 1


def assign(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration, value: Value, given: ast.AST) -> None:
    """`m[k] = v`: the kernel's answer is ignored. `given` is the syntax of the value."""
    keyed(cx, node, declaration, "assigned")
    key = cx.expression(node.slice)
    if isinstance(declaration, Arena):
        return memory.store(cx, given, array_entry(cx, node, declaration, node.slice, key), value)
    if declaration.kind in ARRAYS and isinstance(declaration.value_type, IntType | BoolType):
        number = cx.integer(node.slice, key)
        if known(key) is not None:
            proven_index(cx, node.slice, declaration, key)
        if number.low >= 0 and number.high < declaration.max_entries:
            return memory.store(cx, given, array_entry(cx, node, declaration, node.slice, key), value)
    _update(cx, node, node.slice, key, given, value, declaration, cx.const(BPF_ANY))


def _update(
    cx: Lowering,
    node: ast.AST,
    key_node: ast.AST,
    key: Value,
    value_node: ast.AST,
    value: Value,
    declaration: MapDeclaration,
    flags: Op,
) -> IntValue:
    cx.usable(value_node, value)
    layout = declaration.value_type
    if isinstance(layout, StructType) and not (isinstance(value, Ref) and value.type == layout):
        cx.fail(value_node, f"`{declaration.name}` holds `{layout}`, not {describe(value)}")
    key_op = key_pointer(cx, key_node, declaration, key)
    value_op = _pointer(cx, memory.materialized(cx, value_node, value, layout, "value"))
    result = from_map(cx, cx.call("map_update_elem", [map_op(cx, node, declaration), key_op, value_op, flags]))
    changed(cx, declaration)
    return result


def augment(cx: Lowering, node: ast.AugAssign, target: ast.Subscript, declaration: MapDeclaration) -> None:
    """`m[k] += n`: one lookup; where the kind can, a missing entry is created at 0 first."""
    from purebpf.compiler.frontend import atomics
    from purebpf.compiler.frontend.arithmetic import SYMBOLS
    from purebpf.compiler.frontend.expressions import operate

    keyed(cx, target, declaration, "changed")
    layout = declaration.value_type
    if not isinstance(layout, IntType):
        cx.fail(
            target,
            f"`{declaration.name}` holds `{layout}`, which `{SYMBOLS[type(node.op)]}=` cannot change",
            hint="look it up and change a field",
        )
    key = cx.expression(target.slice)
    if declaration.kind in ARRAYS:
        proven_index(cx, target.slice, declaration, key)
    amount = cx.expression(node.value)

    def change(ref: Ref) -> Value:
        if not atomics.update(cx, node, ref, SYMBOLS[type(node.op)], amount):
            old = memory.load(cx, target, ref)
            memory.store(cx, node, ref, operate(cx, node, node.op, target, old, node.value, amount))
        return NONE

    if isinstance(declaration, Arena):
        change(array_entry(cx, target, declaration, target.slice, key))
        return
    known_there = known_entry(cx, target, declaration, key) if declaration.kind not in ARRAYS else None
    if known_there is not None:
        change(known_there)
        return
    looked_up = name_of_entry(declaration, key) in cx.flow.state
    place = None if looked_up else key_pointer(cx, target.slice, declaration, key)
    maybe: Value = lookup(cx, target, declaration, target.slice, key, place)
    if declaration.creates:
        found = maybe
        assert isinstance(found, MaybeRef) and isinstance(found.op.type, Ptr)

        def create() -> Value:
            zero = memory.temporary(cx, layout, "zero")
            memory.store(cx, target, zero, Const(0))
            key_op = place or key_pointer(cx, target.slice, declaration, key)
            cx.call("map_update_elem", [map_op(cx, target, declaration), key_op, zero.op, cx.const(BPF_NOEXIST)])
            changed(cx, declaration)
            return lookup(cx, target, declaration, target.slice, key, key_op)

        there = cx.builder.emit("ne", BOOL, [found.op, cx.builder.const(0, found.op.type)])
        maybe = cx.diamond(there, lambda: found, create)
    assert isinstance(maybe, MaybeRef)
    where_there(cx, maybe, change, lambda: NONE)


def delete_item(cx: Lowering, node: ast.Subscript, declaration: MapDeclaration) -> None:
    """`del m[k]`: the kernel's answer is ignored."""
    _delete(cx, node, node.slice, declaration)


def _delete(cx: Lowering, node: ast.AST, key_node: ast.expr, declaration: MapDeclaration) -> IntValue:
    keyed(cx, node, declaration, "deleted from")
    if declaration.kind in ARRAYS:
        cx.fail(node, f"an entry of `{declaration.name}` cannot be deleted", "all entries of an array always exist", "assign 0")
    return _removed(cx, node, declaration, key_pointer(cx, key_node, declaration, cx.expression(key_node)))


def _removed(cx: Lowering, node: ast.AST, declaration: MapDeclaration, key_op: Op) -> IntValue:
    result = from_map(cx, cx.call("map_delete_elem", [map_op(cx, node, declaration), key_op]))
    changed(cx, declaration)
    return result


def pop(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.pop(k)`: a copy of the value, whose entry is deleted, or None."""
    keyed(cx, node, declaration, "deleted from")
    ((at, key),) = arguments(cx, node, declaration, "pop", ("key",), 1)
    place = key_pointer(cx, at, declaration, key)
    maybe = lookup(cx, node, declaration, at, key, place)
    layout = declaration.value_type
    plain = isinstance(layout, IntType | BoolType)
    copy = None if plain else memory.temporary(cx, layout, "popped")

    def take(ref: Ref) -> Value:
        value: Value = memory.load(cx, node, ref)
        if copy is not None:
            memory.copy(cx, node, copy, ref, apart=True)
            value = copy
        _removed(cx, node, declaration, place)
        return value

    value = if_there(cx, maybe, take, lambda: NONE, why := f"`{ast.unparse(node)}` gives None when the key is absent")
    return replace(value, why=why) if isinstance(value, MaybeRef) else value


def set_(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.set(k, v, flags=0)`: 0 or -errno."""
    keyed(cx, node, declaration, "assigned")
    key, value, *rest = arguments(cx, node, declaration, "set", ("key", "value", "flags"), 2)
    flags = cx.integer(*rest[0]).op if rest else cx.const(BPF_ANY)
    return _update(cx, node, key[0], key[1], value[0], value[1], declaration, flags)


def delete(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.delete(k)`: 0 or -errno."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`delete` takes (key)")
    return _delete(cx, node, node.args[0], declaration)
