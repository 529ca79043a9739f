"""Loops whose end the verifier cannot see, and what lets them end for certain. In this order, as the target has it:

    may_goto (Linux 6.9)    the kernel counts the trips itself, and leaves the loop after some eight million
    iterator (Linux 6.4)    new i, 0, 2**23   header: next i; br it gave a number, trip, out   out: destroy i
    called (Linux 5.17)     the body is a function that the helper bpf_loop calls: see `called.py`

The first two leave the loop as it is written; the third cannot take everything out of the loop that a program may want. The
verifier goes through such a loop until a trip brings it nothing new.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.diagnostics import UnsupportedProgram
from purebpf.compiler.frontend import helpers, kfuncs
from purebpf.compiler.frontend.flow import Flow, as_int
from purebpf.compiler.frontend.lower import Lowering
from purebpf.compiler.frontend.values import IntValue, Value
from purebpf.compiler.ir.analysis import has_budget
from purebpf.compiler.ir.ops import BOOL, VOID, Block, Function, Op, Ptr, Target

if TYPE_CHECKING:
    from purebpf.compiler.frontend.loops import Parts

MOST_TRIPS = 1 << 23  # BPF_MAX_LOOPS
ITERATOR_BYTES = 8  # struct bpf_iter_num
WHAT = "a loop with an iterator"  # how the scope of one is called


class IteratorIsWanted(Exception):
    """A loop that the verifier cannot walk through, met while lowering it as one: it is lowered again, with an iterator."""


def means(cx: Lowering, loop: Parts) -> str:
    """What this loop ends by: "may_goto", "iterator", "call", or "" where there is nothing."""
    options = cx.unit.options
    if options.may_goto:
        return "may_goto"
    if options.iter_num and helpers.gpl_compatible(cx.unit.license) and not cx.held_lock:
        return "iterator"
    return "call" if options.bpf_loop and loop.callable else ""


class Numbers:
    """The iterator of numbers, which gives a loop its end."""

    def begin(self, cx: Lowering, node: ast.AST) -> Op:
        """Make an iterator in front of the loop."""
        place = cx.stack(ITERATOR_BYTES, 8, "iterator")
        kfuncs.call(cx, node, "bpf_iter_num_new", [place, cx.const(0), cx.const(MOST_TRIPS)])
        return place

    def next_trip(self, cx: Lowering, node: ast.AST, iterator: Op) -> Flow:
        """At the loop's header: go on where there is another number; gives the flow where there is none."""
        number = kfuncs.call(cx, node, "bpf_iter_num_next", [iterator], Ptr("mem", nullable=True))
        yes, no = cx.branch(cx.builder.emit("ne", BOOL, [number, cx.builder.const(0, Ptr("mem", nullable=True))]))
        cx.go(yes)
        return no

    def end(self, cx: Lowering, node: ast.AST, iterator: Op) -> None:
        """Give the iterator back, on every way out."""
        kfuncs.call(cx, node, "bpf_iter_num_destroy", [iterator], VOID)


NUMBERS = Numbers()


def put_may_goto(cx: Lowering, node: ast.stmt, spent: Flow, header: Block, inner: Block, no: Flow | None) -> Flow | None:
    """Put a `may_goto` at the head of a loop whose end the verifier cannot see: the kernel leaves it when its budget is
    used up."""
    if not cx.unit.options.may_goto:
        raise UnsupportedProgram(
            "the kernel cannot see that this loop ends",
            cx.place(node),
            f"such loops came with Linux {'6.4' if cx.unit.options.bpf_loop else '5.17'}",
            "give it a bound: `for i in range(1000):` with a `break`",
        )
    inner.ops, header.ops = header.ops, []
    for op in inner.ops:
        op.block = inner
    for flow in (no, *([cx.current] if cx.current else [])):
        if flow is not None and flow.block is header:
            flow.block = inner
    out = spent.fork(cx.builder.new_block())
    header.ops.append(Op("may_goto", VOID, [], (), cx.builder.loc, [Target(inner), Target(out.block)], header))
    return cx.join(no, out)


def moves(cx: Lowering, before: Value, held: Value) -> bool:
    """Whether the loop takes a variable beyond the range that it has in front of it."""
    start = as_int(cx.builder, before)
    return isinstance(held, IntValue) and start is not None and (held.low < start.low or held.high > start.high)


def count(cx: Lowering, fn: Function | None = None) -> int:
    """How many budgets a function has so far, those of the subprograms that it calls with them."""
    found = 0
    for block in (fn or cx.fn).blocks:
        found += has_budget(block)
        found += sum(count(cx, cx.unit.functions[op.imm[0]]) for op in block.ops if op.kind == "callsub")
    return found
