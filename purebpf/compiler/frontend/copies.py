"""Changes that are lost: `v += 1` where `v` is a copy of a map's integer, or of a field, and nobody reads it again.

An integer is a value: a name that was bound to one is not the place it came from.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from purebpf.compiler.frontend.arithmetic import SYMBOLS
from purebpf.compiler.frontend.values import Const
from purebpf.lang.maps import MapDeclaration

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def warn_of_lost_update(cx: Lowering, node: ast.AugAssign) -> None:
    """At `name op= ...`: warn when the name holds a copy and its new value is never used."""
    if not isinstance(node.target, ast.Name):
        return
    body, name = cx.frame.source.node, node.target.id
    source = _only_source(body, name)
    place = _place(cx, source) if source is not None else None
    if source is None or place is None or _read_again(body, source, node, name):
        return
    change = f"{place} {SYMBOLS[type(node.op)]}= {ast.unparse(node.value)}"
    cx.warn(
        node,
        f"`{ast.unparse(node)}` changes `{name}`, which nobody reads again",
        f"`{name}` is a copy of what it was assigned",
        f"`{change}` changes the place itself",
    )


def _only_source(function: ast.AST, name: str) -> ast.expr | None:
    """What the name is assigned, where that happens in one place."""
    found = _sources(function).get(name, [])
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=8)
def _sources(function: ast.AST) -> dict[str, list[ast.expr]]:
    """What each name of a function is assigned."""
    found: dict[str, list[ast.expr]] = {}
    for inner in ast.walk(function):
        if isinstance(inner, ast.Assign | ast.NamedExpr | ast.AnnAssign) and inner.value is not None:
            targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
            for name in {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}:
                found.setdefault(name, []).append(inner.value)
    return found


def _place(cx: Lowering, source: ast.expr) -> str | None:
    """The place that was read: `m[k]` for `m.get(k)` and `m[k]`, `p.x` for `p.x`; None for anything else."""
    match source:
        case ast.Call(func=ast.Attribute(value=ast.Name() as owner, attr="get"), args=[key, *_]) if _is_map(cx, owner):
            return f"{owner.id}[{ast.unparse(key)}]"
        case ast.Subscript(value=ast.Name() as owner) as item if _is_map(cx, owner):
            return ast.unparse(item)
        case ast.Attribute(value=ast.Name(id=owner_name)) as field if owner_name in cx.frame.local:
            return ast.unparse(field)
    return None


def _is_map(cx: Lowering, node: ast.Name) -> bool:
    if node.id in cx.frame.local:
        return False
    value = cx.expression(node)
    return isinstance(value, Const) and isinstance(value.value, MapDeclaration)


def _read_again(function: ast.AST, source: ast.expr, change: ast.AugAssign, name: str) -> bool:
    """Whether the name is read behind the change, or in a loop around it that does not assign it anew."""
    own = set(ast.walk(change))
    end = (change.end_lineno or 0, change.end_col_offset or 0)
    uses = {n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name and n not in own}
    uses = {n for n in uses if isinstance(n.ctx, ast.Load) or (n.lineno, n.col_offset) >= end}
    loops = (set(ast.walk(n)) for n in ast.walk(function) if isinstance(n, ast.For | ast.While))
    repeated = {n for inside in loops if change in inside and source not in inside for n in inside}
    return any(n in repeated or (n.lineno, n.col_offset) >= end for n in uses)
