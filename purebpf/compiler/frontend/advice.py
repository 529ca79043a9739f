"""Frequent mistakes, told in the author's words: operands that are no numbers, and things that cannot be called."""

from __future__ import annotations

import ast
import builtins
import enum
import functools
from ipaddress import IPv4Address, IPv6Address
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

from purebpf.compiler.frontend import instead
from purebpf.compiler.frontend.values import Const, KernelRef, Value, describe, with_article
from purebpf.errors import Error
from purebpf.lang.declaring import Misdeclared
from purebpf.lang.idioms import HelperName
from purebpf.lang.kfuncs import KfuncName
from purebpf.lang.maps import MapDeclaration

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

PRINT = 'print with an f-string: `bpf.printk(f"{n}")`, `{n:x}` for hexadecimal'
FUNCTIONS: dict[Any, str] = {
    str: PRINT, hex: PRINT, bin: PRINT, oct: PRINT, repr: PRINT, format: PRINT, chr: PRINT,
    float: "there are no floating-point numbers in the kernel: scale to integers",
    round: "integers are exact; `(a + b // 2) // b` is a rounded quotient",
    sorted: "there is nothing to sort in a program; sort in user space",
    getattr: "write the attribute out: `record.field`",
    hasattr: 'whether the kernel has a field is `bpf.exists(task_struct, "field")`',
    isinstance: "the types of a program are known when it is compiled",
    map: "write a `for` loop", filter: "write a `for` loop with an `if`",
    input: "read in user space and put the value into a map", open: "a program has no files; use a map",
    **dict.fromkeys((range, enumerate, zip, reversed), "write it directly behind the `in` of a `for`"),
    iter: "write a `for` loop", next: "write a `for` loop",
    bytes: 'write the bytes out, `b"\\x01\\x02"`, or make memory of the function\'s own: `bpf.bytes(n)`',
    type: "the types of a program are known when it is compiled", id: "use the value itself as a key",
}  # fmt: skip


def misdeclared(cx: Lowering, node: ast.AST, declaration: MapDeclaration, error: Error) -> NoReturn:
    """A mistake in the declaration of a map that is used here."""
    if not isinstance(error, Misdeclared):
        cx.fail(node, str(error))
    file, line, _ = declaration.place
    cx.fail(node, error.message, f"it is declared at {file}:{line}", error.hint)


def check_operand(cx: Lowering, node: ast.AST, value: Value) -> None:
    """Refuse None, functions and maps where a number is wanted, before Python's own words for them come up."""
    shown = ast.unparse(node) if isinstance(node, ast.expr) else "this"
    match value:
        case Const(None) if isinstance(node, ast.Call):
            cx.fail(node, f"`{shown}` gives None", "the function returns nothing")
        case Const(None) if not isinstance(node, ast.Constant):
            cx.fail(node, f"`{shown}` is None here")
        case Const(MapDeclaration()):
            cx.fail(node, f"`{shown}` is a map, not a number", hint=f"`{shown}.get(key)` gives a value of it")
        case Const(enum.Enum() as member) if not isinstance(member, int):
            cx.fail(node, f"`{shown}` is {with_article(type(member).__name__)}, not a number", hint=not_a_number(value))
        case Const(FunctionType() | HelperName() | KfuncName()) if not isinstance(node, ast.Call):
            cx.fail(node, f"`{shown}` is a function", hint=f"call it: `{shown}()`")


def not_a_number(value: Value) -> str:
    """What to write instead of something that is no integer."""
    if isinstance(value, Const) and isinstance(value.value, enum.Enum):
        return f"make `{type(value.value).__name__}` an enum.IntEnum, or use `.value`"
    if isinstance(value, Const) and isinstance(value.value, IPv4Address | IPv6Address):
        return "an address is a number: `int(address)`"
    if isinstance(value, KernelRef):
        return "name a field of it; its address as a number is `id(...)`"
    return ""


def cannot_call(cx: Lowering, node: ast.Call, value: Any) -> NoReturn:
    """A call of something that no program can call."""
    shown = ast.unparse(node.func)
    if value is None or isinstance(value, int | str | bytes | tuple):
        kind = "None" if value is None else describe(Const(value))
        cx.fail(node.func, f"`{shown}` is {kind} and cannot be called")
    hint = next((text for function, text in FUNCTIONS.items() if value is function), "")
    if isinstance(value, functools.partial):
        hint = "write a plain function at module level that calls the other one"
    origin = getattr(value, "__origin__", value)
    if isinstance(origin, type) and issubclass(origin, MapDeclaration):
        hint = f"declare it at module level: `name = {ast.unparse(node)}`"
    elif hasattr(value, "__self__") and not hasattr(builtins, getattr(value, "__name__", "")):
        hint = hint or instead.cannot_run(value)
    cx.fail(
        node,
        f"`{shown}` cannot be called in a program",
        hint=hint or "call functions written in Python, types, maps' methods and `bpf.helpers.…`",
    )


def is_for_the_module(function: FunctionType) -> bool:
    """Whether it is one of purebpf's own functions, which are Python for user space; `purebpf.net` is for programs too."""
    home = function.__module__
    return home.partition(".")[0] == "purebpf" and home.partition(".net")[0] != "purebpf"


def for_the_module(cx: Lowering, node: ast.Call) -> NoReturn:
    """A call of such a function."""
    shown = ast.unparse(node.func)
    cx.fail(node, f"`{shown}` is for the module, not for a program", hint="call it outside of the function")


def missing_value(cx: Lowering, node: ast.Name) -> None:
    """A name that the function assigns, read before: where the module has the same name, that is what was meant."""
    function = cx.frame.function
    if cx.frame.source.node.name != function.__code__.co_name and node.id in function.__code__.co_varnames:
        cx.fail(
            node,
            f"`{node.id}` has no value yet",
            f"`{cx.frame.source.node.name}` assigns `{node.id}`, which makes it a variable of its own",
            f"`nonlocal {node.id}` at its start",
        )
    if node.id in function.__globals__ or node.id in function.__code__.co_freevars:
        cx.fail(
            node,
            f"`{node.id}` has no value yet",
            f"the function assigns `{node.id}`, so it is a variable of its own, not the module's",
            "use another name for it; to keep a value between runs, `@bpf.globals` or a map",
        )


def none_test(node: ast.AST, name: str = "v") -> str:
    """How to test for None: a name as it is; anything else is read anew where it is written again, so it gets one first."""
    shown = ast.unparse(node) if isinstance(node, ast.expr) else "..."
    if isinstance(node, ast.Name):
        return f"test it first: `if {shown} is not None:`"
    return f"give it a name and test that: `{name} = {shown}`, `if {name} is not None:`, and use `{name}`"


def to_test(node: ast.AST, low: int, count: int) -> str:
    """How to prove an index: the test to write, of a name."""
    below = f"< {count}"
    if isinstance(node, ast.Name):
        cut = f", or cut it: `min({node.id}, {count - 1})`" if low >= 0 else ""
        return f"test it first: `if {'0 <= ' if low < 0 else ''}{node.id} {below}:`{cut}"
    shown = ast.unparse(node) if isinstance(node, ast.expr) else "..."
    cut = f", or cut it: `min({shown}, {count - 1})`" if low >= 0 else ""
    return f"give it a name and test that: `i = {shown}`, `if {'0 <= ' if low < 0 else ''}i {below}:`{cut}"
