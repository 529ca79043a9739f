"""Records that a loop makes and keeps for its next trip.

A constructor inside a loop writes the same place of the stack on every trip. A name that still refers to the last trip's record
would see it overwritten, so on the way back it gets a copy of its own:

    best = Record()
    for i in range(8):
        found = Record(x=i)       # always the same place
        if i == wanted:
            best = found          # lives on: copied when the trip ends
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NoReturn

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.lower import Lowering
from purebpf.compiler.frontend.values import EITHER, MaybeRef, Ref, named
from purebpf.compiler.ir.ops import Op
from purebpf.data import replace


def keep_records(cx: Lowering, node: ast.AST, ends: list[Flow], names: Iterable[str], before: set[Op]) -> None:
    """At the ends of a trip, copy what `names` refer to if the trip made it; `before` is the memory that was there already."""
    if all(op in before for op in cx.fn.entry.ops if op.kind == "alloca"):
        return
    incoming = _incoming(cx)
    for name in names:
        held = [flow.names.get(name) for flow in ends]
        if not any(isinstance(v, Ref | MaybeRef) and not _sources(v.op, incoming) <= before for v in held):
            continue
        maybe = next((v for v in held if isinstance(v, MaybeRef)), None)
        if maybe is not None:
            _overwritten(cx, node, name, maybe.ref, "give the name a record before the loop instead of None")
        refs = [v for v in held if isinstance(v, Ref)]
        if (mixed := next((v for v in refs if v.region == EITHER), None)) is not None:
            _overwritten(cx, node, name, mixed, "put it into the map and look it up again")
        place = memory.temporary(cx, refs[0].type, name)
        for flow, value in zip(ends, held, strict=True):
            if isinstance(value, Ref) and value.region == "stack":
                here = cx.current
                cx.go(flow)
                memory.copy(cx, node, place, value)
                flow.names[name] = replace(value, op=place.op, offset=0)
                cx.go(here)


def _overwritten(cx: Lowering, node: ast.AST, name: str, ref: Ref, instead: str) -> NoReturn:
    cx.fail(
        node,
        f"`{name}` may refer to {named(ref.type)} that the next trip of this loop overwrites",
        "the record is made inside the loop",
        f"copy the fields that you need, or {instead}",
    )


def _incoming(cx: Lowering) -> dict[Op, list[Op]]:
    """What the parameters of blocks get from the edges that there are so far."""
    found: dict[Op, list[Op]] = {}
    for block in cx.fn.blocks:
        for target in block.ops[-1].targets if block.ops else ():
            for param, given in zip(target.block.params, target.args, strict=False):
                found.setdefault(param, []).append(given)
    return found


def _sources(op: Op, incoming: dict[Op, list[Op]]) -> set[Op]:
    """The variables on the stack that a pointer may point into."""
    seen: set[Op] = set()
    work = [op]
    while work:
        here = work.pop()
        if here in seen:
            continue
        seen.add(here)
        work += incoming.get(here, ())
        if here.kind in ("add", "guard"):
            work.append(here.args[0])
    return {source for source in seen if source.kind == "alloca"}
