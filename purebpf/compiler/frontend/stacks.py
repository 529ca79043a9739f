"""`bpf.stack(stacks, user=True)`: the number of the current call stack; `bpf.get_stack(addresses)`: its addresses."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import helpers
from purebpf.compiler.frontend.values import Const, IntValue, Ref, Value, describe, known
from purebpf.compiler.ir.ops import BOOL, I64, Op
from purebpf.lang import stacks
from purebpf.lang.types import ArrayType, IntType
from purebpf.tables.constants import constant

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

MOST_SKIPPED = 255  # BPF_F_SKIP_FIELD_MASK
LOW, HIGH = -(1 << 31), (1 << 31) - 1


def stack(cx: Lowering, node: ast.Call) -> Value:
    given = _given(cx, node, "stack", "stacks")
    helpers.allowed(cx, node, "get_stackid")
    where = cx.expression(given["stacks"])
    if not isinstance(where, Const) or not isinstance(where.value, stacks.StackTrace):
        cx.fail(
            given["stacks"], f"a bpf.StackTrace is wanted here, not {describe(where)}", hint="stacks = bpf.StackTrace(1024)"
        )
    context, flags = _context(cx, node, "stack"), _flags(cx, given)
    op = cx.call("get_stackid", [context, helpers.map_op(cx, node, where.value), cx.const(flags)])
    return IntValue(op, LOW, HIGH, True)


def get_stack(cx: Lowering, node: ast.Call) -> Value:
    """The helper's result is bytes; ours is addresses, where it is no error."""
    given = _given(cx, node, "get_stack", "addresses")
    found = helpers.allowed(cx, node, "get_stack")
    at = given["addresses"]
    place = cx.expression(at)
    layout = place.type if isinstance(place, Ref) else None
    if not isinstance(layout, ArrayType) or layout.element != IntType(64):
        cx.fail(at, f"`get_stack` fills an array of u64, not {describe(place)}", hint="addresses = bpf.array(u64, 16)")
    context, flags = _context(cx, node, "get_stack"), _flags(cx, given)
    sizes: dict[int, int] = {}
    buffer = helpers._memory(cx, at, "`addresses`", found.name, found.args[1], place, sizes, 1)
    copied = cx.call("get_stack", [context, buffer, cx.const(sizes[1]), cx.const(flags)])
    failed = cx.builder.emit("slt", BOOL, [copied, cx.const(0)])

    def addresses() -> Value:
        return IntValue(cx.builder.emit("lshr", I64, [copied, cx.const(3)]), 0, layout.count)

    return cx.diamond(failed, lambda: IntValue(copied, LOW, -1, True), addresses)


def _given(cx: Lowering, node: ast.Call, name: str, first: str) -> dict[str, ast.expr]:
    """The arguments by name."""
    names = (first, "user", "skip")
    given = dict(zip(names, node.args, strict=False)) | {k.arg: k.value for k in node.keywords if k.arg in names}
    if len(given) != len(node.args) + len(node.keywords) or first not in given:
        cx.fail(node, f"`{name}` takes ({first}, user=False, skip=0)", hint=f"bpf.{name}({first}, user=True)")
    return given


def _context(cx: Lowering, node: ast.Call, name: str) -> Op:
    if cx.context is None:
        cx.fail(
            node,
            f"`{name}` needs the program's context, which this function does not have",
            hint="give it `ctx` as a parameter",
        )
    return cx.context


def _flags(cx: Lowering, given: dict[str, ast.expr]) -> int:
    user, skip = (_constant(cx, given, name) for name in ("user", "skip"))
    if not 0 <= skip <= MOST_SKIPPED:
        cx.fail(given["skip"], f"0 to {MOST_SKIPPED} frames can be skipped, not {skip}")
    return skip | (constant("BPF_F_USER_STACK") or 0 if user else 0)


def _constant(cx: Lowering, given: dict[str, ast.expr], name: str) -> int:
    if name not in given:
        return 0
    number = known(cx.expression(given[name]))
    if number is None:
        cx.fail(given[name], f"`{name}` must be a constant")
    return number


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {stacks.stack: stack, stacks.get_stack: get_stack}
