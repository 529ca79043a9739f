"""Arenas in a program: `arena[i]` is a place in shared memory."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.helpers import map_op
from purebpf.compiler.frontend.values import IntValue, Ref
from purebpf.compiler.ir.ops import Ptr
from purebpf.lang.maps import MapDeclaration

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

REGION = "arena"  # no helper takes a pointer into one


def place(cx: Lowering, node: ast.AST, declaration: MapDeclaration, index: IntValue) -> Ref:
    """The place of an index that is in range."""
    layout = declaration.value_type
    offset = cx.builder.emit("mul", index.op.type, [index.op, cx.const(layout.size)]) if layout.size > 1 else index.op
    op = cx.call("arena_address", [map_op(cx, node, declaration), offset], Ptr("map_value"))
    return Ref(op, 0, layout, REGION, shared=True, owner=declaration)
