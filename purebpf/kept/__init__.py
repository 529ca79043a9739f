"""Compiled programs kept on disk, as Python keeps its own bytecode: a script that has run once starts without the compiler.

A program is kept beside the `.pyc` files of its source (in `__pycache__`, or where `sys.pycache_prefix` says): a file for each
function, with several programs in it where a factory made them of one function. It is taken again only if nothing has changed
that it was made of (`outside.py`), for an engine that takes the same (`Engine.identity`), by the same purebpf and Python.
Whatever cannot be compared or read is compiled as if nothing was kept. With `python -B`, or PYTHONDONTWRITEBYTECODE, nothing is
written; with PUREBPF_KEEP=no nothing is looked for either.
"""

from __future__ import annotations

import os
import sys

from purebpf.kept import files
from purebpf.kept.outside import Incomparable, made_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

    from purebpf.compiler.loadable import Loadable
    from purebpf.engine import Engine
    from purebpf.kept.outside import Text, Words
    from purebpf.lang.maps import MapDeclaration
    from purebpf.program import Program

IN_FILES = frozenset({"uprobe", "uretprobe", "usdt"})
MOST = 16  # programs of one function
FORMATS = ("/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events")


def find(program: Program, engine: Engine) -> Loadable | None:
    """The program as it was compiled before; None if there is none that is still right."""
    entry = files.read(program.function.__code__) if _wanted() and program.whole is None else None
    if entry is None:
        return None
    words, kept = entry
    try:
        seen, maps = _made_of(program, engine, words)
        for before, plain in kept:
            if before == seen:
                from purebpf.kept.plain import unpacked

                return unpacked(plain, program.kind.type, maps)
    except Incomparable:
        pass
    return None


def keep(program: Program, engine: Engine, made: Loadable) -> None:
    """Keep it for the next process; where that cannot be, do nothing."""
    if not _wanted() or sys.dont_write_bytecode or program.whole is not None:
        return
    from purebpf.compiler.frontend.source import text_of
    from purebpf.kept.plain import packed

    words: Words = {}
    try:
        seen, maps = _made_of(program, engine, words, text_of)
        plain = packed(made, maps)
    except Incomparable:
        return
    old_words, old = files.read(program.function.__code__) or ({}, [])
    others = [(other, kept) for other, kept in old if other != seen]
    files.write(program.function.__code__, (old_words | words, [(seen, plain), *others][:MOST]))


def forget(program: Program) -> None:
    """Drop what is kept of its function."""
    files.remove(program.function.__code__)


def _wanted() -> bool:
    return os.environ.get("PUREBPF_KEEP") != "no"


def _made_of(
    program: Program, engine: Engine, words: Words, learn: Callable[[FunctionType], Text] | None = None
) -> tuple[object, list[MapDeclaration]]:
    """Everything that the compiler was given, as plain data, and the maps in it."""
    outside, maps = made_of(program.function, words, learn)
    options = program.options and repr(program.options)
    format = _format(program.hook) if program.kind.decorator == "tracepoint" else _file(program)
    hook = program.kind.section, program.hook, _row(program), format
    return (engine.identity, hook, program.license, options, outside), maps


def _file(program: Program) -> str:
    """The file that a program's parameters are described in: which one it is, and which state of it."""
    code = program.function.__code__
    if program.kind.decorator not in IN_FILES or code.co_varnames[: code.co_argcount] == ("ctx",):
        return ""
    from purebpf.binaries.files import find_binary
    from purebpf.errors import Error

    try:
        path = find_binary(program.hook.rsplit(":", 2 if program.kind.decorator == "usdt" else 1)[0])
        found = os.stat(path)
    except (Error, OSError):
        raise Incomparable from None
    return f"{path} {found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _row(program: Program) -> str:
    """What an iterator's program emits."""
    if program.kind.row is None:
        return ""
    from purebpf.lang.types import type_of

    return repr(type_of(program.kind.row))


def _format(hook: str) -> str:
    """The format of a tracepoint, which may be another one after a restart; "" where it cannot be read."""
    for folder in FORMATS:
        try:
            with open(f"{folder}/{hook}/format") as file:
                return file.read()
        except (OSError, ValueError):
            continue
    return ""
