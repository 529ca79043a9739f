"""Values at objects of the kernel in a program: `storage.get(owner, create=True)`, `storage.delete(owner)`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import kernel, memory, sockets
from purebpf.compiler.frontend.helpers import allowed, map_op
from purebpf.compiler.frontend.maps.entries import arguments, if_there, value_ref
from purebpf.compiler.frontend.values import NONE, IntValue, KernelRef, MaybeRef, Value, known
from purebpf.compiler.ir.ops import Op, Ptr
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import BoolType, IntType
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

CREATE = 1  # BPF_LOCAL_STORAGE_GET_F_CREATE
FAMILIES = {
    MapType.SK_STORAGE: ("sk_storage", "sock"),
    MapType.TASK_STORAGE: ("task_storage", "task_struct"),
    MapType.INODE_STORAGE: ("inode_storage", "inode"),
    MapType.CGRP_STORAGE: ("cgrp_storage", "cgroup"),
}


def get(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`storage.get(owner, create=False)`: the value at an owner, or None."""
    owner, *rest = arguments(cx, node, declaration, "get", ("owner", "create"), 1)
    create = known(rest[0][1]) if rest else 0
    if create is None:
        cx.fail(rest[0][0], "`create` must be a constant")
    family, _ = FAMILIES[declaration.kind]
    allowed(cx, node, f"{family}_get")
    where = _owner(cx, declaration, *owner)
    flags = cx.const(CREATE if create else 0)
    op = cx.call(f"{family}_get", [map_op(cx, node, declaration), where, cx.const(0), flags], Ptr("map_value", nullable=True))
    why = "where there is no memory for a new value" if create else "where there is no value yet; with `create=True` there is"
    why = f"`{ast.unparse(node)}` gives None {why}"
    found = MaybeRef(op, value_ref(cx, declaration, op), why)
    if isinstance(declaration.value_type, IntType | BoolType):
        return if_there(cx, found, lambda ref: memory.load(cx, node, ref), lambda: NONE, why)
    return found


def delete(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`storage.delete(owner)`: 0 or -errno."""
    (owner,) = arguments(cx, node, declaration, "delete", ("owner",), 1)
    family, _ = FAMILIES[declaration.kind]
    allowed(cx, node, f"{family}_delete")
    op = cx.call(f"{family}_delete", [map_op(cx, node, declaration), _owner(cx, declaration, *owner)])
    return IntValue(cx.builder.emit("sext", op.type, [op], (32,)), -(1 << 31), (1 << 31) - 1, True)


def _owner(cx: Lowering, declaration: MapDeclaration, node: ast.expr, value: Value) -> Op:
    family, object = FAMILIES[declaration.kind]
    what = f"the owner of a value of `{declaration.name}`"
    cx.usable(node, value)
    if declaration.kind is MapType.SK_STORAGE and not isinstance(value, KernelRef):
        from purebpf.tables.helpers import helper

        found = helper(f"{family}_get")
        assert found is not None
        return sockets.argument(cx, node, what, found.args[1], value)
    return kernel.lent(cx, node, what, object, value)


def attached(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`storage.get()`: the value of the cgroup that the program runs for, which is always there."""
    arguments(cx, node, declaration, "get", (), 0)
    allowed(cx, node, "get_local_storage")
    op = cx.call("get_local_storage", [map_op(cx, node, declaration), cx.const(0)], Ptr("map_value"))
    place = value_ref(cx, declaration, op)
    return memory.load(cx, node, place) if isinstance(declaration.value_type, IntType | BoolType) else place
