"""Texts, bytes and arrays are values when assigned to a name: the name keeps what was there, whatever is written later.

    name = record.owner              # 16 bytes in a map
    record.owner = bpf.current.comm
    if name == "": ...               # asks for the old one

A copy is made only where the difference could be seen: something that may change these bytes comes before a later use of the
name, or the name itself is written through. Looking that up takes the function's syntax, before it is lowered.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.values import EITHER, ListValue, Ref, TupleValue, Value
from purebpf.errors import Error
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import ArrayType, BoolType, BytesType, CharsType, IntType, StructType, Type, type_of

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Frame, Lowering

ANYWHERE = ("packet", "mem", "slice", EITHER)  # where any store may write
LOOPS = (ast.For, ast.While)
READERS = frozenset({"at", "get", "output", "emit", "bit_length", "bit_count", "startswith", "printk", "ktime", "cpu"})
"""Functions and methods that leave memory as it is, by name."""


def own(cx: Lowering, node: ast.AST, target: ast.expr, value: Value, made: int) -> Value:
    """What a name gets that is assigned `value`, the value of `node`; `made` counts pieces of memory before it was evaluated.

    Only a place that existed before is copied: a field, an element, what another name refers to. An entry of a map that was
    looked up stays a reference.
    """
    if isinstance(value, TupleValue) and not isinstance(value, ListValue):
        nodes: list[ast.AST] = list(node.elts) if isinstance(node, ast.Tuple) else [node] * len(value.items)
        names = target.elts if isinstance(target, ast.Tuple | ast.List) else [target] * len(value.items)
        if len(nodes) == len(value.items) == len(names):
            parts = zip(nodes, names, value.items, strict=True)
            return TupleValue(tuple(own(cx, at, name, item, made) for at, name, item in parts))
        return value
    text = isinstance(value, Ref) and isinstance(value.type, CharsType)
    places = ast.Attribute | ast.Subscript | ast.Name | ast.IfExp
    if not isinstance(target, ast.Name) or not (isinstance(node, places) or (text and isinstance(node, ast.Call))):
        return value
    if not isinstance(value, Ref) or not isinstance(value.type, CharsType | BytesType | ArrayType):
        return value
    if memory.root(value.op) in cx.pieces[made:] or _is_entry(cx.frame, node) or not _matters(cx, target, node, value):
        return value
    cx.usable(node, value)
    place = memory.temporary(cx, value.type, target.id)
    memory.copy(cx, node, place, value, apart=True)
    return place


def argument(cx: Lowering, frame: Frame, node: ast.AST, name: str, value: Value) -> Value:
    """What a parameter of an inlined function gets: a text is a value there too; arrays and bytes are handed over."""
    if not isinstance(value, Ref) or not isinstance(value.type, CharsType):
        return value
    later = list(ast.walk(frame.source.node))
    if not any(_writes(frame, inner, name, ast.Name(name), value) for inner in later):
        return value
    cx.usable(node, value)
    place = memory.temporary(cx, value.type, name)
    memory.copy(cx, node, place, value, apart=True)
    return place


def _is_entry(frame: Frame, node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(_outside(frame, node.value), MapDeclaration)


def _matters(cx: Lowering, target: ast.Name, source: ast.AST, ref: Ref) -> bool:
    """Whether the bytes may change before a later use of the name, or be changed through it."""
    frame = cx.frame
    if cx.unit.unions:
        source = ast.Name("any field")
    later, repeats = _afterwards(frame.source.node, target)
    writes = [node for node in later if _writes(frame, node, target.id, source, ref)]
    if any(_is_through(node, target.id) for node in writes):
        return True
    uses = [node for node in later if isinstance(node, ast.Name) and node.id == target.id and isinstance(node.ctx, ast.Load)]
    loops = [set(ast.walk(node)) for node in later if isinstance(node, LOOPS)]
    return any(
        repeats or _position(use) > _position(write) or any(write in loop and use in loop for loop in loops)
        for write in writes
        for use in uses
    )


def _afterwards(function: ast.AST, target: ast.Name) -> tuple[list[ast.AST], bool]:
    """The syntax that may run after an assignment, and whether it stands in a loop."""
    loops = [n for n in ast.walk(function) if isinstance(n, LOOPS) and any(inner is target for inner in ast.walk(n))]
    after = [n for n in ast.walk(function) if hasattr(n, "lineno") and _position(n) > _position(target)]
    if loops:
        after += list(ast.walk(loops[0]))  # the outermost: `walk` gives parents first
    return after, bool(loops)


def _position(node: Any) -> tuple[int, int]:
    return (node.lineno, node.col_offset) if hasattr(node, "lineno") else (0, 0)


def _writes(frame: Frame, node: ast.AST, name: str, source: ast.AST, ref: Ref) -> bool:
    """Whether this syntax may write to the bytes at `ref`, or to those of the name."""
    match node:
        case ast.Attribute(attr=attr, ctx=ast.Store()):
            return _is_through(node, name) or ref.region in ANYWHERE or attr in _fields(source, ref.type)
        case ast.Subscript(value=base, ctx=ast.Store() | ast.Del()):
            declaration = _outside(frame, base)
            if isinstance(declaration, MapDeclaration):
                return ref.region == "map_value" and not _holds_integers(declaration)
            return not isinstance(base, ast.Attribute) or base.attr in _fields(source, ref.type) or ref.region in ANYWHERE
        case ast.Call(func=func):
            return _call_writes(frame, func)
        case ast.FunctionDef() | ast.Lambda():
            return True
    return False


def _is_through(node: ast.AST, name: str) -> bool:
    """`name[i] = ...`, `name[i].field = ...`, or the name handed to a function."""
    if isinstance(node, ast.Call):
        given = [*node.args, *(k.value for k in node.keywords)]
        return any(isinstance(inner, ast.Name) and inner.id == name for argument in given for inner in ast.walk(argument))
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id == name


def _fields(source: ast.AST, type: Type) -> set[str]:
    """Names of fields that may hold the bytes: those on the way to them, and those inside."""
    names = {inner.attr for inner in ast.walk(source) if isinstance(inner, ast.Attribute)}
    if not isinstance(source, ast.Attribute | ast.Subscript):
        return _Everything()
    return names | set(_inside(type))


class _Everything(set[str]):
    """What another name refers to may lie in any field."""

    def __contains__(self, _: object) -> bool:
        return True


def _inside(type: Type) -> Iterator[str]:
    if isinstance(type, ArrayType):
        yield from _inside(type.element)
    if isinstance(type, StructType):
        for field in type.fields:
            yield field.name
            yield from _inside(field.type)


def _holds_integers(declaration: MapDeclaration) -> bool:
    try:
        return isinstance(declaration.value_type, IntType | BoolType)
    except Error:
        return False  # told when it is lowered


def _call_writes(frame: Frame, func: ast.expr) -> bool:
    if isinstance(func, ast.Attribute) and func.attr in READERS:
        return False
    called = _outside(frame, func)
    if isinstance(called, FunctionType):
        return called.__name__ not in READERS
    return not isinstance(called, type) and called not in BUILTINS


BUILTINS: tuple[Any, ...] = (len, min, max, abs, sum, any, all, range, enumerate, zip, reversed, divmod, print, ord)


def _outside(frame: Frame, node: ast.expr) -> Any:
    """The object around the program that an expression names; None for anything else."""
    match node:
        case ast.Name(id=name) if name not in frame.local:
            function = frame.function
            cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
            if name in cells:
                return cells[name].cell_contents
            builtin = function.__globals__.get("__builtins__", {})
            plain = builtin if isinstance(builtin, dict) else vars(builtin)
            return function.__globals__.get(name, plain.get(name))
        case ast.Attribute(value=base, attr=attr):
            owner = _outside(frame, base)
            return None if owner is None or type_of(owner) is not None else getattr(owner, attr, None)
    return None
