"""Errors of declarations at module level: our own words, with the author's file and line, instead of Python's TypeError."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps

from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])
    Place = tuple[str, int, dict[str, Any]]
OURS = ("purebpf", "typing", "functools")


class Misdeclared(Error):
    """A mistake in a declaration: `message` says what, `hint` what to do; the text shows the author's line as well."""

    def __init__(self, message: str, hint: str, text: str) -> None:
        super().__init__(text)
        self.message = message
        self.hint = hint


def here() -> Place:
    """The line outside of this package that is being run: its file, its number, the names around it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno, frame.f_globals


def error(message: str, hint: str = "", place: Place | None = None, span: tuple[int, int] = (0, 0)) -> Misdeclared:
    """An error that shows the line of `place`, by default the one that is being run, with a caret under these columns."""
    import linecache

    file, line, names = place or here()
    number = str(line)
    pad = " " * len(number)
    start, end = span
    lines = [f"error: {message}", f"{pad} --> {file}:{line}{f':{start + 1}' if end else ''}"]
    text = linecache.getline(file, line, names).rstrip()
    if text:
        lines += [f"{pad} |", f"{number} | {text}"]
        lines += [f"{pad} | {' ' * start}{'^' * (end - start)}"] if end else []
    if hint:
        lines.append(f"{pad} = help: {hint}")
    return Misdeclared(message, hint, "\n".join(lines))


def in_class(cls: type, name: str, message: str, hint: str = "") -> Misdeclared:
    """An error of a class that a decorator of ours has got, at the line of its member `name`, or at its own for ""."""
    file, line, names = here()
    found = _member(cls, name, file, line, names)
    place, span = ((file, found[0], names), found[1:]) if found else (None, (0, 0))
    return error(f"{cls.__name__}{'.' if name else ''}{name}: {message}", hint, place, span)


def _member(cls: type, name: str, file: str, line: int, names: dict[str, Any]) -> tuple[int, int, int] | None:
    """Line and columns of a class's member, from its source; None where Python does not keep that."""
    import ast
    import linecache

    try:
        tree = ast.parse("".join(linecache.getlines(file, names)))
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or node.name != cls.__name__:
            continue
        first = min((node.lineno, *(part.lineno for part in node.decorator_list)))
        if not first <= line <= (node.end_lineno or first):
            continue
        for part in node.body:
            target = part.targets[0] if isinstance(part, ast.Assign) else getattr(part, "target", part)
            if name and name in (getattr(target, "id", None), getattr(target, "name", None)):
                whole = part.end_lineno == part.lineno and part.end_col_offset
                return part.lineno, part.col_offset, whole or part.col_offset + len(name)
        return node.lineno, node.col_offset, node.col_offset + len("class ") + len(node.name)
    return None


def mismatch(function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> str | None:
    """What is wrong with the arguments of a call, in Python's words; None if they fit."""
    import inspect

    signature = inspect.signature(function)
    try:
        signature.bind(*args, **keywords)
    except TypeError as problem:
        return _unknown(tuple(signature.parameters), keywords) or str(problem)
    return None


def _unknown(known: tuple[str, ...], keywords: dict[str, Any]) -> str:
    """The first keyword that is none, with the one that was probably meant; "" if all are, or none is like it."""
    from difflib import get_close_matches

    for name in keywords:
        if name not in known and (near := get_close_matches(name, known, 1)):
            return f"there is no `{name}`; did you mean `{near[0]}`?"
    return ""


def explained(name: str, usage: str) -> Callable[[F], F]:
    """For a function that authors call at module level: wrong arguments are an error that shows how it is used."""

    def wrap(function: F) -> F:
        @wraps(function)
        def called(*args: Any, **keywords: Any) -> Any:
            try:
                return function(*args, **keywords)
            except TypeError:
                problem = mismatch(function, args, keywords)
                if problem is None:
                    raise
                raise error(f"`{name}`: {problem}", usage) from None

        return called  # type: ignore[return-value]

    return wrap
