"""One packet check where a ladder of them has one way out.

    before:  br (p + 14 <= end), b1, out;  b1: ...; br (p + 34 <= end), b2, out
    after:   br (p + 34 <= end), b1, out;  b1: ...; jump b2

A packet too short for the second check then leaves at the first. That makes no difference when whatever comes between
only looks, and leaves to the same place with the same values or comes to the second check.

Requires: ssa; edges that go straight to where they lead. A check is only ever replaced by one that reaches further.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import dominated, immediate_dominators
from purebpf.compiler.ir.ops import BOOL, I32, VOID, Block, Flag, Function, Op, Target
from purebpf.compiler.passes.facts import packet_check


def merge_checks(fn: Function) -> None:
    while _merge_one(fn):
        pass


def _merge_one(fn: Function) -> bool:
    checks = {block: found for block in fn.blocks if (found := _checking(block)) is not None}
    if len(checks) < 2:
        return False
    idom = immediate_dominators(fn)
    edges = fn.predecessors()
    for first, (key, near) in checks.items():
        inner = first.ops[-1].targets[0].block
        if len(edges[inner]) != 1:
            continue
        later = {b: far for b, (other, far) in checks.items() if key == other and far > near and dominated(idom, b, inner)}
        met = _met(first, inner, later, idom) if later else set()
        if met:
            least = min(later[block] for block in met)
            _widen(fn, first, [block for block in met if later[block] == least], least)
            return True
    return False


def _checking(block: Block) -> tuple[tuple[Op, Op], int] | None:
    """A block that ends with a packet check: (start and end, how far)."""
    last = block.terminator
    return packet_check(last.args[0]) if last is not None and last.kind == "br" else None


def _met(first: Block, inner: Block, later: dict[Block, int], idom: dict[Block, Block]) -> set[Block]:
    """The later checks one comes to first. None where one may also come elsewhere than to these and to where `first` leaves to,
    or where something is changed on the way."""
    out = first.ops[-1].targets[1]
    seen: set[Block] = set()
    met: set[Block] = set()
    work = [inner]
    while work:
        block = work.pop()
        if block in seen:
            continue
        seen.add(block)
        last = block.terminator
        if last is None or any(op.info.flags & Flag.WRITES for op in block.ops) or last.kind not in ("br", "jump"):
            return set()
        onward = last.targets
        if block in later:
            met.add(block)
            onward = onward[1:]
        for target in onward:
            if _same(target, out):
                continue
            if block in later or dominated(idom, block, target.block):
                return set()  # another way out, or a loop
            work.append(target.block)
    return met


def _same(a: Target, b: Target) -> bool:
    return a.block is b.block and len(a.args) == len(b.args) and all(_equal(x, y) for x, y in zip(a.args, b.args, strict=True))


def _equal(a: Op, b: Op) -> bool:
    return a is b or (a.is_const and b.is_const and a.value == b.value and a.type == b.type)


def _widen(fn: Function, first: Block, checks: list[Block], far: int) -> None:
    """Let the first check reach as far as these, which are then no question any more."""
    early = first.ops[-1]
    limit, end = early.args[0].args
    reach = Op("const", I32, [], (far,), None, block=fn.entry)
    fn.entry.ops.insert(0, reach)
    start = limit.args[0] if limit.kind == "add" and limit.args[1].is_const else limit
    further = Op("add", limit.type, [start, reach], (), early.loc, block=first)
    check = Op("ule", BOOL, [further, end], (), early.loc, block=first)
    first.ops[-1:] = [further, check, early]
    early.args = [check]
    for block in checks:
        late = block.ops[-1]
        block.ops[-1] = Op("jump", VOID, [], (), late.loc, [late.targets[0]], block)
