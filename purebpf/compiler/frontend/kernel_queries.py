"""Questions about the kernel that a program will run on: `bpf.exists(task_struct, "pid")`, `bpf.sizeof(sock)` and others.

Of the kernel's types each is a CO-RE relocation, answered when the program is loaded; of the author's own a constant.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING

from purebpf.btf.relocation import CoreKind
from purebpf.btf.trim import MISSING, UNKNOWN
from purebpf.btf.types import Enum, Enum64, Struct, Typedef, Union
from purebpf.compiler.frontend import kernel
from purebpf.compiler.frontend.values import Const, IntValue, KernelRef, Value, describe
from purebpf.compiler.ir.ops import I64
from purebpf.lang import kernel_types, layout
from purebpf.lang.kernel_structs import Declared
from purebpf.lang.kernel_types import KernelName

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def _ask(cx: Lowering, kind: CoreKind, root: int, access: str, answer: int, low: int, high: int) -> IntValue:
    """`answer` is that of the program's own types, in which everything exists that is asked for."""
    op = cx.builder.emit("core", I64, [], (int(kind), root, access, answer))
    return IntValue(op, low, high, low < 0, high == 1)


def _type(cx: Lowering, node: ast.AST, type: KernelName) -> int:
    """A declared type, or any of this name; 0 if there is none."""
    if isinstance(type, Declared):
        return kernel.number_of(cx, node, type)
    name, btf = type.__bpf_kernel_type__, kernel.opened(cx, node)
    for kinds in ((Struct.kind, Union.kind), (Enum.kind, Enum64.kind), (Typedef.kind,), ()):
        if found := btf.types_named(name, kinds):
            return found[0]
    return 0


def _exists(cx: Lowering, node: ast.Call, type: KernelName, what: str) -> Value:
    """A field, also one of an inner struct (`"__sk_common.skc_family"`), or an enumerator."""
    root, btf = _type(cx, node, type), kernel.btf_of(cx, node)
    found = btf.type(btf.resolve(root))
    if isinstance(found, Enum | Enum64):
        index = next((i for i, (known, _) in enumerate(found.values) if known == what), None)
        access = f"{MISSING}{what}" if index is None else str(index)
        return _ask(cx, CoreKind.ENUMVAL_EXISTS, root, access, 1, 0, 1)
    root = kernel.number_of(cx, node.args[0], type)
    path, here = [0], btf.resolve(root)
    for part in what.split("."):
        way = kernel.member(btf, here, part) if isinstance(btf.type(here), Struct | Union) else None
        if way is None:
            access = f"{kernel.access(tuple(path))}:{MISSING}{part}"
            return _ask(cx, CoreKind.FIELD_EXISTS, root, access, 1, 0, 1)
        path += way[0]
        here = btf.resolve(way[1].type)
    return _ask(cx, CoreKind.FIELD_EXISTS, root, kernel.access(tuple(path)), 1, 0, 1)


def _offsetof(cx: Lowering, node: ast.Call, type: KernelName, field: str) -> Value:
    root = kernel.number_of(cx, node.args[0], type)
    btf, name = kernel.btf_of(cx, node), type.__bpf_kernel_type__
    path, here = [0], btf.resolve(root)
    for part in field.split("."):
        way = kernel.member(btf, here, part) if isinstance(btf.type(here), Struct | Union) else None
        if way is None:
            kernel.no_field(cx, node.args[1], btf.name(here) or name, here, part)
        path += way[0]
        here = btf.resolve(way[1].type)
    at = kernel.offset(btf, root, tuple(path))
    return _ask(cx, CoreKind.FIELD_BYTE_OFFSET, root, kernel.access(tuple(path)), at, 0, (1 << 31) - 1)


def _sizeof(cx: Lowering, node: ast.Call, type: KernelName) -> Value:
    root, btf = _type(cx, node, type), kernel.btf_of(cx, node)
    if not root:
        kernel.number_of(cx, node.args[0], type)
    return _ask(cx, CoreKind.TYPE_SIZE, root, "0", btf.size_of(root), 0, (1 << 31) - 1)


def _type_exists(cx: Lowering, node: ast.Call, type: KernelName) -> Value:
    name = type.__bpf_kernel_type__
    if root := _type(cx, node, type):
        return _ask(cx, CoreKind.TYPE_EXISTS, root, "0", 1, 0, 1)
    asked = [_ask(cx, CoreKind.TYPE_EXISTS, 0, f"{MISSING}{kind} {name}", 1, 0, 1).op for kind in UNKNOWN]
    either = functools.reduce(lambda one, other: cx.builder.emit("or", I64, [one, other]), asked)
    return IntValue(either, 0, 1, False, True)


def _enum_value(cx: Lowering, node: ast.Call, type: KernelName, enumerator: str) -> Value:
    root, name = _type(cx, node, type), type.__bpf_kernel_type__
    btf = kernel.btf_of(cx, node)
    found = btf.type(btf.resolve(root))
    if not isinstance(found, Enum | Enum64):
        cx.fail(node.args[0], f"`{name}` is no enum of this kernel")
    names = [known for known, _ in found.values]
    if enumerator not in names:
        import difflib

        near = difflib.get_close_matches(enumerator, names, 3)
        hint = f"similar: {', '.join(near)}" if near else ""
        cx.fail(node.args[1], f"the kernel's enum `{name}` has no `{enumerator}`", hint=hint)
    index = names.index(enumerator)
    low, high = (-(1 << 63), (1 << 63) - 1) if found.signed else (0, (1 << 64) - 1)
    return _ask(cx, CoreKind.ENUMVAL_VALUE, root, str(index), found.values[index][1], low, high)


QUERIES: dict[object, tuple[Callable[..., Value], int]] = {  # how it is lowered, how many arguments it takes
    layout.exists: (_exists, 2),
    layout.offsetof: (_offsetof, 2),
    layout.sizeof: (_sizeof, 1),
    kernel_types.type_exists: (_type_exists, 1),
    kernel_types.enum_value: (_enum_value, 2),
}


def query(cx: Lowering, node: ast.Call, function: object) -> Value | None:
    """A question about a type of the kernel; None for any other call."""
    if not isinstance(function, FunctionType) or function not in QUERIES or not node.args:
        return None
    first = cx.expression(node.args[0])
    if isinstance(first, KernelRef) or (isinstance(first, Const) and isinstance(first.value, str)):
        name = first.name.partition(".")[0] if isinstance(first, KernelRef) else first.value
        hint = f"from purebpf.vmlinux import {name}" if name.isidentifier() else ""
        what = "an object" if isinstance(first, KernelRef) else describe(first)
        cx.fail(node.args[0], f"`{function.__name__}` takes a type of the kernel, not {what}", hint=hint)
    if not isinstance(first, Const) or not isinstance(first.value, KernelName):
        return None
    lower, takes = QUERIES[function]
    values = [cx.expression(argument) for argument in node.args[1:]]
    words = [value.value for value in values if isinstance(value, Const) and isinstance(value.value, str)]
    if len(values) != takes - 1 or len(words) != takes - 1 or node.keywords:
        wanted = ", ".join(["a type of the kernel", *["a constant text"] * (takes - 1)])
        cx.fail(node, f"`{function.__name__}` takes {wanted}")
    return lower(cx, node, first.value, *words)
