"""Loops that the kernel turns: the body is called back by `bpf_loop` (Linux 5.17), where there is no `may_goto` (6.9).

    before:  while n > 1: n = n // 2; steps += 1
    after:   call loop 2**23, func, frame, 0      func: if not n > 1: ret 1; n = n // 2; steps += 1; ret 0

The loop's condition stops it from inside. `break` and `return` are noted in the frame and done behind the call, as in loops
over maps (`each.py`).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.values import Const, MaybeRef, Ref, TupleValue, Unset, describe
from purebpf.compiler.ir.ops import I32, Op
from purebpf.data import replace

if TYPE_CHECKING:
    from purebpf.compiler.frontend.callbacks import End
    from purebpf.compiler.frontend.loops import Parts
    from purebpf.compiler.frontend.lower import Frame, Lowering


class CallIsWanted(Exception):
    """A loop that the verifier cannot walk through, met while lowering it as one: it is lowered again, as a call."""


def run(cx: Lowering, node: ast.While | ast.For, loop: Parts) -> None:
    """Lower a loop as a function that is called back for each trip."""
    from purebpf.compiler.frontend import callbacks, each, helpers
    from purebpf.compiler.frontend.lower import Loop
    from purebpf.compiler.frontend.names import walk

    helpers.allowed(cx, node, "loop")
    outer = cx.frame
    returns = any(isinstance(inner, ast.Return) for statement in node.body for inner in walk(statement))
    broke, returned, result_name = names = each.flag_names(node)
    flags = {returned: Const(False), result_name: Const(0)} if returns else {}
    flags |= {broke: Const(False)} if node.orelse else {}
    for name, value in flags.items():
        cx.flow.names[name] = cx.held(value)
    results: list[bool] = []

    def frame() -> Frame:
        return replace(outer, loops=[Loop()], returns=[])

    def lower(inner: Lowering, ops: list[Op]) -> list[End]:
        del ops  # the kernel's own count
        yes, no = loop.test(inner)
        ends: list[End] = [(no, Const(True), node)] if no is not None else []
        around = inner.frame.loops[0]
        inner.go(yes)
        inner.last = yes
        if yes is not None:
            loop.body(inner)
        inner.go(inner.join(inner.current, *around.continues))
        if inner.current is not None:
            loop.step(inner)
            ends.append((inner.flow, Const(False), node))
        for flow in around.breaks:
            inner.go(flow)
            flow.names |= {broke: inner.held(Const(True))} if node.orelse else {}
            ends.append((inner.flow, Const(True), node))
        results.clear()
        for flow, result, at in inner.frame.returns:
            inner.go(flow)
            if isinstance(result, Ref | MaybeRef | TupleValue):
                inner.fail(
                    at,
                    f"{describe(result)} cannot be returned out of a loop whose end the kernel cannot see",
                    hint="note it, `break`, return it",
                )
            results.append(result != Const(None))
            flow.names[returned] = inner.held(Const(True))
            flow.names[result_name] = inner.held(result if result != Const(None) else Const(0))
            ends.append((inner.flow, Const(True), at))
        return ends

    assigned = loop.assigned | set(flags)
    known = {name for name in assigned if name in cx.flow.names}
    body = callbacks.Body(f"{cx.fn.name}_trip", (I32,), frame, lower, frozenset(known), frozenset(assigned - known))
    count = cx.const(each.MOST_TRIPS)
    callbacks.run(cx, node, body, lambda function, place: cx.call("loop", [count, function, place, cx.const(0)]))
    for name in sorted(assigned - known):
        cx.flow.names[name] = Unset(name)
    each.leave(cx, node, results, names)
