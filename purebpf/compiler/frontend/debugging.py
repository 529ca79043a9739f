"""Statements that serve a debugger and mean nothing in the kernel: left out where a program is compiled to be run by Python."""

from __future__ import annotations

import ast

MODULES = frozenset({"pdb", "ipdb", "pudb", "debugpy", "pprint"})
FUNCTIONS = frozenset({"breakpoint", "print", "pprint"})


def serves(node: ast.stmt) -> bool:
    """`breakpoint()`, `print(...)`, `import pdb`, `pdb.set_trace()` and their like."""
    match node:
        case ast.Import(names=names):
            return all(alias.name.partition(".")[0] in MODULES for alias in names)
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name in FUNCTIONS
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner))):
            while isinstance(owner, ast.Attribute | ast.Call):
                owner = owner.value if isinstance(owner, ast.Attribute) else owner.func
            return isinstance(owner, ast.Name) and owner.id in MODULES
    return False
