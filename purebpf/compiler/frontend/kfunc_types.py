"""Signatures of kernel functions (kfuncs), from BTF and from what the suffixes of parameters' names say.

Documentation/bpf/kfuncs.rst tells the suffixes: `data, data__sz` is memory and its size, `flags__k` a constant, `name__str` a
text, `task__nullable` may be None, what ends in `__ign` is not looked at. A parameter that no program can fill in is left out
of the call.
"""

from __future__ import annotations

import ast
from enum import Enum as PythonEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from purebpf.btf.running import kernel_btf, module_btf, modules
from purebpf.btf.types import Const, DeclTag, Enum, Enum64, Func, FuncProto, Int, Kind, Ptr, Struct, Union
from purebpf.compiler.frontend import kernel
from purebpf.data import data
from purebpf.errors import Error
from purebpf.tables.kfuncs import kfunc, kfunc_names
from purebpf.tables.since import kfunc_since

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.compiler.frontend.lower import Lowering

MARKS = (
    "__sz",
    "__szk",
    "__k",
    "__ign",
    "__nullable",
    "__opt",
    "__str",
    "__uninit",
    "__map",
    "__prog",
    "__alloc",
    "__const_str",
)
CONTEXTS = frozenset(
    {"__sk_buff", "xdp_md", "bpf_sock_addr", "bpf_sock_addr_kern", "bpf_sock_ops", "bpf_sock_ops_kern", "bpf_perf_event_data"}
)
CONSTANTS = frozenset({"rdonly_buf_size", "rdwr_buf_size"})
LEFT_OUT = frozenset({"meta", "aux"})  # what the verifier fills in
KEEPERS = frozenset(
    {
        "bpf_spin_lock", "bpf_res_spin_lock", "bpf_wq", "bpf_timer", "bpf_list_head", "bpf_list_node", "bpf_rb_root",
        "bpf_rb_node", "bpf_refcount", "bpf_task_work",
    }
)  # fmt: skip


class Wants(PythonEnum):
    """What a parameter takes."""

    NOTHING = "nothing"
    SCALAR = "scalar"
    CONSTANT = "constant"
    SIZE = "size"
    CONTEXT = "context"
    OBJECT = "object"
    MEMORY = "memory"
    TEXT = "text"
    MAP = "map"
    DYNPTR = "dynptr"
    ADDRESS = "address"
    OTHER = "other"


@data
class Parameter:
    """`type` is its number, or of what it points to; `size` the bytes of memory that it points to, 0 where the next parameter
    tells; `reads` says that the function does not write them."""

    name: str
    wants: Wants
    type: int
    size: int = 0
    nullable: bool = False
    reads: bool = False


@data
class Signature:
    name: str
    parameters: tuple[Parameter, ...]
    returns: int

    @property
    def given(self) -> list[Parameter]:
        """Those that a call names; sizes may be left out."""
        return [one for one in self.parameters if one.wants != Wants.NOTHING]


def find(cx: Lowering, node: ast.AST, name: str) -> Signature:
    """The function's signature; an error for what no program can call."""
    prototype = _prototype(cx, node, name)
    btf = kernel.btf_of(cx, node)
    parameters, all = [], prototype.parameters
    for index, one in enumerate(all):
        behind = all[index + 1].name if index + 1 < len(all) else ""
        parameters.append(_parameter(btf, one.name or f"arg{index}", one.type, behind))
    return Signature(name, tuple(parameters), prototype.returns)


def exists(cx: Lowering, node: ast.AST, name: str) -> bool:
    """Whether the kernel that the program is compiled for has it."""
    return _is_kfunc(kernel.btf_of(cx, node), name) or _in_module(name) is not None


def walks(cx: Lowering, node: ast.AST) -> list[str]:
    """The names of the kernel's open-coded iterators."""
    names = _marked(kernel.btf_of(cx, node)) or kfunc_names()
    found = {name[len("bpf_iter_") : -len("_new")] for name in names if name.startswith("bpf_iter_") and name.endswith("_new")}
    return sorted(found - {"num"})


def _prototype(cx: Lowering, node: ast.AST, name: str) -> FuncProto:
    btf = kernel.btf_of(cx, node)
    numbers = btf.types_named(name, Kind.FUNC)
    if not numbers and (module := _in_module(name)) is not None:
        if cx.unit.btf is not None:
            cx.fail(node, f"`{name}` is in the kernel module `{module}`, and this program has to do with another one")
        btf = cx.unit.btf = module_btf(module)
        numbers = btf.types_named(name, Kind.FUNC)
    if not numbers or not _is_kfunc(btf, name):
        _unknown(cx, node, btf, name, bool(numbers))
    function = btf.type(numbers[0])
    assert isinstance(function, Func)
    prototype = btf.type(function.type)
    assert isinstance(prototype, FuncProto)
    return prototype


