"""`with`: things that the kernel wants back, whichever way the program leaves the block.

A `Scope` is an open block with the code that ends it. `return`, `break` and `continue` end the scopes they leave, and so do the
ways that are never taken but that the verifier follows.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NoReturn

from purebpf.compiler.frontend import references
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.lower import Lowering, lowers
from purebpf.compiler.frontend.values import Bound, Const, Ref, Value
from purebpf.compiler.ir.ops import Op
from purebpf.data import data
from purebpf.lang.kfuncs import KfuncName
from purebpf.lang.locks import rcu as lang_rcu
from purebpf.lang.rings import RingBuf


@data
class Scope:
    """An open block: `leave` appends the code that ends it to the current flow. `frames` and `loops` tell how many functions
    and loops were open around it."""

    what: str
    leave: Callable[[], None]
    frames: int
    loops: int
    record: Op | None = None  # the one that a ring gave


def loops_open(cx: Lowering) -> int:
    return sum(len(frame.loops) for frame in cx.frames)


def enter(cx: Lowering, what: str, leave: Callable[[], None], record: Op | None = None) -> None:
    """Open a scope here."""
    cx.scopes.append(Scope(what, leave, len(cx.frames), loops_open(cx), record))


def close(cx: Lowering) -> None:
    """The end of the innermost scope's block, if control comes there."""
    scope = cx.scopes.pop()
    if cx.current is not None:
        scope.leave()


def leave(cx: Lowering, which: Callable[[Scope], bool] = lambda scope: True) -> None:
    """End the scopes that control leaves here, the innermost first; elsewhere they stay open."""
    kept = cx.scopes
    for at in range(len(kept) - 1, -1, -1):
        if which(kept[at]):
            cx.scopes = kept[:at]
            kept[at].leave()
    cx.scopes = kept


def leave_function(cx: Lowering) -> None:
    """Before a `return`."""
    depth = len(cx.frames)
    leave(cx, lambda scope: scope.frames >= depth)


def leave_loop(cx: Lowering) -> None:
    """Before a `break` or `continue`."""
    depth = loops_open(cx)
    leave(cx, lambda scope: scope.loops >= depth)


def never(cx: Lowering, flow: Flow) -> None:
    """A way that is never taken, but that the verifier follows: it ends the program."""
    if cx.scopes or references.held(flow):
        here = cx.current
        cx.go(flow)
        leave(cx)
        references.release_all(cx)
        flow = cx.flow
        cx.go(here)
    cx.never.append(flow)


@lowers(ast.With)
def with_(cx: Lowering, node: ast.With) -> None:
    """`with a as x, b as y:` is two blocks, one in the other."""
    for item in node.items:
        _open(cx, item)
    cx.statements(node.body)
    for _ in node.items:
        close(cx)


def _open(cx: Lowering, item: ast.withitem) -> None:
    from purebpf.compiler.frontend import dynptrs, kfunc_scopes, locks, rcu, rings

    value = item.context_expr
    if isinstance(value, ast.Call):
        target = cx.expression(value.func)
        if isinstance(target, Const) and target.value is lang_rcu:
            return rcu.hold(cx, value, item.optional_vars)
        if isinstance(target, Const) and isinstance(target.value, KfuncName):
            return kfunc_scopes.hold(cx, value, target.value.name, item.optional_vars)
        ring = _ring(target.receiver) if isinstance(target, Bound) else None
        if ring is not None and isinstance(target, Bound) and target.name in ("reserve", "reserve_bytes"):
            opens = rings.reserve if target.name == "reserve" else dynptrs.reserve
            return opens(cx, value, ring, item.optional_vars)
    else:
        place = cx.expression(value)
        if isinstance(place, Ref) and locks.is_lock(place):
            return locks.hold(cx, value, place, item.optional_vars)
        cx.usable(value, place)
    _refuse(cx, value)


def _ring(value: Value) -> RingBuf[object] | None:
    return value.value if isinstance(value, Const) and isinstance(value.value, RingBuf) else None


def _refuse(cx: Lowering, node: ast.expr) -> NoReturn:
    cx.fail(
        node,
        "this `with` has no meaning in a program",
        hint="there are `with ring.reserve() as record:`, `with record.lock:`, `with bpf.rcu():` "
        "and `with bpf.kfuncs.…(...) as x:`",
    )
