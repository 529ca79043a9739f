"""How far a variable gets that a loop moves by constants.

`offset += 4` in a loop of two trips adds no more than 8. A loop of a known number of trips is one the kernel's verifier walks
through, so it knows these bounds as well.
"""

from __future__ import annotations

from purebpf.compiler.frontend.bounds import verifier_range
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.values import S64_HIGH, IntValue
from purebpf.compiler.ir.ops import Function, Op

Range = tuple[int, int]


def reached(fn: Function, name: str, held: IntValue, before: IntValue, ends: list[Flow], trips: int) -> Range | None:
    """The range of a variable at the loop's head, whose value there is `held` and was `before` in front of the loop, when every
    way back moves it by constants; else None."""
    low, high = verifier_range(before.op)
    if before.low < 0 or low < before.low or high > before.high:
        return None
    moves: Range = (0, 0)
    for flow in ends:
        value = flow.names.get(name)
        move = _distance(fn, value.op, origin(held.op), 0) if isinstance(value, IntValue) else None
        if move is None:
            return None
        moves = min(moves[0], move[0]), max(moves[1], move[1])
    found = before.low + moves[0] * trips, before.high + moves[1] * trips
    return found if found[0] >= 0 and found[1] <= S64_HIGH else None


def steady(fn: Function, name: str, held: IntValue, ends: list[Flow]) -> bool:
    """Whether every way back moves a variable by the same number, or none moves it."""
    moves = set()
    for flow in ends:
        value = flow.names.get(name)
        moves.add(_distance(fn, value.op, origin(held.op), 0) if isinstance(value, IntValue) else None)
    return all(move is not None and move[0] == move[1] for move in moves) and len(moves) <= 1


def origin(op: Op) -> Op:
    while op.kind == "guard":
        op = op.args[0]
    return op


def _distance(fn: Function, op: Op, start: Op, depth: int) -> Range | None:
    """How far `op` is from `start`, at least and at most."""
    op = origin(op)
    if op is start:
        return 0, 0
    if depth > 8:
        return None
    if op.kind == "add" and op.args[1].is_const:
        inner = _distance(fn, op.args[0], start, depth + 1)
        step = op.args[1].value
        return None if inner is None else (inner[0] + step, inner[1] + step)
    if op.kind != "param" or op.block is None or op not in op.block.params:
        return None
    place = op.block.params.index(op)
    found: Range | None = None
    for block in fn.blocks:
        last = block.terminator
        for target in last.targets if last is not None else ():
            if target.block is op.block:
                inner = _distance(fn, target.args[place], start, depth + 1)
                if inner is None:
                    return None
                found = inner if found is None else (min(found[0], inner[0]), max(found[1], inner[1]))
    return found
