"""Globals and settings in a program: references into the one-entry array maps that hold them, loaded from directly."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.values import Ref
from purebpf.compiler.ir.ops import Ptr

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.lang.data import ArrayView, RecordView


def reference(cx: Lowering, node: ast.AST, view: RecordView | ArrayView) -> Ref:
    """The place of a class of globals or settings, or of a record or array inside one."""
    from purebpf.lang.data import DataMap, Globals

    data, offset, layout, path = view.__bpf_place__
    if not isinstance(data, DataMap):
        cx.fail(node, f"`{path}` is a value of Python's, which a program cannot see", hint="keep it in a `@bpf.config` class")
    name = cx.unit.map_name(data, data.layout.name)
    base = cx.builder.emit("map_value", Ptr("map_value"), [], (name, 0))
    changing = isinstance(data, Globals)
    return Ref(base, offset, layout, "map_value", shared=changing, writable=changing)
