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
OURS = ("purebpf", "typing", "functools")


def error(message: str, hint: str = "") -> Error:
    """An error that shows the line outside of this package that is being run."""
    import linecache

    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    number = str(line)
    pad = " " * len(number)
    lines = [f"error: {message}", f"{pad} --> {file}:{line}"]
    text = linecache.getline(file, line, frame.f_globals).rstrip()
    if text:
        lines += [f"{pad} |", f"{number} | {text}"]
    if hint:
        lines.append(f"{pad} = help: {hint}")
    return Error("\n".join(lines))


def mismatch(function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> str | None:
    """What is wrong with the arguments of a call, in Python's words; None if they fit."""
    import inspect

    try:
        inspect.signature(function).bind(*args, **keywords)
    except TypeError as problem:
        return str(problem)
    return None


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
