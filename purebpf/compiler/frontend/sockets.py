"""What fields of a context point to: sockets, the answer of a flow dissector, the kernel's own objects.

A socket's fields are read in place, as a record's: `ctx.sk.family`. The kernel rewrites each access, so that they lie at
constant places and nothing of it is copied as bytes.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import references
from purebpf.compiler.frontend.values import NONE, Const, Context, IntValue, KernelRef, MaybeRef, Ref, Value, describe
from purebpf.compiler.ir.ops import I64, Op, Ptr
from purebpf.lang.sockets import FLOW_KEYS, SOCKET, SOCKET_COMMON, TCP_SOCKET
from purebpf.tables.enums import ProgramType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.tables.contexts import ContextField
    from purebpf.tables.helpers import Arg, Helper

LAYOUTS = {"bpf_sock": SOCKET, "bpf_tcp_sock": TCP_SOCKET}
FULL = frozenset({ProgramType.SOCK_OPS, ProgramType.SK_LOOKUP})  # of contexts that may have none, those whose socket is full


def pointed(cx: Lowering, node: ast.Attribute, context: Context, field: ContextField) -> Value:
    """What a field leads to; None where the kernel says that there may be nothing."""
    if field.kind == "btf":
        return _kernel_object(cx, node, context, field)
    op = cx.builder.emit("load", Ptr("btf", nullable=field.nullable), [context.op], (8, 0, field.offset))
    if field.kind == "flow_keys":
        return Ref(op, 0, FLOW_KEYS, "ctx")
    full = not field.nullable or cx.unit.kind.type in FULL
    place = Ref(op, 0, SOCKET if full else SOCKET_COMMON, "ctx", writable=False)
    return MaybeRef(op, place, f"`{ast.unparse(node)}` is None where there is no socket") if field.nullable else place


def _kernel_object(cx: Lowering, node: ast.Attribute, context: Context, field: ContextField) -> Value:
    """An object that the kernel's BTF describes, by a pointer that the verifier knows."""
    from purebpf.compiler.frontend import kernel

    op = cx.builder.emit("load", I64, [context.op], (8, 0, field.offset))
    type = kernel.named(cx, node, field.pointee)
    return kernel.pointing(cx, node, op, type, cx.unit.options.kernel_pointers, nullable=False)


def is_socket(value: Value) -> bool:
    return isinstance(value, Ref) and value.type in (SOCKET, SOCKET_COMMON, TCP_SOCKET)


def argument(cx: Lowering, at: ast.AST, what: str, wanted: Arg, value: Value) -> Op:
    """A socket for a helper; None where it takes that."""
    if value == NONE and wanted.nullable:
        return cx.const(0)
    if isinstance(value, KernelRef) and value.direct:
        from purebpf.compiler.frontend import kernel

        if value.nullable:
            cx.fail(at, f"{what} may not be None", hint="give it a name and test that: `if sk is not None:`")
        return kernel.address(cx, value)
    if not isinstance(value, Ref) or not is_socket(value):
        said = "None" if isinstance(value, Const) and value == NONE else describe(value)
        cx.fail(at, f"{what} is a socket, not {said}", hint="the context has one: `ctx.sk`")
    return value.op


def check_result(cx: Lowering, node: ast.AST, helper: Helper) -> None:
    """Refuse helpers whose socket must be given back, or is of a type without a layout."""
    if helper.result.pointee not in LAYOUTS:
        cx.fail(node, f"helper `{helper.name}` cannot be called by a program yet: it gives a `{helper.result.pointee}`")


def release(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.helpers.sk_release(sk)`: a socket that was looked up is given back."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "helper `sk_release` takes 1 argument", "sk_release(sock)")
    value = cx.expression(node.args[0])
    cx.usable(node.args[0], value)
    if not isinstance(value, Ref) or value.region != references.SOCKET:
        hint = "sockets of the context are the kernel's" if is_socket(value) else "sk = bpf.helpers.sk_lookup_tcp(...)"
        cx.fail(node.args[0], "what is given back is a socket that the program has looked up", hint=hint)
    op = cx.call("sk_release", [value.op])
    references.give_up(cx, references.object_of(value.op), "`sk_release` gave it back")
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


def found(cx: Lowering, node: ast.AST, helper: Helper, ops: list[Op]) -> Value:
    """The socket that a helper gives, or None. One that was looked up is the program's until it is given back."""
    op = cx.call(helper.name, ops, Ptr("btf", nullable=True))
    layout = SOCKET_COMMON if helper.name == "skc_lookup_tcp" else LAYOUTS[helper.result.pointee]
    if helper.result.acquires:
        references.hold(cx, node, op, references.SOCKET_RELEASE)
        why = f"`{ast.unparse(node)}` gives None where there is no such socket"
        return MaybeRef(op, Ref(op, 0, layout, references.SOCKET, writable=False), why)
    return MaybeRef(op, Ref(op, 0, layout, "ctx", writable=False), f"`{helper.name}` gives None where there is no such socket")
