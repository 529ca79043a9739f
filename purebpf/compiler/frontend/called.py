"""Loops that the kernel turns: the body is called back by `bpf_loop` (Linux 5.17), where there is no `may_goto` (6.9).

    before:  while n > 1: n = n // 2; steps += 1
    after:   call loop 2**23, func, frame, 0      func: if not n > 1: ret 1; n = n // 2; steps += 1; ret 0

The loop's condition stops it from inside; `turned.py` does the rest.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.diagnostics import ProgramError, UnsupportedProgram
from purebpf.compiler.frontend.values import Const
from purebpf.compiler.ir.ops import I32, Op

if TYPE_CHECKING:
    from purebpf.compiler.frontend.callbacks import End
    from purebpf.compiler.frontend.loops import Parts
    from purebpf.compiler.frontend.lower import Lowering


class CallIsWanted(Exception):
    """A loop that the verifier cannot walk through, met while lowering it as one: it is lowered again, as a call."""


def run(cx: Lowering, node: ast.While | ast.For, loop: Parts) -> None:
    """Lower a loop as a function that is called back for each trip."""
    from purebpf.compiler.frontend import callbacks, each, helpers, turned

    helpers.allowed(cx, node, "loop")

    def trip(inner: Lowering, ops: list[Op]) -> list[End]:
        del ops  # the kernel's own count
        yes, no = loop.test(inner)
        ends: list[End] = [(no, Const(True), node)] if no is not None else []
        inner.go(yes)
        inner.last = yes
        if yes is not None:
            loop.body(inner)
        inner.go(inner.join(inner.current, *inner.frame.loops[0].continues))
        if inner.current is not None:
            loop.step(inner)
            ends.append((inner.flow, Const(False), node))
        return ends

    def call(body: callbacks.Body) -> None:
        count = cx.const(each.MOST_TRIPS)
        callbacks.run(cx, node, body, lambda function, place: cx.call("loop", [count, function, place, cx.const(0)]))

    lowered = turned.Turned(cx, node, "a loop whose end the kernel cannot see")
    try:
        lowered.lower("trip", (I32,), trip, loop.assigned, call)
    except UnsupportedProgram:
        raise
    except ProgramError as error:  # as a loop it was fine
        label = f"{error.label}; here the kernel calls the loop's body back: loops without that came with Linux 6.4".lstrip(
            "; "
        )
        raise UnsupportedProgram(error.message, error.place, label, error.hint) from None
