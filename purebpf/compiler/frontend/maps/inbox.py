"""Rings from user space in a program: `inbox.drain(f)` calls `f(record)` for each record."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.helpers import allowed, map_op
from purebpf.compiler.frontend.values import NONE, IntValue, MaybeInt, MaybeRef, Value
from purebpf.compiler.ir.ops import BOOL, Op, Ptr
from purebpf.data import replace
from purebpf.lang.maps import MapDeclaration

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

MOST = 1 << 17  # BPF_MAX_USER_RINGBUF_SAMPLES is 128 * 1024


def drain(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """How many records were taken out, or -errno."""
    from purebpf.compiler.frontend import callbacks
    from purebpf.compiler.frontend.each import function_body

    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`drain` takes (f)", hint=f"{ast.unparse(node.func)}(f), where `f(record)` gives True to stop")
    allowed(cx, node, "user_ringbuf_drain")
    allowed(cx, node, "dynptr_read")

    def start(inner: Lowering, ops: list[Op]) -> list[Value]:
        return [_record(inner, node, declaration, ops[0])]

    body = function_body(cx, node, node.args[0], 1, (Ptr("mem"),), start)
    where = map_op(cx, node, declaration)
    op = callbacks.run(
        cx, node, body, lambda function, frame: cx.call("user_ringbuf_drain", [where, function, frame, cx.const(0)])
    )
    return IntValue(op, -(1 << 31), MOST, True)


def _record(cx: Lowering, node: ast.AST, declaration: MapDeclaration, data: Op) -> Value:
    """A copy of what lies in the ring, as long as it is a whole record."""
    layout = declaration.value_type
    place = memory.temporary(cx, layout, "record")
    answer = cx.call("dynptr_read", [place.op, cx.const(layout.size), data, cx.const(0), cx.const(0)])
    whole = cx.builder.emit("eq", BOOL, [answer, cx.const(0)])
    found = cx.diamond(whole, lambda: memory.load(cx, node, place), lambda: NONE)
    why = f"a record of `{declaration.name}` is None where user space put in less than a `{layout}`"
    return replace(found, why=why) if isinstance(found, MaybeRef | MaybeInt) else found
