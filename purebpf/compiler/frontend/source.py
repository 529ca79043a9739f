"""From a function object to its syntax tree, wherever Python keeps the source.

Files and packages, notebooks and IPython (through `linecache`), `python -c` (from the interpreter's own
arguments), and the plain prompt from Python 3.13 on, which keeps what was typed.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
import sys
from types import CodeType, FunctionType
from typing import Any

from purebpf.compiler.diagnostics import Place, ProgramError, place_of
from purebpf.data import data

WORD = re.compile(r"[^\W\d]\w*")


@data(frozen=False)
class Source:
    """A function's syntax tree with the file's lines for messages."""

    file: str
    lines: list[str]
    node: ast.FunctionDef

    def place(self, node: ast.AST) -> Place:
        return place_of(node, self.file, self.lines)


_parsed: dict[str, tuple[int, ast.Module]] = {}


def source_of(function: FunctionType) -> Source:
    """The source of a function; raises ProgramError with what to do when there is none."""
    code = function.__code__
    lines = _lines(code, function.__globals__)
    if not lines:
        raise ProgramError(*_no_source(function.__name__, code.co_filename))
    text = "".join(lines)
    known = _parsed.get(code.co_filename)
    if known is None or known[0] != hash(text):
        try:
            tree = ast.parse(text, code.co_filename)
        except SyntaxError:
            raise ProgramError(
                f"the source of `{function.__name__}` in {code.co_filename} changed since it was run",
                None,
                hint="run the file again so that program and source agree",
            ) from None
        known = _parsed[code.co_filename] = (hash(text), tree)
    node = _find(known[1], code)
    if node is None:
        if function.__name__ == "<lambda>":
            raise ProgramError(
                "a lambda cannot be a kernel function", None, hint="write it as `def`, so that it has a name and lines"
            )
        raise ProgramError(
            f"`{function.__name__}` is not where Python says: {code.co_filename}:{code.co_firstlineno}",
            None,
            hint="the file changed after it was imported; run it again",
        )
    if isinstance(node, ast.AsyncFunctionDef):
        raise ProgramError(
            f"`{function.__name__}` is an `async` function, which the kernel does not have",
            place_of(node, code.co_filename, lines),
            hint="write a plain function: a program runs to its end at once",
        )
    return Source(code.co_filename, lines, node)


def text_of(function: FunctionType) -> tuple[int, int, tuple[str, ...]]:
    """When the file was changed whose text stands for the function (nanoseconds) and its size (bytes), and the words in the
    function's source without its decorators, which have done their work; zeros for what is in no file."""
    source = source_of(function)
    status = os.stat(source.file) if os.path.isfile(source.file) else None
    if status is None or linecache.cache[source.file][:2] != (status.st_size, status.st_mtime):
        return 0, 0, ()
    text = "".join(source.lines[source.node.lineno - 1 : source.node.end_lineno])
    return status.st_mtime_ns, status.st_size, tuple(dict.fromkeys(WORD.findall(text)))


def _lines(code: CodeType, names: dict[str, Any]) -> list[str]:
    """The lines of the file that a code object comes from; `names` are its module's, whose loader may know them (archives)."""
    name = code.co_filename
    if name == "<string>" or name == "-c":
        arguments = list(getattr(sys, "orig_argv", ()))
        for i, argument in enumerate(arguments):
            if argument == "-c" and i + 1 < len(arguments):
                return str(arguments[i + 1]).splitlines(keepends=True)
            if argument.startswith("-") and not argument.startswith("--") and argument.endswith("c") and i + 1 < len(arguments):
                return str(arguments[i + 1]).splitlines(keepends=True)
    linecache.checkcache(name)
    lines = linecache.getlines(name, names)
    if not lines:  # 3.13 and later: the prompt registers what was typed under its own name
        entry: Any = linecache.cache.get(name)
        if entry is not None and len(entry) == 4:
            lines = list(entry[2])
    if not lines:
        interactive: Any = getattr(linecache, "_getlines_from_code", None)
        lines = list(interactive(code)) if interactive else []
    return lines


def _no_source(name: str, file: str) -> tuple[str, None, str, str]:
    if file.startswith(("<stdin>", "<python-input")) and sys.version_info < (3, 13):
        return (
            f"Python {sys.version_info.major}.{sys.version_info.minor} keeps no source of what is typed at its prompt, so "
            f"`{name}` cannot be compiled",
            None,
            "",
            "put it in a file, use IPython or a notebook, or Python 3.13 and later",
        )
    return (
        f"the source of `{name}` ({file}) is not to be found, so it cannot be compiled",
        None,
        "",
        "define it in a file, a notebook cell, IPython or `python -c`, not through exec() of a string",
    )


def _find(tree: ast.Module, code: CodeType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The definition whose code object this is: by name and first line (that of the first decorator)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return None
