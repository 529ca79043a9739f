"""A parameter that tells which way was taken is the condition that decided the way.

    before:  b0: br c, b1, b2; b1: jump b3(x); b2: jump b3(0); b3(p): br (ne p, 0), b4, b5; b4: q = guard p nonnull; load q
    after:   b0: br c, b1, b2; b1: jump b3;    b2: jump b3;    b3:    br c, b4, b5;         b4: load x

So `T | None` costs nothing where both the check and the test for None are seen. A value that only means something where c holds
is not carried along with a 0 for the other way either, when computing it on both ways does no harm.

Requires: ssa. Not across calls, where c wants more registers than the parameter did: they are few there.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import dominated, immediate_dominators
from purebpf.compiler.ir.ops import BOOL, CALLS, I32, Block, Function, Op, Ptr, Target
from purebpf.data import data

INVERSE = {"eq": "ne", "ne": "eq"}
CROSSED = {"ule": "ult", "ult": "ule", "sle": "slt", "slt": "sle"}  # not a <= b is b < a


Readers = dict[Op, list[Op]]


def name_choices(fn: Function) -> None:
    while _round(fn):
        pass


def _round(fn: Function) -> bool:
    edges = fn.predecessors()
    idom = immediate_dominators(fn)
    readers: Readers = {}
    for op in fn.ops():
        for operand in set(op.operands()):
            readers.setdefault(operand, []).append(op)
    changed = False
    for block in fn.blocks[1:]:
        if not block.params or len(edges.get(block, ())) < 2 or block not in idom:
            continue
        decider = idom[block]
        last = decider.terminator
        if last is None or last.kind != "br" or last.args[0].is_const or last.targets[0].block is last.targets[1].block:
            continue
        sides = [_side(decider, source, target, edges, idom) for source, target in edges[block]]
        if None in sides:
            continue
        for i, param in enumerate(block.params):
            choice = _choice(param, i, list(zip(sides, edges[block], strict=True)), last.args[0])
            if choice is not None and _apply(block, choice, idom, readers):
                changed = True
            elif _carry_none(fn, block, i, sides, edges, idom, readers):
                return True  # ops have moved: start over with a fresh look
    return changed


def _side(
    decider: Block, source: Block, target: Target, edges: dict[Block, list[tuple[Block, Target]]], idom: dict[Block, Block]
) -> int | None:
    """0 when the edge lies behind the first way out of the decider, 1 for the second, None when it cannot be told."""
    for i, way in enumerate(decider.ops[-1].targets):
        if way is target or (len(edges[way.block]) == 1 and dominated(idom, source, way.block)):
            return i
    return None


@data(frozen=False)
class _Choice:
    """`param` is not 0 exactly where `condition` is `holds`; it is `value` there."""

    param: Op
    condition: Op
    holds: bool
    value: Op


def _choice(param: Op, i: int, edges: list[tuple[int | None, tuple[Block, Target]]], condition: Op) -> _Choice | None:
    pointer = isinstance(param.type, Ptr)
    if not pointer and param.type != BOOL:
        return None
    given = [(side, target.args[i]) for side, (_, target) in edges]
    nothing = {side for side, arg in given if arg.is_const and arg.value == 0}
    something = [(side, arg) for side, arg in given if not (arg.is_const and arg.value == 0)]
    if len(nothing) != 1 or len(something) != 1 or something[0][0] in nothing:
        return None
    side, value = something[0]
    sure = isinstance(value.type, Ptr) and not value.type.nullable if pointer else value.is_const
    return _Choice(param, condition, side == 0, value) if sure else None


def _apply(block: Block, choice: _Choice, idom: dict[Block, Block], readers: Readers) -> bool:
    """Replace the tests of the parameter by the condition, and what the tests prove by the value."""
    tests: list[Op] = []
    guards: list[Op] = []
    for op in readers.get(choice.param, ()):
        if _tests(op, choice.param, readers):
            tests.append(op)
        elif op.kind == "guard" and op.imm[0] == "nonnull":
            guards.append(op)
        else:
            return False
    if not tests or (_wide(choice) and _call_before(block, {op.block for op in tests if op.block is not None})):
        return False
    if guards and not _movable(choice.value, block, idom):
        return False
    for op in tests:
        condition = choice.condition
        if choice.holds != (op.kind != "eq"):
            condition = _opposite(condition, op)
            _insert(condition, op)
        if op.kind == "br":
            op.args = [condition]
        else:
            for branch in readers.get(op, ()):
                branch.args = [condition]
            assert op.block is not None
            op.block.ops.remove(op)
    for op in guards:
        _become(op, choice.value, block, idom)
    readers.pop(choice.param, None)
    return True


def _tests(op: Op, param: Op, readers: Readers) -> bool:
    """Whether this asks if the parameter is 0, to branch on it, and does nothing else with it."""
    if op.kind == "br":
        return op.args[0] is param and not any(param in target.args for target in op.targets)
    if op.kind not in ("eq", "ne") or not op.args[1].is_const or op.args[1].value != 0:
        return False
    return all(
        user.kind == "br" and user.args[0] is op and not any(op in target.args for target in user.targets)
        for user in readers.get(op, ())
    )


def _wide(choice: _Choice) -> bool:
    """Whether the condition and the value together want more registers than the parameter."""
    value = choice.value
    while value.kind in ("guard", "add"):
        value = value.args[0]
    pointer = isinstance(value.type, Ptr) and value.kind != "alloca"
    return sum(not arg.is_const for arg in choice.condition.args) + pointer > 1


def _call_before(block: Block, wanted: set[Block]) -> bool:
    """Whether something is called on a way from the block's start to one of these."""
    seen: set[Block] = set()
    work = [block]
    while work:
        here = work.pop()
        if here in seen:
            continue
        seen.add(here)
        if any(op.kind in CALLS for op in here.ops):
            return True
        if here not in wanted:
            work += here.successors
    return False


