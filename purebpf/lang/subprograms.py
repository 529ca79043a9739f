"""`@bpf.global_subprogram`: marks a plain function that the kernel verifies by itself."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from purebpf.errors import Error

F = TypeVar("F", bound=Callable[..., Any])
MARK = "__bpf_global__"


def global_subprogram(function: F) -> F:
    """Have the kernel verify this function once, by its parameters' types, instead of at each call (Linux 5.6; records as
    parameters 5.12). Its parameters are integers, records (`T` or `T | None`), maps and the context, all annotated; its result
    is an integer or nothing. Raises Error for anything but a plain function."""
    if not isinstance(function, FunctionType):
        raise Error(
            f"@bpf.global_subprogram is for plain functions, not for {getattr(function, '__name__', function)!r}: a program "
            "is verified by itself anyway"
        )
    setattr(function, MARK, True)
    return function
