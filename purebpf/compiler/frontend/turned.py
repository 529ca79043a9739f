"""Loops whose body is a function that the kernel calls back: over the entries of a map (`each.py`), and where the verifier
cannot walk through the trips (`called.py`).

`break` and `return` stop the calls from inside: what the body wanted is noted in variables of the loop's own, and done behind
the call.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import callbacks, scopes
from purebpf.compiler.frontend.lower import Frame, Loop, Lowering
from purebpf.compiler.frontend.names import walk
from purebpf.compiler.frontend.values import NONE, Const, MaybeRef, Ref, TupleValue, Unset, Value, describe
from purebpf.compiler.ir.ops import Op, Type
from purebpf.data import replace

if TYPE_CHECKING:
    from purebpf.compiler.frontend.callbacks import End


class Turned:
    """One such loop; `what` names its kind in messages."""

    def __init__(self, cx: Lowering, node: ast.For | ast.While, what: str) -> None:
        self.cx, self.node, self.what = cx, node, what
        place = f"{node.lineno}:{node.col_offset}"
        self.broke, self.returned, self.result = f"?broke {place}", f"?returned {place}", f"?result {place}"
        self.gives: list[bool] = []  # for each `return` of the body, whether it gives something

    def lower(
        self,
        name: str,
        parameters: tuple[Type, ...],
        trip: Callable[[Lowering, list[Op]], list[End]],
        assigned: set[str],
        call: Callable[[callbacks.Body], object],
    ) -> None:
        """Make the body of `trip`, which lowers one trip and gives its usual ends; `call` has it called; then go on behind."""
        cx, node = self.cx, self.node
        outer = cx.frame
        returns = any(isinstance(inner, ast.Return) for statement in node.body for inner in walk(statement))
        flags: dict[str, Value] = {self.returned: Const(False), self.result: Const(0)} if returns else {}
        flags |= {self.broke: Const(False)} if node.orelse else {}
        for flag, value in flags.items():
            cx.flow.names[flag] = cx.held(value)

        def frame() -> Frame:
            return replace(outer, loops=[Loop()], returns=[])

        assigned = assigned | set(flags)
        known = {name for name in assigned if name in cx.flow.names}
        call(
            callbacks.Body(
                f"{cx.fn.name}_{name}",
                parameters,
                frame,
                lambda inner, ops: trip(inner, ops) + self._ways_out(inner),
                frozenset(known),
                frozenset(assigned - known),
            )
        )
        for unset in sorted(assigned - known):
            cx.flow.names[unset] = Unset(unset)
        self._go_on()

    def _ways_out(self, inner: Lowering) -> list[End]:
        """The ends of a body that breaks or returns."""
        ends: list[End] = []
        for flow in inner.frame.loops[0].breaks:
            inner.go(flow)
            flow.names |= {self.broke: inner.held(Const(True))} if self.node.orelse else {}
            ends.append((inner.flow, Const(True), self.node))
        self.gives = []
        for flow, result, at in inner.frame.returns:
            inner.go(flow)
            if isinstance(result, Ref | MaybeRef | TupleValue):
                inner.fail(at, f"{describe(result)} cannot be returned out of {self.what}", hint="note it, `break`, return it")
            self.gives.append(result != NONE)
            flow.names[self.returned] = inner.held(Const(True))
            flow.names[self.result] = inner.held(result if result != NONE else Const(0))
            ends.append((inner.flow, Const(True), at))
        return ends

    def _go_on(self) -> None:
        """Behind the call: return if the body did, go to the `else` unless it broke out."""
        cx, node = self.cx, self.node
        if self.returned in cx.flow.names:
            returned, result = (cx.integer(node, cx.flow.names.pop(name)) for name in (self.returned, self.result))
            there, on = cx.branch(returned.op)
            cx.go(there)
            scopes.leave_function(cx)
            cx.frame.returns.append((cx.flow, result if any(self.gives) else NONE, node))
            cx.go(on)
        if node.orelse:
            out, on = cx.branch(cx.integer(node, cx.flow.names.pop(self.broke)).op)
            cx.go(on)
            cx.last = on
            cx.statements(node.orelse)
            cx.go(cx.join(cx.current, out))
