"""What to write instead of a field that a type of the kernel does not have."""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING

from purebpf.btf.names import essential_name
from purebpf.btf.types import Struct, Union
from purebpf.compiler.frontend import kernel

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.compiler.frontend.lower import Lowering


def instead(cx: Lowering, node: ast.AST, shown: str, struct: int, name: str) -> str:
    """The best that can be said: how a field of other kernels is read, where it lies, what looks like it, what there is."""
    btf = kernel.btf_of(cx, node)
    return _asked(cx, essential_name(shown), name) or _deeper(btf, struct, name) or _fields(btf, struct, name)


def _asked(cx: Lowering, struct: str, name: str) -> str:
    """Of a field that the function also asks for, `bpf.exists(T, "name")`: other kernels have it."""
    calls = (each for each in ast.walk(cx.frame.source.node) if isinstance(each, ast.Call) and len(each.args) == 2)
    asked = [each for each in calls if isinstance(each.args[1], ast.Constant) and each.args[1].value == name]
    if not any(ast.unparse(each.func).endswith("exists") for each in asked) or not struct.isidentifier():
        return ""
    flavour = f"{struct}___other"
    return f"declare it as other kernels have it: `class {flavour}(bpf.KernelStruct): {name}: u64`; read `{flavour}(x).{name}`"


def _deeper(btf: Btf, struct: int, name: str) -> str:
    """Of a field of a struct inside of this one. Many of sockets are C's macros: `sk_family` is `__sk_common.skc_family`."""
    names = (name, f"skc_{name.removeprefix('sk_')}") if name.startswith("sk_") else (name,)
    found = btf.type(struct)
    for one in found.members if isinstance(found, Struct | Union) else ():
        inside = kernel.field_names(btf, one.type) if one.name else []
        for wanted in names:
            if wanted in inside:
                return f"it is inside: `{one.name}.{wanted}`"
    return ""


def _fields(btf: Btf, struct: int, name: str) -> str:
    names = kernel.field_names(btf, struct)
    near = difflib.get_close_matches(name, names, 3)
    return f"similar: {', '.join(near)}" if near else f"it has: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
