"""Loading a user's file: as a module, to get at its programs, or as `__main__`, to run it."""

from __future__ import annotations

from pathlib import Path

from purebpf.errors import Error
from purebpf.packaging.python_files import definitions_of, no_python, programs_of

__all__ = ["definitions_of", "has_main_block", "programs_of"]


def has_main_block(path: Path) -> bool:
    """Whether the file has an `if __name__ == "__main__":` block."""
    import ast

    try:
        tree = ast.parse(path.read_bytes())  # bytes, so that a coding line is minded
    except SyntaxError as error:
        raise Error(f"{path}:{error.lineno}: {error.msg}" if error.lineno else no_python(path)) from None
    return any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in tree.body)
