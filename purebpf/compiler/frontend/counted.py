"""How often a `while` loop runs at most, where that can be told from how it counts: `while i < 9 and ...: ...; i += 1`.

The verifier walks through such a loop. Of others it does not see that they end.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.flow import as_int
from purebpf.compiler.frontend.names import assigned_names
from purebpf.compiler.frontend.values import S64_HIGH, Const
from purebpf.lang.types import IntType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def most_trips(cx: Lowering, node: ast.While) -> int | None:
    """How often `while i < limit and ...:` runs at most, when the body counts `i` up by a constant on every trip; else None. A
    condition about something else that the body changes is one that the verifier would follow through all trips."""
    both = isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And)
    tests = node.test.values if both else [node.test]  # type: ignore[attr-defined]
    counted = [(test, trips) for test in tests if (trips := _trips_of(cx, node, test)) is not None]
    moving = assigned_names(node.body) - {name for test, _ in counted for name in _read(test)}
    if any(moving & _read(test) for test in tests):
        return None
    return min((trips for _, trips in counted), default=None)


def _read(node: ast.expr) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _trips_of(cx: Lowering, node: ast.While, test: ast.expr) -> int | None:
    """How often the loop runs at most as far as one of its conditions says."""
    match test:
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Lt() | ast.LtE() as op], comparators=[limit_node]) if (
            name in cx.flow.names
        ):
            pass
        case _:
            return None
    stores = [n for s in [node.test, *node.body] for n in ast.walk(s) if isinstance(n, ast.Name) and n.id == name]
    stores = [n for n in stores if isinstance(n.ctx, ast.Store)]
    places = [i for i, s in enumerate(node.body) if isinstance(s, ast.AugAssign) and s.target in stores]
    if len(stores) != 1 or not places:
        return None
    before, counts = node.body[: places[0]], node.body[places[0]]
    if not isinstance(counts.op, ast.Add) or not isinstance(counts.value, ast.Constant):  # type: ignore[attr-defined]
        return None
    if any(isinstance(n, ast.Continue) for s in before for n in ast.walk(s)):
        return None
    limit = _known(cx, limit_node)
    start, step = as_int(cx.builder, cx.flow.names[name]), counts.value.value  # type: ignore[attr-defined]
    if limit is None or start is None or not isinstance(step, int) or step < 1:
        return None
    kept = cx.frame.types.get(name)
    if limit + step > (kept.high if isinstance(kept, IntType) else S64_HIGH):  # it may jump over the limit and start over
        return None
    return max(0, -(-(limit + isinstance(op, ast.LtE) - start.low) // step))


def _known(cx: Lowering, node: ast.expr) -> int | None:
    """A limit that does not change: a constant, or a name that no program assigns."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name) and node.id not in cx.frame.local:
        value = cx.expression(node)
        return value.value if isinstance(value, Const) and isinstance(value.value, int) else None
    return None
