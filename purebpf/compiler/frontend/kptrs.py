"""References in map values: `record.task.xchg(task)`, `record.task.get()` (kernel pointers, "kptrs": Linux 5.19, as here 6.4).

An exchange takes over the reference that the program gives, and gives it what was there. A look without taking is protected by
RCU.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import helpers, kernel, locks, memory, references, trust
from purebpf.compiler.frontend.kfunc_calls import release_of
from purebpf.compiler.frontend.values import NONE, KernelRef, Ref, Value, describe
from purebpf.compiler.ir.ops import I64, Op
from purebpf.lang.types import KernelType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def method(cx: Lowering, node: ast.Call, place: Ref, name: str) -> Value:
    """`place.xchg(new)` and `place.get()`."""
    if name not in ("xchg", "get") or node.keywords or len(node.args) != (name == "xchg"):
        cx.fail(node, "a place for a reference has `xchg(new)` and `get()`", hint="old = record.task.xchg(None)")
    locks._in_a_map(cx, node.func, place)
    return _exchange(cx, node, place) if name == "xchg" else _look(cx, node, place)


def check_method(cx: Lowering, node: ast.Attribute) -> None:
    """Refuse what a place for a reference does not have: the object's own fields, above all."""
    if node.attr not in ("xchg", "get"):
        shown = ast.unparse(node.value)
        hint = f"look at what is there: `v = {shown}.get()`, `if v is not None:`, and use `v.{node.attr}`"
        cx.fail(node, f"a place for a reference has no field `{node.attr}`", "it has `xchg(new)` and `get()`", hint)


def _struct(cx: Lowering, node: ast.AST, place: Ref) -> int:
    assert isinstance(place.type, KernelType)
    return kernel.named(cx, node, place.type.of)


def _exchange(cx: Lowering, node: ast.Call, place: Ref) -> Value:
    helpers.allowed(cx, node, "kptr_xchg")
    struct, value = _struct(cx, node, place), cx.expression(node.args[0])
    given = cx.const(0) if value == NONE else _given(cx, node.args[0], struct, value)
    at = memory.pointer(cx, place)
    assert isinstance(at, Op)
    op = cx.call("kptr_xchg", [at, given], I64)
    if value != NONE:
        references.give_up(cx, given, "the map has it now")
    result = kernel.pointing(cx, node, op, struct, True, True, "trusted")
    references.hold(cx, node, op, release_of(result.name))
    return result


def _given(cx: Lowering, at: ast.expr, struct: int, value: Value) -> Op:
    """A reference that the program holds, of the right type."""
    shown, name = ast.unparse(at), kernel.btf_of(cx, at).name(struct)
    cx.usable(at, value)
    if not isinstance(value, KernelRef) or value.type != kernel.btf_of(cx, at).resolve(struct):
        cx.fail(at, f"the kernel's `{name}` is wanted here, or None, not {describe(value)}")
    if not references.is_held(cx, value.op) or len(value.path) > 1:
        cx.fail(at, f"`{shown}` is no reference that this program holds", "only such a one can be kept in a map")
    if references.is_scoped(cx, value.op):
        cx.fail(at, f"`{shown}` is given back at the end of its `with`", hint="take the reference without one")
    if value.nullable:
        cx.fail(
            at, f"`{shown}` may be None here", hint=f"test it first: `if {shown} is not None:`; `xchg(None)` empties the place"
        )
    return value.op


def _look(cx: Lowering, node: ast.Call, place: Ref) -> Value:
    if not trust.in_rcu(cx):
        cx.fail(node, "RCU must be held to look at what a map keeps", "this program may sleep", "`with bpf.rcu():` around it")
    op = cx.builder.emit("load", I64, [place.op], (8, 0, place.offset))
    return kernel.pointing(cx, node, op, _struct(cx, node, place), True, True, "rcu")
