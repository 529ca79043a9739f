"""Removal of what nobody reads: pure ops, loads, and stack memory that is only written.

    before:  a = alloca 8; store a, x; b = add y, z        after:  (nothing, when b is not read)

Requires: ssa. Loads from the context, map values and packets have no effect, so an unread one goes too.
"""

from __future__ import annotations

from purebpf.compiler.ir.ops import Flag, Function, Op


def remove_dead(fn: Function) -> None:
    live: set[Op] = set()
    work: list[Op] = []
    written_only = _write_only_memory(fn)

    def need(op: Op) -> None:
        if op not in live:
            live.add(op)
            work.append(op)

    for op in fn.ops():
        if op.info.flags & (Flag.WRITES | Flag.TERMINATOR) and not (op.kind == "store" and _root(op.args[0]) in written_only):
            need(op)
    while work:
        op = work.pop()
        for arg in op.args:
            need(arg)
        for target in op.targets:
            for arg in target.args:
                need(arg)
    for block in fn.blocks:
        block.ops = [op for op in block.ops if op in live]


def _root(op: Op) -> Op:
    while op.kind in ("add", "guard"):
        op = op.args[0]
    return op


def _write_only_memory(fn: Function) -> set[Op]:
    """Stack memory whose address goes nowhere but into stores."""
    candidates = {op for op in fn.entry.ops if op.kind == "alloca"}
    for op in fn.ops():
        addresses = list(op.operands())
        if op.kind == "store":
            addresses = [op.args[1]]
        elif op.kind in ("add", "guard"):
            continue
        for arg in addresses:
            candidates.discard(_root(arg))
    return candidates
