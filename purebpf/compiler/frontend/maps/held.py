"""Methods of maps that hold sockets, cgroups, interfaces and CPUs."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import references
from purebpf.compiler.frontend.helpers import allowed, map_op
from purebpf.compiler.frontend.maps.entries import arguments, key_pointer
from purebpf.compiler.frontend.values import Context, IntValue, MaybeRef, Ref, Value, describe, with_article
from purebpf.compiler.ir.ops import BOOL, I64, Op, Ptr
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.sockets import SOCKET
from purebpf.tables.enums import MapType, ProgramType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

Argument = tuple[ast.expr, Value]
ENOENT = 2
DELETING = frozenset(
    (
        ProgramType.SOCK_OPS, ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS, ProgramType.SCHED_ACT, ProgramType.XDP,
        ProgramType.SK_REUSEPORT, ProgramType.FLOW_DISSECTOR, ProgramType.SK_LOOKUP,
    )
)  # fmt: skip
"""Program types that may take sockets out of a map (may_update_sockmap, kernel/bpf/verifier.c, Linux 6.10)."""


def _answer(op: Op) -> IntValue:
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


def redirect_packet(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`devices.redirect(index, flags=0)`: the result to return; the low bits of `flags` are returned when there is no such
    target."""
    index, *rest = arguments(cx, node, declaration, "redirect", ("index", "flags"), 1)
    allowed(cx, node, "redirect_map")
    flags = cx.integer(*rest[0]).op if rest else cx.const(0)
    return _answer(cx.call("redirect_map", [map_op(cx, node, declaration), cx.integer(*index).op, flags]))


def _given(cx: Lowering, node: ast.Call, declaration: MapDeclaration, name: str) -> tuple[Op, Argument, Op]:
    """`(ctx, key, flags=0)`: context, key and flags."""
    context, key, *rest = arguments(cx, node, declaration, name, ("ctx", "key", "flags"), 2)
    if not isinstance(context[1], Context):
        cx.fail(context[0], f"the first argument of `{name}` is the context, not {describe(context[1])}")
    return context[1].op, key, cx.integer(*rest[0]).op if rest else cx.const(0)


def _hashed(declaration: MapDeclaration) -> bool:
    return declaration.kind is MapType.SOCKHASH


def redirect_data(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`sockets.redirect(ctx, key, flags=0)`: SK_PASS, or SK_DROP where there is no such socket."""
    if cx.unit.kind.type not in (ProgramType.SK_MSG, ProgramType.SK_SKB) and not cx.flow.dead:
        what = (
            f"`redirect` of {with_article(type(declaration).__name__)} is not for programs of type `{cx.unit.kind.decorator}`"
        )
        cx.fail(node, what, hint="it is for sk_msg and sk_skb")
    prefix = "msg" if cx.unit.kind.type is ProgramType.SK_MSG else "sk"
    helper = f"{prefix}_redirect_{'hash' if _hashed(declaration) else 'map'}"
    allowed(cx, node, helper)
    context, key, flags = _given(cx, node, declaration, "redirect")
    which = key_pointer(cx, key[0], declaration, key[1]) if _hashed(declaration) else cx.integer(*key).op
    return _answer(cx.call(helper, [context, map_op(cx, node, declaration), which, flags]))


def add(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`sockets.add(ctx, key, flags=0)`: 0 or -errno."""
    return _by_key(cx, node, declaration, "add", "sock_hash_update" if _hashed(declaration) else "sock_map_update")


def select(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`sockets.select(ctx, key, flags=0)`: 0 or -errno."""
    return _by_key(cx, node, declaration, "select", "sk_select_reuseport")


def _by_key(cx: Lowering, node: ast.Call, declaration: MapDeclaration, name: str, helper: str) -> Value:
    allowed(cx, node, helper)
    context, key, flags = _given(cx, node, declaration, name)
    place = key_pointer(cx, key[0], declaration, key[1])
    return _answer(cx.call(helper, [context, map_op(cx, node, declaration), place, flags]))


def assign(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`sockets.assign(ctx, key, flags=0)`: look the socket up, assign it, give it back; 0 or -errno."""
    allowed(cx, node, "sk_assign")
    context, key, flags = _given(cx, node, declaration, "assign")
    place = key_pointer(cx, key[0], declaration, key[1])
    found = cx.call("map_lookup_elem", [map_op(cx, node, declaration), place], Ptr("btf", nullable=True))

    def assigned() -> Value:
        socket = cx.builder.emit("guard", Ptr("btf"), [found], ("nonnull", 0, 0))
        answer = cx.call("sk_assign", [context, socket, flags])
        cx.call("sk_release", [socket], I64)
        return _answer(answer)

    there = cx.builder.emit("ne", BOOL, [found, cx.builder.const(0, Ptr("btf", nullable=True))])
    return cx.diamond(there, assigned, lambda: IntValue(cx.const(-ENOENT), -ENOENT, -ENOENT, True))


def get(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`sockets.get(key)`: the socket or None; it is the program's until `bpf.helpers.sk_release(sk)`."""
    allowed(cx, node, "sk_release")
    (key,) = arguments(cx, node, declaration, "get", ("key",), 1)
    place = key_pointer(cx, key[0], declaration, key[1])
    op = cx.call("map_lookup_elem", [map_op(cx, node, declaration), place], Ptr("btf", nullable=True))
    references.hold(cx, node, op, references.SOCKET_RELEASE)
    found = Ref(op, 0, SOCKET, references.SOCKET, writable=False)
    return MaybeRef(op, found, f"`{ast.unparse(node)}` gives None when there is no socket")


def delete(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`sockets.delete(key)`: 0 or -errno."""
    if cx.unit.kind.type not in DELETING and not cx.flow.dead:
        cx.fail(
            node,
            f"a program of type `{cx.unit.kind.decorator}` cannot take sockets out of a map",
            hint="closing a socket does, and so does user space: `del sockets[key]`",
        )
    (key,) = arguments(cx, node, declaration, "delete", ("key",), 1)
    place = key_pointer(cx, key[0], declaration, key[1])
    return _answer(cx.call("map_delete_elem", [map_op(cx, node, declaration), place]))


def holds_current(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`cgroups.holds_current(index)`: 1, 0 or -errno."""
    (index,) = arguments(cx, node, declaration, "holds_current", ("index",), 1)
    allowed(cx, node, "current_task_under_cgroup")
    return _answer(cx.call("current_task_under_cgroup", [map_op(cx, node, declaration), cx.integer(*index).op]))


def holds_packet(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`cgroups.holds_packet(ctx, index)`: 1, 0 or -errno."""
    context, index = arguments(cx, node, declaration, "holds_packet", ("ctx", "index"), 2)
    allowed(cx, node, "skb_under_cgroup")
    if not isinstance(context[1], Context):
        cx.fail(context[0], f"the first argument of `holds_packet` is the context, not {describe(context[1])}")
    return _answer(cx.call("skb_under_cgroup", [context[1].op, map_op(cx, node, declaration), cx.integer(*index).op]))
