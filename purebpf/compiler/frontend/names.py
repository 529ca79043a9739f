"""Which names a piece of syntax binds."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def assigned_names(nodes: list[ast.stmt] | list[ast.expr]) -> set[str]:
    """The names that code binds; the variables of a generator expression are its own, and so are those of a function defined
    inside, but for the ones that it declares `nonlocal`."""
    names: set[str] = set()
    for node in nodes:
        own = {n for part in ast.walk(node) if isinstance(part, ast.comprehension) for n in ast.walk(part.target)}
        for inner in walk(node):
            if inner in own:
                continue
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store | ast.Del):
                names.add(inner.id)
            elif isinstance(inner, ast.MatchAs) and inner.name:
                names.add(inner.name)
            elif isinstance(inner, ast.FunctionDef):
                names |= {inner.name, *nonlocals(inner)}
    return names


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a statement or expression but those inside of functions that it defines."""
    work = [node]
    while work:
        here = work.pop()
        yield here
        if not isinstance(here, ast.FunctionDef | ast.Lambda):
            work += ast.iter_child_nodes(here)


def nonlocals(node: ast.AST) -> frozenset[str]:
    """The names that a function declares as those of the one around it."""
    return frozenset(name for inner in ast.walk(node) if isinstance(inner, ast.Nonlocal) for name in inner.names)
