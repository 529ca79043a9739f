"""What a branch has decided is known behind it.

    before:  br c, b1, b2;  b1: br c, b3, b4                              after:  b1: jump b3
    before:  br (p + 34 <= end), b1, b2;  b1: br (p + 14 <= end), b3, b4   after:  b1: jump b3

Requires: ssa. A packet check is dropped only behind one that reaches at least as far from the same pointer, or at a distance
from it that is a known number on every trip of a loop (`passes/counters.py`).
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import dominator_children
from purebpf.compiler.ir.ops import BOOL, Block, Function, Op, Ptr
from purebpf.compiler.passes.counters import Counters
from purebpf.data import data, made

OPPOSITE = {"eq": "ne", "ne": "eq"}


@data(frozen=False)
class Facts:
    """Conditions decided on the way here, and how far each packet pointer is known to reach."""

    conditions: dict[tuple[str, Op, Op], int] = made(dict)
    reach: dict[tuple[Op, Op], int] = made(dict)

    def copy(self) -> Facts:
        return Facts(dict(self.conditions), dict(self.reach))


def propagate_facts(fn: Function) -> None:
    children = dominator_children(fn)
    edges = fn.predecessors()
    constants: dict[int, Op] = {op.value: op for op in fn.entry.ops if op.is_const and op.type == BOOL}

    def constant(value: int) -> Op:
        if value not in constants:
            constants[value] = Op("const", BOOL, [], (value,), None, block=fn.entry)
            fn.entry.ops.insert(0, constants[value])
        return constants[value]

    counters = Counters(fn)
    work: list[tuple[Block, Facts]] = [(fn.entry, Facts())]
    while work:
        block, facts = work.pop()
        if len(edges[block]) == 1:
            source, target = edges[block][0]
            last = source.ops[-1]
            if last.kind == "br" and last.targets[0].block is not last.targets[1].block:
                _learn(facts, last.args[0], target is last.targets[0])
        last_op = block.terminator
        if last_op is not None and last_op.kind == "br":
            decided = _decided(facts, last_op.args[0], counters)
            if decided is not None:
                last_op.args = [constant(decided)]
        work += [(child, facts.copy()) for child in children[block]]


def packet_check(op: Op) -> tuple[tuple[Op, Op], int] | None:
    """`base + n <= packet_end` as ((base, end), n)."""
    if op.kind != "ule" or not isinstance(op.args[1].type, Ptr) or op.args[1].type.kind != "packet_end":
        return None
    limit, end = op.args
    if limit.kind == "add" and limit.args[1].is_const:
        return (limit.args[0], end), limit.args[1].value
    return (limit, end), 0


def _learn(facts: Facts, condition: Op, holds: bool) -> None:
    check = packet_check(condition)
    if check is not None and holds:
        key, reach = check
        facts.reach[key] = max(reach, facts.reach.get(key, 0))
    if len(condition.args) == 2:
        a, b = condition.args
        facts.conditions[condition.kind, a, b] = int(holds)
        if condition.kind in OPPOSITE:
            facts.conditions[OPPOSITE[condition.kind], a, b] = int(not holds)
    else:
        facts.conditions["value", condition, condition] = int(holds)


def _decided(facts: Facts, condition: Op, counters: Counters) -> int | None:
    check = packet_check(condition)
    if check is not None:
        (start, end), far = check
        if facts.reach.get((start, end), -1) >= far or _counted(facts, start, end, far, counters):
            return 1
    if len(condition.args) == 2:
        return facts.conditions.get((condition.kind, condition.args[0], condition.args[1]))
    return facts.conditions.get(("value", condition, condition))


def _counted(facts: Facts, start: Op, end: Op, far: int, counters: Counters) -> bool:
    """Whether `start` is a pointer that has been checked plus a number that the verifier knows on every trip."""
    if start.kind != "add" or start.args[1].is_const:
        return False
    base = start.args[0]
    while base.kind == "guard":
        base = base.args[0]
    reach = facts.reach.get((base, end), -1)
    if reach < far:
        return False
    largest = counters.largest(start.args[1])
    return largest is not None and largest + far <= reach
