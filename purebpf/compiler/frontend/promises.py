"""What a function's annotations promise of None: a parameter `r: Record` is given one, a result `-> u32` is there at every end.

What breaks a promise is told where it is broken: at the call, at the `return`, at the function's end.
"""

from __future__ import annotations

import ast
import typing
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from purebpf.compiler.frontend.annotations import annotation_value, written_out
from purebpf.compiler.frontend.lower import Frame, Lowering
from purebpf.compiler.frontend.source import Source
from purebpf.compiler.frontend.values import NONE, MaybeInt, MaybeRef, Value
from purebpf.lang.types import type_of

PLAIN = (int, str, bytes, list)


def takes_none(cx: Lowering, node: ast.expr | None) -> bool:
    """Whether an annotation has room for None; one that is missing, or that the compiler cannot read, has."""
    match node:
        case None:
            return True
        case ast.Constant(value=str() as text):
            return takes_none(cx, written_out(node, text))
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return takes_none(cx, left) or takes_none(cx, right)
    value: Any = annotation_value(cx, node)
    if value in (typing.Optional, typing.Union) and isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return value is typing.Optional or any(takes_none(cx, part) for part in parts)
    return type_of(value) is None and value not in PLAIN


def check_arguments(
    cx: Lowering, function: FunctionType, source: Source, arguments: Mapping[str, tuple[ast.AST, Value]]
) -> None:
    """Refuse what may be None for a parameter that is annotated as something else."""
    frame, parameters = Frame(function, source, frozenset()), source.node.args
    for parameter in (*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs):
        at, value = arguments[parameter.arg]
        if not isinstance(value, MaybeRef | MaybeInt) and value != NONE:
            continue
        if _default_is_none(frame, parameter.arg) or _takes_none(cx, frame, parameter.annotation):
            continue
        assert parameter.annotation is not None
        name, wanted = frame.function.__name__, ast.unparse(parameter.annotation)
        shown = ast.unparse(at) if isinstance(at, ast.expr) else "this"
        why = f"; {value.why}" if isinstance(value, MaybeRef | MaybeInt) and value.why else ""
        cx.fail(
            at,
            f"`{shown}` may be None here" if why else "None is given here",
            f"`{parameter.arg}` of `{name}` is a `{wanted}`{why}",
            f"test it before the call, or let `{name}` do it: `{parameter.arg}: {wanted} | None`",
        )


def check_return(cx: Lowering, node: ast.Return, value: Value) -> None:
    """Refuse a `return` of what may be None where the result is annotated as something else."""
    annotation = cx.frame.source.node.returns
    if len(cx.frames) == 1 and cx.fn.name == cx.unit.name:
        return  # the program itself, whose results `finish` looks at
    if (not isinstance(value, MaybeRef | MaybeInt) and value != NONE) or takes_none(cx, annotation):
        return
    assert annotation is not None
    wanted = ast.unparse(annotation)
    hint = f"return something else here, or annotate `-> {wanted} | None`"
    if value == NONE:
        cx.fail(node.value or node, "this `return` gives no result", f"the function is annotated `-> {wanted}`", hint)
    assert isinstance(value, MaybeRef | MaybeInt) and node.value is not None
    cx.fail(node.value, f"`{ast.unparse(node.value)}` may be None here, which `-> {wanted}` is not", value.why, hint)


def check_end(cx: Lowering, frame: Frame) -> None:
    """Refuse to fall off the end of a function whose result is annotated; called where a way leads there."""
    annotation = frame.source.node.returns
    if cx.flow.dead or takes_none(cx, annotation):
        return
    assert annotation is not None
    cx.fail(
        frame.source.node.body[-1],
        f"`{frame.function.__name__}` can end without a result",
        f"it is annotated `-> {ast.unparse(annotation)}`",
        what_is_missing(frame.source.node.body[-1]),
    )


def what_is_missing(last: ast.stmt) -> str:
    """What to add behind a function's last statement."""
    forever = isinstance(last, ast.While) and isinstance(last.test, ast.Constant) and bool(last.test.value)
    return "add a `return` at the end" + (": the kernel ends a loop when its budget is used up" if forever else "")


def _takes_none(cx: Lowering, frame: Frame, annotation: ast.expr | None) -> bool:
    """The same of an annotation of another function."""
    cx.frames.append(frame)
    try:
        return takes_none(cx, annotation)
    finally:
        cx.frames.pop()


def _default_is_none(frame: Frame, name: str) -> bool:
    parameters = frame.source.node.args
    defaults = frame.function.__defaults__ or ()
    positional = [a.arg for a in (*parameters.posonlyargs, *parameters.args)]
    given = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    given |= frame.function.__kwdefaults__ or {}
    return name in given and given[name] is None
