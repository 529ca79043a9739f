"""Which names a piece of syntax binds."""

from __future__ import annotations

import ast


def assigned_names(nodes: list[ast.stmt] | list[ast.expr]) -> set[str]:
    """The names that code binds; the variables of a generator expression are its own."""
    names: set[str] = set()
    for node in nodes:
        own = {n for part in ast.walk(node) if isinstance(part, ast.comprehension) for n in ast.walk(part.target)}
        for inner in ast.walk(node):
            if inner in own:
                continue
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store | ast.Del):
                names.add(inner.id)
            elif isinstance(inner, ast.MatchAs) and inner.name:
                names.add(inner.name)
    return names
