"""Calls of kernel functions (kfuncs, Linux 5.13): by name, resolved when the program is loaded."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.helpers import gpl_compatible
from purebpf.compiler.ir.ops import I64, Op, Type

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def call(cx: Lowering, node: ast.AST, name: str, args: list[Op], result: Type = I64, locked: bool = False) -> Op:
    """Call one, its arguments unchecked; the kernel wants a GPL-compatible licence for any of them. `locked`: it may be called
    while a lock is held."""
    if not gpl_compatible(cx.unit.license) and not cx.flow.dead:
        cx.fail(
            node,
            f"kernel function `{name}` is for GPL-compatible programs only",
            f"this module's licence is {cx.unit.license!r}",
            'bpf.license("GPL") at module level',
        )
    if not locked:
        cx.refuse_call(f"kernel function `{name}`")
    cx.forget()
    return cx.builder.emit("kfunc", result, args, (name,))