def _opposite(condition: Op, at: Op) -> Op:
    if condition.kind in INVERSE:
        return Op(INVERSE[condition.kind], BOOL, list(condition.args), (), at.loc, block=at.block)
    if condition.kind in CROSSED:
        return Op(CROSSED[condition.kind], BOOL, condition.args[::-1], (), at.loc, block=at.block)
    zero = Op("const", BOOL, [], (0,), None, block=at.block)
    _insert(zero, at)
    return Op("eq", BOOL, [condition, zero], (), at.loc, block=at.block)


def _insert(op: Op, before: Op) -> None:
    assert before.block is not None
    ops = before.block.ops
    ops.insert(next(i for i, other in enumerate(ops) if other is before), op)


def _movable(value: Op, block: Block, idom: dict[Block, Block]) -> bool:
    """Whether the value can be had behind `block`: it is there, or a moved or guarded pointer that is."""
    while not (value.block is not None and dominated(idom, block, value.block)):
        if value.kind == "guard" and value.imm[0] == "mem":
            return False
        if value.kind not in ("guard", "add") or (value.kind == "add" and not value.args[1].is_const):
            return False
        value = value.args[0]
    return True


def _become(op: Op, value: Op, block: Block, idom: dict[Block, Block]) -> None:
    """Turn the guard into the value, made again here where it was made on one way only."""
    if value.block is not None and dominated(idom, block, value.block):
        op.kind, op.args, op.imm = "add", [value, _zero(op)], ()
        return
    first, *rest = value.args
    if not (first.block is not None and dominated(idom, block, first.block)):
        fresh = Op("guard", value.type, [first], ("nonnull", 0, 0), op.loc, block=op.block)
        _insert(fresh, op)
        _become(fresh, first, block, idom)
        first = fresh
    op.kind, op.type, op.args, op.imm = value.kind, value.type, [first, *rest], value.imm


def _zero(op: Op) -> Op:
    zero = Op("const", I32, [], (0,), None, block=op.block)
    _insert(zero, op)
    return zero


def _carry_none(
    fn: Function,
    block: Block,
    i: int,
    sides: list[int | None],
    edges: dict[Block, list[tuple[Block, Target]]],
    idom: dict[Block, Block],
    readers: Readers,
) -> bool:
    """A value that is 0 on one way and read only where the condition says that the other was taken: compute it before."""
    param, decider = block.params[i], idom[block]
    if isinstance(param.type, Ptr) or len(sides) != 2 or not readers.get(param):
        return False
    last = decider.ops[-1]
    given = [(side, source, target.args[i]) for side, (source, target) in zip(sides, edges[block], strict=True)]
    something = [(side, source, arg) for side, source, arg in given if not (arg.is_const and arg.value == 0)]
    if len(something) != 1:
        return False
    side, source, value = something[0]
    if value.is_const or value.block is not source or source is decider or len(edges[source]) != 1:
        return False
    if len(source.ops) > 3 or not all(_harmless(op) for op in source.ops[:-1]):
        return False
    wanted = _where(fn, last.args[0], side == 0, edges)
    if not all(op.block is not None and any(dominated(idom, op.block, behind) for behind in wanted) for op in readers[param]):
        return False
    for op in source.ops[:-1]:
        op.block = decider
    decider.ops[-1:] = [*source.ops[:-1], last]
    del source.ops[:-1]
    fn.substitute({param: value})
    return True


def _harmless(op: Op) -> bool:
    """Can be done on both ways: reading this call's own stack memory, which the call before has filled, and pure ops."""
    return op.pure or (op.kind == "load" and op.args[0].kind == "alloca")


def _where(fn: Function, condition: Op, holds: bool, edges: dict[Block, list[tuple[Block, Target]]]) -> list[Block]:
    """Blocks that one only comes to where a branch found the condition so."""
    found = []
    for block in fn.blocks:
        last = block.terminator
        if last is not None and last.kind == "br" and last.args[0] is condition:
            way = last.targets[0 if holds else 1].block
            if len(edges.get(way, ())) == 1:
                found.append(way)
    return found
