"""What the verifier goes through when it walks a loop: whether the ways through one trip multiply with every trip.

A check of the packet's length that fails leaves the verifier with a shorter packet, one that holds with a longer one. Where a
trip goes on after both, it follows every length through all trips that are left; where a failed check leaves the loop, it does
not. Measured on Linux 6.18: 100 trips of the first kind are 144,000 instructions, 300 are too many.

So it is with a test of a number that the trips before have changed: it has another range on each way to it.
"""

from __future__ import annotations

from purebpf.compiler.ir.ops import Block, Function, Op, Ptr, Target

Knowledge = frozenset[tuple[Op, int]]  # parameters of blocks that are known on a way
LIMIT = 2000  # steps of a search


def forks(header: Block, end: Block) -> bool:
    """Whether a trip, from the loop's header to its end, goes on when a check of the packet's length fails."""
    seen: set[Block] = set()
    work = [header]
    while work:
        block = work.pop()
        if block in seen or block is end:
            continue
        seen.add(block)
        last = block.terminator
        if last is None:
            continue
        check = last.kind == "br" and any(arg.type == Ptr("packet_end") for arg in last.args[0].args)
        if check and _leads(last.targets[1], end, header):
            return True
        work += [target.block for target in last.targets if target.block is not header]
    return False


def choices(fn: Function, header: Block, end: Block, moving: set[Op]) -> bool:
    """Whether a trip branches on what trips change, `moving` of the header's parameters, and goes on after both outcomes."""
    edges = fn.predecessors()
    body, work = {end}, [end]
    while work:
        block = work.pop()
        for source, _ in edges[block] if block is not header else ():
            if source not in body:
                body.add(source)
                work.append(source)
    known: dict[Op, bool] = {}

    def moves(op: Op) -> bool:
        if op not in known:
            known[op] = op in moving
            if not known[op] and op.kind == "param" and op.block in body and op.block is not header:
                place = op.block.params.index(op)
                known[op] = any(moves(target.args[place]) for _, target in edges[op.block])
            elif not known[op] and (op.pure or op.kind == "guard") and not isinstance(op.type, Ptr):
                known[op] = any(moves(arg) for arg in op.args)
        return known[op]

    for block in body:
        last = block.terminator
        inside = last is not None and last.kind == "br" and all(target.block in body for target in last.targets)
        if inside and last is not None and moves(last.args[0]):
            return True
    return False


def _leads(edge: Target, end: Block, header: Block) -> bool:
    """Whether an edge leads to the end of the trip. What was None stays None: it decides the test that follows a check."""
    seen: set[tuple[Block, Knowledge]] = set()
    work = [_taken(edge, frozenset())]
    while work:
        block, known = work.pop()
        if block is end or len(seen) > LIMIT:
            return True
        if (block, known) in seen or block is header:
            continue
        seen.add((block, known))
        last = block.terminator
        if last is None:
            continue
        targets = last.targets
        decided = _outcome(last.args[0], dict(known)) if last.kind == "br" else None
        if decided is not None:
            targets = [targets[0 if decided else 1]]
        work += [_taken(target, known) for target in targets]
    return False


def _taken(edge: Target, known: Knowledge) -> tuple[Block, Knowledge]:
    """Where an edge leads, and what is known there."""
    values = dict(known)
    passed = zip(edge.block.params, edge.args, strict=False)
    given = {param: arg.value if arg.is_const else values.get(arg) for param, arg in passed}
    return edge.block, frozenset((op, value) for op, value in (values | given).items() if value is not None)


def _outcome(condition: Op, known: dict[Op, int]) -> bool | None:
    """What a condition is, if that is known."""
    if condition.is_const:
        return bool(condition.value)
    if condition in known:
        return bool(known[condition])
    if condition.kind in ("eq", "ne") and condition.args[1].is_const and condition.args[0] in known:
        return (known[condition.args[0]] == condition.args[1].value) == (condition.kind == "eq")
    return None