def _in_module(name: str) -> str | None:
    """The module that has the function."""
    for module in sorted(modules()):
        try:
            if module_btf(module).types_named(name, Kind.FUNC) and not kernel_btf().types_named(name, Kind.FUNC):
                return module
        except Error:
            continue
    return None


@lru_cache(maxsize=4)
def _marked(btf: Btf) -> frozenset[str]:
    """The functions that BTF says to be for programs (pahole 1.26); none where it does not say."""
    tags = (btf.type(number) for number in btf.numbers(Kind.DECL_TAG))
    return frozenset(btf.name(tag.type) for tag in tags if isinstance(tag, DeclTag) and tag.name == "bpf_kfunc")


def _is_kfunc(btf: Btf, name: str) -> bool:
    known = _marked(btf)
    return bool(btf.types_named(name, Kind.FUNC)) and (name in known if known else kfunc(name) is not None or "bpf_" in name)


def _unknown(cx: Lowering, node: ast.AST, btf: Btf, name: str, there: bool) -> NoReturn:
    import difflib

    since = kfunc_since(name)
    if there:
        cx.fail(
            node, f"the kernel's `{name}` is not for programs", "kernel functions that programs may call are marked as such"
        )
    names = [*_marked(btf), *kfunc_names()]
    near = difflib.get_close_matches(name, names, 3) or difflib.get_close_matches(f"bpf_{name}", names, 3)
    hint = f"did you mean `{near[0]}`?" if near and near[0] != name else ""
    if since:
        hint = f'it came with Linux {since}; `if bpf.kfunc_exists("{name}"):` around it makes a program for kernels without'
    cx.fail(node, f"this kernel has no function `{name}` for programs", hint=hint)


def _parameter(btf: Btf, name: str, type: int, behind: str) -> Parameter:
    plain = _plain(name)
    nullable = name.endswith(("__nullable", "__opt"))
    found = btf.type(btf.resolve(type))
    if name.endswith(("__sz", "__szk")):
        return Parameter(name, Wants.SIZE, type, nullable=not name.endswith("__szk"))
    if not isinstance(found, Ptr):
        constant = name.endswith("__k") or name in CONSTANTS
        scalar = isinstance(found, Int | Enum | Enum64)
        return Parameter(plain, (Wants.CONSTANT if constant else Wants.SCALAR) if scalar else Wants.OTHER, type)
    if name.endswith("__prog") or (name.endswith("__ign") and plain in LEFT_OUT):
        return Parameter(plain, Wants.NOTHING, 0)
    reads = isinstance(btf.type(found.type), Const) if found.type else False
    if name.endswith("__ign"):
        return Parameter(plain, Wants.ADDRESS, found.type, reads=True)
    if name.endswith("__str"):
        return Parameter(plain, Wants.TEXT, found.type)
    target = btf.resolve(found.type) if found.type else 0
    inside = btf.type(target) if target else None
    struct = btf.name(target) if isinstance(inside, Struct | Union) else ""
    if name.endswith("__map") or struct == "bpf_map":
        return Parameter(plain, Wants.MAP, 0)
    if struct in CONTEXTS:
        return Parameter(plain, Wants.CONTEXT, target)
    if struct in ("bpf_dynptr", "bpf_dynptr_kern"):
        return Parameter(plain, Wants.OTHER if name.endswith("__uninit") else Wants.DYNPTR, target, nullable=nullable)
    if behind.endswith(("__sz", "__szk")):
        return Parameter(plain, Wants.MEMORY, found.type, nullable=nullable, reads=reads)
    if struct in KEEPERS or struct.startswith("bpf_iter_") or name.endswith(("__alloc", "__refcounted_kptr", "__irq_flag")):
        return Parameter(plain, Wants.OTHER, target)
    if _is_plain_data(btf, target):
        return Parameter(plain, Wants.MEMORY, found.type, btf.size_of(target), nullable, reads)
    if isinstance(inside, Struct | Union):
        return Parameter(plain, Wants.OBJECT, target, nullable=nullable)
    return Parameter(plain, Wants.OTHER, target)


def _plain(name: str) -> str:
    """A parameter's name without what its end says of it."""
    return name.partition("__")[0] if name.endswith(MARKS) or "__" in name.strip("_") else name


def _is_plain_data(btf: Btf, number: int, depth: int = 0) -> bool:
    """Numbers, or a struct of nothing else, which the verifier takes for memory of the program's own."""
    from purebpf.btf.types import Array

    found = btf.type(btf.resolve(number)) if number else None
    if isinstance(found, Int | Enum | Enum64):
        return True
    if isinstance(found, Array):
        return _is_plain_data(btf, found.type, depth)
    return isinstance(found, Struct) and depth < 4 and all(_is_plain_data(btf, one.type, depth + 1) for one in found.members)
