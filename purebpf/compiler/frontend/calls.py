"""Calls: casts, records, builtins, intrinsics, methods, and the author's own functions (inlined or as subprograms)."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from purebpf.compiler.frontend import (
    advice,
    arithmetic,
    context,
    dynptrs,
    functions,
    helpers,
    instead,
    intrinsics,
    locks,
    maps,
    memory,
    numeric,
    pure,
    reductions,
    sums,
    text_methods,
    tuples,
)
from purebpf.compiler.frontend.lower import Lowering, lowers
from purebpf.compiler.frontend.values import (
    Bound,
    Const,
    Context,
    Dynptr,
    IntValue,
    LocalFunction,
    Packet,
    Ref,
    TupleValue,
    Value,
    describe,
    named,
)
from purebpf.data import replace
from purebpf.lang.idioms import HelperName
from purebpf.lang.kernel_types import KernelName
from purebpf.lang.kfuncs import KfuncName
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import BytesType, CharsType, IntType, KernelType, StructType, type_of
from purebpf.lang.walks import WalkName, Walks

RECORDS = "purebpf.lang.records"  # whose methods, such as `to_bytes`, are for user space


QUERIES = ("purebpf.lang.layout", "purebpf.lang.kernel_types")  # where the questions are


@lowers(ast.Call)
def call(cx: Lowering, node: ast.Call) -> Value:
    node = tuples.spread(cx, node)
    for keyword in node.keywords:
        if keyword.arg is None:
            cx.fail(keyword.value, "`**` arguments are not available in a program")
    target = cx.expression(node.func)
    if isinstance(target, Bound):
        return _method(cx, node, target)
    if isinstance(target, LocalFunction):
        cx.fail(
            node,
            f"`{target.node.name}` is defined inside the program: it can be handed to `bpf.loop` and `for_each` only",
            hint="define it at module level to call it",
        )
    if not isinstance(target, Const):
        cx.usable(node.func, target)
        cx.fail(node.func, f"{describe(target)} cannot be called")
    return _call_constant(cx, node, target.value)


def _query(cx: Lowering, node: ast.Call, function: FunctionType) -> Value | None:
    """A question about a type of the kernel; None for one about the author's own."""
    from purebpf.compiler.frontend import kernel_queries

    return kernel_queries.query(cx, node, function)


def _identity(cx: Lowering, node: ast.Call) -> Value:
    from purebpf.compiler.frontend import kernel

    return kernel.identity(cx, node)


def _call_constant(cx: Lowering, node: ast.Call, value: Any) -> Value:
    if isinstance(value, HelperName):
        return helpers.call(cx, node, value.name)
    if isinstance(value, WalkName) or isinstance(getattr(value, "__self__", None), Walks):
        kind = value.name if isinstance(value, WalkName) else value.__name__
        cx.fail(node, "only a `for` statement goes over the kernel's objects", hint=f"for x in bpf.iter.{kind}(...): ...")
    if isinstance(value, KfuncName):
        from purebpf.compiler.frontend import kfunc_calls

        return kfunc_calls.call(cx, node, value.name)
    if isinstance(value, type):
        layout = type_of(value)
        if isinstance(layout, StructType):
            return construct(cx, node, layout)
        if isinstance(layout, IntType):
            return cast(cx, node, layout)
        if isinstance(value, KernelName):
            from purebpf.compiler.frontend import kernel

            return kernel.at(cx, node, value)
    if isinstance(value, FunctionType) and value.__module__ in QUERIES and (answer := _query(cx, node, value)) is not None:
        return answer
    handler = _lookup(intrinsics.INTRINSICS, value) or _lookup(BUILTINS, value)
    if handler is not None:
        return handler(cx, node)
    if isinstance(value, FunctionType) and not pure.computable(value):
        if advice.is_for_the_module(value):
            advice.for_the_module(cx, node)
        return functions.call(cx, node, value)
    if isinstance(value, functools.partial) and isinstance(value.func, FunctionType):
        return functions.call_partial(cx, node, value)
    if hasattr(value, "__bpf_program__"):
        cx.fail(
            node,
            f"`{ast.unparse(node.func)}` is a program and cannot be called from another one",
            hint="put it into a ProgArray and `table.tail_call(ctx, index)`, or move the shared code to a plain function",
        )
    if isinstance(getattr(value, "__wrapped__", None), FunctionType) and not isinstance(value, FunctionType):
        functions.wrapped(cx, node, value)
    if isinstance(value, MapDeclaration):
        cx.fail(node, "a map cannot be called", hint="look up with `m.get(key)`")
    arguments = [cx.expression(a) for a in node.args]
    keywords = {k.arg: cx.expression(k.value) for k in node.keywords if k.arg}
    instead.check_arguments(cx, node, value, arguments)
    if callable(value) and all(isinstance(a, Const) for a in (*arguments, *keywords.values())):
        if isinstance(value, type) and issubclass(value, list | dict | set | bytearray):
            cx.fail(
                node,
                f"a {value.__name__} lives on the heap, which a program does not have",
                hint="use a map, or a tuple of constants",
            )
        if value is float:
            cx.fail(node, "there are no floating-point numbers in the kernel", hint="scale to integers")
        plain = {k: a.value for k, a in keywords.items() if isinstance(a, Const)}
        if pure.computable(value):
            return Const(cx.python(node, lambda: value(*(a.value for a in arguments if isinstance(a, Const)), **plain)))
        cx.fail(
            node,
            f"`{ast.unparse(node.func)}` would run when the program is compiled, not in the kernel",
            hint=pure.hint(value),
        )
    advice.cannot_call(cx, node, value)


