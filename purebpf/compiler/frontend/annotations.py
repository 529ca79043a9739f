"""Annotations: the type that a variable, parameter or result is narrowed to, or the kind of value that it must be.

A scalar or record narrows; `int`, `str`, `bytes` and `list[T]` only say what kind of value there is, and are checked.
"""

from __future__ import annotations

import ast
import difflib
import enum
from typing import Any

from purebpf.compiler.frontend.expressions import resolve
from purebpf.compiler.frontend.lower import Lowering
from purebpf.compiler.frontend.values import (
    NONE,
    Const,
    Context,
    Fill,
    IntValue,
    MaybeInt,
    MaybeRef,
    Ref,
    Value,
    describe,
    with_article,
)
from purebpf.compiler.meaning import Annotation
from purebpf.lang.dynptrs import Dynptr
from purebpf.lang.kernel_types import KernelName
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.rings import Reserved
from purebpf.lang.types import ArrayType, BytesType, CharsType, type_of

IN_MEMORY: dict[type, type] = {str: CharsType, bytes: BytesType, list: ArrayType}


def annotation_type(cx: Lowering, node: ast.expr) -> Annotation | None:
    """What an annotation wants, that of `T` for `T | None`; None for what says nothing, such as a generic one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = written_out(node, node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [side for side in (node.left, node.right) if not (isinstance(side, ast.Constant) and side.value is None)]
        return annotation_type(cx, sides[0]) if len(sides) == 1 else None
    value = annotation_value(cx, node)
    if value is int or value is str or value is bytes or (value is list and isinstance(node, ast.Subscript)):
        return value
    if value is None or value is tuple:
        return None
    if isinstance(value, KernelName):
        return value
    layout = type_of(value)
    if layout is None and not hasattr(value, "__bpf_context__") and not _declares(value):
        if value is float:
            cx.fail(
                node, "there are no floating-point numbers in the kernel", hint="scale to integers, for example thousandths"
            )
        if value is list or value is dict or value is set:
            cx.fail(node, f"a {value.__name__} lives on the heap, which a program does not have", hint="use a map")
        cx.fail(
            node, f"`{ast.unparse(node)}` is no type of a program", hint="use u8 to s64, be16 to be64, bool or a @bpf.struct"
        )
    return layout


def _declares(value: Any) -> bool:
    """Annotations that say something about maps, functions or results, which the compiler sees for itself."""
    module = str(getattr(value, "__module__", ""))
    return module in ("typing", "collections.abc", "types") or (
        isinstance(value, type) and issubclass(value, MapDeclaration | enum.Enum | Dynptr | Reserved)
    )


def written_out(node: ast.expr, text: str) -> ast.expr:
    """A quoted annotation as syntax, at the place of the quotes."""
    inner = ast.parse(text, mode="eval").body
    for part in ast.walk(inner):
        ast.copy_location(part, node)
    return inner


def annotation_value(cx: Lowering, node: ast.expr) -> Any:
    """The object that an annotation names."""
    match node:
        case ast.Constant(value=str() as text):
            return annotation_value(cx, written_out(node, text))
        case ast.Constant(value=v):
            return v
        case ast.Name(id=name):
            value = resolve(cx, node, name)
            return value.value if isinstance(value, Const) else None
        case ast.Attribute(value=base, attr=attr):
            owner = annotation_value(cx, base)
            if not hasattr(owner, attr):
                near = difflib.get_close_matches(attr, getattr(owner, "__all__", dir(owner)), 1)
                cx.fail(
                    node, f"`{ast.unparse(node)}` is no type of a program", hint=f"did you mean `{near[0]}`?" if near else ""
                )
            return getattr(owner, attr)
        case ast.Subscript(value=base):
            return annotation_value(cx, base)
    return None


def check_kind(cx: Lowering, node: ast.AST, what: str, value: Value, kind: type) -> None:
    """`int`, `str`, `bytes` and `list[T]` narrow nothing but must be true."""
    match value:
        case Const(None) | MaybeInt() if value == NONE or kind is int:
            return
        case Const(plain) if isinstance(plain, kind):
            return
        case IntValue() if kind is int:
            return
        case Ref(type=type) | Fill(type=type) | MaybeRef(ref=Ref(type=type)) if isinstance(type, IN_MEMORY.get(kind, ())):
            return
    cx.fail(node, f"{what} is annotated `{kind.__name__}` and cannot be {describe(value)}")


def check_context(cx: Lowering, parameter: ast.arg) -> None:
    """The context of a program is of the class that goes with its decorator."""
    if parameter.annotation is None:
        return
    annotated, kind = annotation_value(cx, parameter.annotation), cx.unit.kind
    right = hasattr(annotated, "__bpf_context__") and annotated.__name__ == kind.context
    if not right and annotated is not Any:
        cx.fail(
            parameter.annotation,
            f"`{parameter.arg}` of a `@bpf.{kind.decorator}` program is {with_article(f'`{kind.context}`')}",
            hint=f"{parameter.arg}: bpf.{kind.context}",
        )


def check_result(cx: Lowering, node: ast.Return, value: Value) -> None:
    """`-> None` gives nothing; the context is no result."""
    annotation = cx.frame.source.node.returns
    name = cx.frame.function.__name__
    if isinstance(annotation, ast.Constant) and annotation.value is None and value != NONE:
        cx.fail(node, f"`{name}` is annotated `-> None` and cannot return {describe(value)}", hint="annotate `-> int`")
    if isinstance(value, Context) and annotation is not None and cx.frame.result is not None:
        cx.fail(node, f"`{name}` is annotated `{ast.unparse(annotation)}` and cannot return {describe(value)}")
