"""`bpf.kfunc_exists("bpf_task_from_vpid")`: asked when the program is loaded.

Where the kernel at hand has no such function its signature is not known either: the test is False, and what is behind it is
not looked at.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import kfunc_types
from purebpf.compiler.frontend.values import ABSENT, Const, IntValue, Value
from purebpf.compiler.ir.ops import BOOL
from purebpf.lang.kfuncs import kfunc_exists
from purebpf.tables.kfuncs import kfunc
from purebpf.tables.since import kfunc_since

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def exists(cx: Lowering, node: ast.Call) -> Value:
    value = cx.expression(node.args[0]) if len(node.args) == 1 and not node.keywords else None
    if not isinstance(value, Const) or not isinstance(value.value, str):
        cx.fail(node, "`kfunc_exists` takes a name that is written out", hint='bpf.kfunc_exists("bpf_task_from_pid")')
    name = value.value
    if not kfunc_types.exists(cx, node, name):
        if kfunc(name) is None and kfunc_since(name) is None:
            cx.warn(node, f"no kernel function `{name}` is known", "so this is False")
        return Const(ABSENT)
    return IntValue(cx.builder.emit("kfunc_there", BOOL, [], (name,)), 0, 1, False, True)


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {kfunc_exists: exists}