def _lookup(
    table: dict[Any, Callable[[Lowering, ast.Call], Value]], value: Any
) -> Callable[[Lowering, ast.Call], Value] | None:
    try:
        return table.get(value)
    except TypeError:
        return None


def _method(cx: Lowering, node: ast.Call, method: Bound) -> Value:
    match method.receiver:
        case Const(MapDeclaration() as declaration):
            return maps.method(cx, node, declaration, method.name)
        case Packet() as packet:
            return context.packet_method(cx, node, packet, method.name)
        case Context() as ctx:
            return context.method(cx, node, ctx, method.name)
        case Dynptr() as data:
            cx.usable(node.func.value if isinstance(node.func, ast.Attribute) else node, data)
            return dynptrs.method(cx, node, data, method.name)
        case Ref(type=KernelType() as inside) as kept:
            if inside.element is not None:
                from purebpf.compiler.frontend import graphs

                return graphs.method(cx, node, kept, method.name)
            if inside.name == "kptr":
                from purebpf.compiler.frontend import kptrs

                return kptrs.method(cx, node, kept, method.name)
            return locks.timer_method(cx, node, kept, method.name)
        case Ref(type=CharsType() | BytesType()) as text if method.name == "startswith":
            cx.usable(node.func, text)
            return text_methods.starts_with(cx, node, text)
        case Ref(type=StructType() as type) as record:
            return _record_method(cx, node, record, type, method.name)
        case IntValue() as number if method.name in numeric.METHODS and not node.args and not node.keywords:
            return numeric.METHODS[method.name](cx, node, number)
        case Const(value):
            arguments = [cx.expression(a) for a in node.args]
            plain = all(isinstance(a, Const) for a in arguments) and not node.keywords
            if plain and isinstance(value, pure.RECEIVERS) and hasattr(value, method.name):
                return Const(
                    cx.python(node, lambda: getattr(value, method.name)(*(a.value for a in arguments if isinstance(a, Const))))
                )
    what = f"{describe(method.receiver)} has no method `{method.name}` in a program"
    cx.fail(node.func, what, hint=instead.method(node, method.receiver, method.name))


def _record_method(cx: Lowering, node: ast.Call, record: Ref, type: StructType, name: str) -> Value:
    """A method that the author wrote into the record's class, called with the record as its `self`."""
    function = getattr(type.record, name)
    assert isinstance(node.func, ast.Attribute)
    if isinstance(vars(type.record).get(name), staticmethod):
        return functions.call(cx, node, function)
    if not isinstance(function, FunctionType) or function.__module__ == RECORDS:
        cx.fail(node.func, f"`{name}` of {named(type)} cannot be called in a program", hint="plain methods can")
    return functions.call(cx, node, function, [(node.func.value, record)])


