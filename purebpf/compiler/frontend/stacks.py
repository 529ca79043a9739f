"""`bpf.stack(stacks, user=True)`: the number of the current call stack."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import helpers
from purebpf.compiler.frontend.values import Const, IntValue, Value, describe, known
from purebpf.lang import stacks
from purebpf.tables.constants import constant

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

NAMES = ("stacks", "user", "skip")
MOST_SKIPPED = 255  # BPF_F_SKIP_FIELD_MASK
LOW, HIGH = -(1 << 31), (1 << 31) - 1


def stack(cx: Lowering, node: ast.Call) -> Value:
    given = dict(zip(NAMES, node.args, strict=False)) | {k.arg: k.value for k in node.keywords if k.arg in NAMES}
    if len(given) != len(node.args) + len(node.keywords) or "stacks" not in given:
        cx.fail(node, "`stack` takes (stacks, user=False, skip=0)", hint="bpf.stack(stacks, user=True)")
    helpers.allowed(cx, node, "get_stackid")
    where = cx.expression(given["stacks"])
    if not isinstance(where, Const) or not isinstance(where.value, stacks.StackTrace):
        cx.fail(
            given["stacks"], f"a bpf.StackTrace is wanted here, not {describe(where)}", hint="stacks = bpf.StackTrace(1024)"
        )
    if cx.context is None:
        cx.fail(
            node, "`stack` needs the program's context, which this function does not have", hint="give it `ctx` as a parameter"
        )
    user, skip = (_constant(cx, given, name) for name in ("user", "skip"))
    if not 0 <= skip <= MOST_SKIPPED:
        cx.fail(given["skip"], f"0 to {MOST_SKIPPED} frames can be skipped, not {skip}")
    flags = skip | (constant("BPF_F_USER_STACK") or 0 if user else 0)
    op = cx.call("get_stackid", [cx.context, helpers.map_op(cx, node, where.value), cx.const(flags)])
    return IntValue(op, LOW, HIGH, True)


def _constant(cx: Lowering, given: dict[str, ast.expr], name: str) -> int:
    if name not in given:
        return 0
    number = known(cx.expression(given[name]))
    if number is None:
        cx.fail(given[name], f"`{name}` must be a constant")
    return number


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {stacks.stack: stack}
