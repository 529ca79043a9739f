"""Spin locks and timers in map values: `with record.lock:`, `record.timer.start(f, ns)`, `record.timer.cancel()`.

While a lock is held the verifier allows no call at all, and no second lock. A timer's function is called later, without the
variables around it: it gets the entry's key and record.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.diagnostics import UnsupportedProgram
from purebpf.compiler.frontend import callbacks, each, helpers, memory, references, scopes
from purebpf.compiler.frontend.lower import Lowering
from purebpf.compiler.frontend.values import NONE, IntValue, Ref, Value, describe
from purebpf.compiler.ir.ops import I64, VOID, Function, Op, Ptr
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import KernelType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.callbacks import End

SPIN_LOCK, TIMER = "bpf_spin_lock", "bpf_timer"
CLOCK_MONOTONIC = 1
LOCK = "the lock "  # how the scope of a held lock is called


def is_lock(value: Value) -> bool:
    return isinstance(value, Ref) and isinstance(value.type, KernelType) and value.type.name == SPIN_LOCK


def hold(cx: Lowering, node: ast.expr, lock: Ref, target: ast.expr | None) -> None:
    """`with record.lock:`; the scope stays open for the caller to close."""
    shown = ast.unparse(node)
    if target is not None:
        cx.fail(target, f"`with {shown}:` gives nothing to name")
    _in_a_map(cx, node, lock)
    held = cx.held_lock
    if held:
        cx.fail(node, f"`{shown}` cannot be taken while {held} is held", "the kernel allows one lock at a time")
    helpers.allowed(cx, node, "spin_lock")
    if not cx.unit.options.may_goto and cx.fn.params[:1] and cx.fn.params[0].type == Ptr("map"):
        raise UnsupportedProgram(
            f"`{shown}` cannot be taken in a record that a loop over a map hands out, on this kernel",
            cx.place(node),
            "such locks came with Linux 6.3",
            "look the record up by its key: `m.get(key)`",
        )
    place = memory.pointer(cx, lock)
    assert isinstance(place, Op)
    cx.call("spin_lock", [place], VOID)
    scopes.enter(cx, f"{LOCK}`{shown}`", lambda: _give_back(cx, place), lock.op)


def _give_back(cx: Lowering, place: Op) -> None:
    cx.call("spin_unlock", [place], VOID)
    references.forget_borrowed(cx, "the lock is not held any more")


def _in_a_map(cx: Lowering, node: ast.AST, place: Ref) -> MapDeclaration:
    """The map that the lock or timer lies in."""
    if place.region != "map_value" or not isinstance(place.owner, MapDeclaration):
        where = "that lies in a map" if place.region != "map_value" else "of one certain map"
        cx.fail(node, f"this works on a record {where}", hint="look it up: `record = m.get(key)`")
    return place.owner


def timer_method(cx: Lowering, node: ast.Call, timer: Ref, name: str) -> Value:
    """`timer.start(f, nanoseconds)` and `timer.cancel()`: 0 or a negative errno; `cancel` gives 1 when it was waiting."""
    if not isinstance(timer.type, KernelType) or timer.type.name != TIMER or name not in ("start", "cancel"):
        cx.fail(node.func, f"{describe(timer)} has no method `{name}`", hint="with record.lock:" if is_lock(timer) else "")
    if len(node.args) != (2 if name == "start" else 0) or node.keywords:
        cx.fail(node, "`start` takes (callback, nanoseconds)" if name == "start" else "`cancel` takes no arguments")
    owner = _in_a_map(cx, node.func, timer)
    place = memory.pointer(cx, timer)
    assert isinstance(place, Op)
    if name == "cancel":
        helpers.allowed(cx, node, "timer_cancel")
        return _answer(cx.call("timer_cancel", [place]))
    helpers.allowed(cx, node, "timer_start")
    wait = cx.integer(node.args[1], cx.expression(node.args[1]), "nanoseconds")
    if wait.low < 0:
        cx.fail(node.args[1], "a timer cannot wait for negative nanoseconds", hint="cast to u64")
    name = _callback(cx, node, owner)
    cx.call("timer_init", [place, helpers.map_op(cx, node, owner), cx.const(CLOCK_MONOTONIC)])
    cx.call("timer_set_callback", [place, cx.builder.emit("func", Ptr("func"), [], (name,))])
    return _answer(cx.call("timer_start", [place, wait.op, cx.const(0)]))


def _answer(op: Op) -> IntValue:
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


def _callback(cx: Lowering, node: ast.Call, owner: MapDeclaration) -> str:
    """The name of the subprogram that a timer calls; made once for each function and map, which lets it name itself."""

    def start(inner: Lowering, ops: list[Op]) -> list[Value]:
        return list(each.entry_values(inner, node, owner, ops))

    body = each.function_body(cx, node, node.args[0], 2, each.ENTRY, start, later=True)
    key = (body.key, id(owner))
    if key in cx.unit.later:
        return cx.unit.later[key]
    name = cx.unit.later[key] = callbacks.free_name(cx, body.name)
    cx.unit.functions[name] = Function(name, [], I64)  # keeps the name
    lower: Callable[[Lowering, list[Op]], list[End]] = body.lower

    def without_result(inner: Lowering, ops: list[Op]) -> list[End]:
        ends = lower(inner, ops)
        for _, value, at in ends:
            if value != NONE:
                inner.fail(at, "a timer's function gives no result", hint="return nothing; start the timer again from inside")
        return ends

    here = cx.current
    callbacks.lower_later(cx, node, callbacks.Body(name, body.parameters, body.frame, without_result, later=True))
    cx.go(here)
    return name