def cast(cx: Lowering, node: ast.Call, type: IntType) -> Value:
    """`u16(x)`: the low bits, as storing it would keep them."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, f"`{type}(x)` takes one value")
    value = cx.expression(node.args[0])
    if isinstance(value, Const) and isinstance(value.value, int):
        low = value.value & ((1 << type.bits) - 1)
        return Const(low - (1 << type.bits) if type.signed and low >> (type.bits - 1) else low)
    number = cx.integer(node.args[0], value)
    return arithmetic.narrow(cx, replace(number, boolean=False), type.bits, type.signed)


def construct(cx: Lowering, node: ast.Call, type: StructType) -> Ref:
    """`Record(field=value, ...)` on the stack, padding zeroed."""
    place = memory.temporary(cx, type, type.name)
    fill_record(cx, node, type, place)
    return place


def fill_record(cx: Lowering, node: ast.Call, type: StructType, place: Ref) -> None:
    """Evaluate a constructor call into a place."""
    write_fields(cx, node, type, place, given_fields(cx, node, type))


def given_fields(cx: Lowering, node: ast.Call, type: StructType) -> dict[str, tuple[ast.expr, Value]]:
    """The values a constructor call gives, by field."""
    if node.args:
        cx.fail(
            node.args[0],
            f"`{type}` takes its fields by keyword",
            hint=instead.constructed(node, str(type)) or f"{type}({', '.join(f.name + '=...' for f in type.values)})",
        )
    given: dict[str, tuple[ast.expr, Value]] = {}
    for keyword in node.keywords:
        assert keyword.arg is not None
        field = type.field(keyword.arg)
        if field is not None and isinstance(field.type, KernelType):
            cx.fail(keyword, f"`{keyword.arg}` is the kernel's and cannot be given", hint="it starts at zero by itself")
        if field is None:
            cx.fail(
                keyword,
                f"`{type}` has no field `{keyword.arg}`",
                hint=f"its fields are: {', '.join(f.name for f in type.values)}",
            )
        given[keyword.arg] = (keyword.value, cx.expression(keyword.value))
    return given


def write_fields(cx: Lowering, node: ast.Call, type: StructType, place: Ref, given: dict[str, tuple[ast.expr, Value]]) -> None:
    """Write a record whole: the given fields, the defaults of the others, zeros between them."""
    if type.union:
        return _write_union(cx, node, type, place, given)
    covered = 0
    whole = any(f.bits for f in type.fields)
    if whole:
        memory.zero(cx, node, place)
    for field in type.fields:
        if field.offset > covered and not whole:
            memory.store_bytes(cx, node, replace(place, type=BytesType(field.offset)), bytes(field.offset), covered)
        if field.name in given:
            at, value = given[field.name]
            memory.store_member(cx, at, place, field.name, value)
        elif field.required:
            cx.fail(
                node,
                f"`{type}` needs `{field.name}`",
                hint=f"{type}({', '.join(f.name + '=...' for f in type.fields if f.required)})",
            )
        elif not field.bits:
            target = replace(place, offset=place.offset + field.offset, type=field.type)
            memory.store_bytes(cx, node, target, field.type.encode(field.default))
        elif field.default:
            memory.store_member(cx, node, place, field.name, Const(field.default))
        covered = max(covered, field.offset + field.type.size)
    if covered < type.size and not whole:
        memory.store_bytes(cx, node, replace(place, type=BytesType(type.size)), bytes(type.size), covered)


def _write_union(cx: Lowering, node: ast.Call, type: StructType, place: Ref, given: dict[str, tuple[ast.expr, Value]]) -> None:
    """Zeros, and over them the one field that is given."""
    if len(given) > 1:
        cx.fail(node, f"`{type}` is a union: one of its fields can be given", ", ".join(given))
    memory.zero(cx, node, place)
    for name, (at, value) in given.items():
        memory.store_member(cx, at, place, name, value)


# -- builtins


def _len(cx: Lowering, node: ast.Call) -> Value:
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "len() takes one value")
    value = memory.in_memory(cx, cx.expression(node.args[0]))
    instead.check_arguments(cx, node, len, [value] if isinstance(value, Const) else [])
    match value:
        case Const(v) if not isinstance(v, MapDeclaration):
            return Const(cx.python(node, lambda: len(v)))
        case TupleValue(items=items):
            return Const(len(items))
        case Packet() as packet:
            return context.packet_length(cx, node, packet)
        case Dynptr() as data:
            cx.usable(node.args[0], data)
            return dynptrs.length(cx, node, data)
        case Ref(type=type) if hasattr(type, "count"):
            return Const(type.count)
        case Ref(type=BytesType() as type):
            return Const(type.size)
        case Ref(type=CharsType()) as text:
            cx.usable(node.args[0], text)
            return text_methods.length(cx, node, text)
    cx.usable(node.args[0], value)
    cx.fail(node, f"{describe(value)} has no len() in a program", hint=instead.size_of(cx, node.args[0], value))


BUILTINS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {
    **numeric.BUILTINS, **sums.CALLS, any: reductions.any_, all: reductions.all_, sum: reductions.sum_, len: _len,
    print: intrinsics.print_, id: _identity,
}  # fmt: skip
