"""`bpf.read_user(address, T)` and its siblings: memory outside the program, by address.

A record or scalar is copied to the stack, and None where the kernel cannot read it. A text is read straight into the place that
it is stored in.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import helpers, memory
from purebpf.compiler.frontend.values import NONE, Const, Fill, MaybeInt, MaybeRef, Ref, Value, describe, known
from purebpf.compiler.ir.ops import BOOL
from purebpf.data import replace
from purebpf.lang import reading
from purebpf.lang.types import BoolType, CharsType, IntType, StructType, type_of

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

LONGEST_TEXT = 1 << 16


def _read(where: str) -> Callable[[Lowering, ast.Call], Value]:
    name, helper = f"read_{where}", f"probe_read_{where}"

    def lower(cx: Lowering, node: ast.Call) -> Value:
        if len(node.args) != 2 or node.keywords:
            cx.fail(node, f"`{name}` takes an address and a type", hint=f"bpf.{name}(address, u32)")
        helpers.allowed(cx, node, helper)
        address = cx.integer(node.args[0], cx.expression(node.args[0]), "an address")
        kind = cx.expression(node.args[1])
        layout = type_of(kind.value) if isinstance(kind, Const) and kind != NONE else None
        if not isinstance(layout, IntType | BoolType | StructType):
            cx.fail(
                node.args[1],
                f"the second argument of `{name}` is a type: a @bpf.struct class or a scalar such as u32",
                hint=f"bpf.{name}_str(address) reads a text" if isinstance(layout, CharsType) else f"bpf.{name}(address, u32)",
            )
        place = memory.temporary(cx, layout, where)
        failed = cx.call(helper, [place.op, cx.const(layout.size), address.op])
        readable = cx.builder.emit("eq", BOOL, [failed, cx.const(0)])
        value = cx.diamond(readable, lambda: memory.load(cx, node, replace(place, writable=False)), lambda: NONE)
        why = f"`{ast.unparse(node)}` gives None when the memory cannot be read"
        return replace(value, why=why) if isinstance(value, MaybeRef | MaybeInt) else value

    return lower


def _read_text(where: str) -> Callable[[Lowering, ast.Call], Value]:
    name, helper = f"read_{where}_str", f"probe_read_{where}_str"

    def lower(cx: Lowering, node: ast.Call) -> Value:
        given = dict(zip(("address", "size"), node.args, strict=False)) | {k.arg: k.value for k in node.keywords}
        if len(given) != len(node.args) + len(node.keywords) or not {"address"} <= given.keys() <= {"address", "size"}:
            cx.fail(node, f"`{name}` takes (address, size={reading.TEXT_BYTES})", hint=f"bpf.{name}(address)")
        helpers.allowed(cx, node, helper)
        address = cx.integer(given["address"], cx.expression(given["address"]), "an address")
        size = _size(cx, given["size"]) if "size" in given else reading.TEXT_BYTES

        def write(place: Ref) -> None:
            most = size if "size" in given else place.type.size
            cx.call(helper, [helpers._pointer(cx, place), cx.const(most), address.op])

        return Fill(CharsType(size), write, leaves=True, stretches="size" not in given)

    return lower


def _size(cx: Lowering, node: ast.expr) -> int:
    value = cx.expression(node)
    size = known(value)
    if size is None:
        cx.fail(node, f"the size of a text is a constant, not {describe(value)}")
    if not 1 <= size <= LONGEST_TEXT:
        cx.fail(node, f"a text takes 1 to {LONGEST_TEXT} bytes with its NUL, not {size}")
    return size


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {
    reading.read_user: _read("user"),
    reading.read_kernel: _read("kernel"),
    reading.read_user_str: _read_text("user"),
    reading.read_kernel_str: _read_text("kernel"),
}
