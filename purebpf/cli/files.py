"""Loading a user's file: as a module, to get at its programs, or as `__main__`, to run it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from purebpf.errors import Error
from purebpf.program import Program


def programs_of(path: Path) -> dict[str, Program]:
    """The programs that a file defines, by the name they have there; its main block does not run."""
    name = f"purebpf_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Error(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise Error(f"{path}:{error.lineno}: {error.msg}") from None
    finally:
        sys.path.pop(0)
    found = {name: value for name, value in vars(module).items() if isinstance(value, Program)}
    if not found:
        raise Error(f"{path} defines no program: decorate a function, with @bpf.xdp for example")
    return found


def has_main_block(path: Path) -> bool:
    """Whether the file has an `if __name__ == "__main__":` block."""
    import ast

    try:
        tree = ast.parse(path.read_bytes())  # bytes, so that a coding line is minded
    except SyntaxError as error:
        raise Error(f"{path}:{error.lineno}: {error.msg}") from None
    return any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in tree.body)
