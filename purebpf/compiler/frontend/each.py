"""What uses callbacks: `bpf.loop(n, f)`, `m.for_each(f)`, `for k, v in m.items():`; and functions defined inside a program.

Such a function sees the variables around it, as in Python, and assigns those that it declares `nonlocal`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import callbacks, helpers, loops, maps, memory, turned
from purebpf.compiler.frontend.annotations import annotation_type
from purebpf.compiler.frontend.callbacks import Body, End
from purebpf.compiler.frontend.lower import Frame, Lowering, lowers
from purebpf.compiler.frontend.names import assigned_names, nonlocals
from purebpf.compiler.frontend.unsupported import UNSUPPORTED
from purebpf.compiler.frontend.values import (
    NONE,
    Bound,
    Const,
    IntValue,
    LocalFunction,
    Ref,
    TupleValue,
    Value,
    count,
    describe,
    with_article,
)
from purebpf.compiler.ir.ops import I32, I64, Op, Ptr, Type
from purebpf.compiler.meaning import spot
from purebpf.lang import idioms
from purebpf.lang.maps import MapDeclaration
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.source import Source

MOST_TRIPS = 1 << 23  # BPF_MAX_LOOPS
E2BIG = 7
ENTRY: tuple[Type, ...] = (Ptr("map"), Ptr("mem"), Ptr("map_value"))  # what the kernel hands over for each entry
WALKED = frozenset(
    {MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH, MapType.ARRAY, MapType.PERCPU_ARRAY}
)
VIEWS = {"items": 2, "keys": 1, "values": 1}


@lowers(ast.FunctionDef)
def function(cx: Lowering, node: ast.FunctionDef) -> None:
    """`def f(i):` inside a program: a function for `bpf.loop` or `for_each`."""
    if node.decorator_list:
        cx.fail(node.decorator_list[0], "a function inside a program cannot be decorated")
    cx.flow.names[node.name] = LocalFunction(node)


@lowers(ast.Nonlocal)
def nonlocal_(cx: Lowering, node: ast.Nonlocal) -> None:
    if not set(node.names) <= cx.frame.shared:
        cx.fail(node, *UNSUPPORTED[ast.Nonlocal])
    for name in node.names:
        if name not in cx.flow.names:
            cx.fail(node, f"`{name}` has no value around this function", hint=f"assign it before the function: `{name} = 0`")


def loop(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.loop(n, f)`: `f(0)` to `f(n - 1)`, until one gives True; how many calls were made."""
    if len(node.args) != 2 or node.keywords:
        cx.fail(node, "`loop` takes (n, f)", hint="bpf.loop(100, f), where `f(i)` gives True to stop")
    helpers.allowed(cx, node, "loop")
    trips = cx.integer(node.args[0], cx.expression(node.args[0]))
    if trips.low < 0 or trips.high >= 1 << 32 or (trips.op.is_const and trips.high > MOST_TRIPS):
        shown = f"{trips.low}..{trips.high}" if trips.low != trips.high else str(trips.low)
        cx.fail(node.args[0], f"`loop` makes 0 to {MOST_TRIPS} calls", shown, "test the number, or cast it: `u32(n)`")
    high = max(0, min(trips.high, MOST_TRIPS) - 1)

    def start(inner: Lowering, ops: list[Op]) -> list[Value]:
        return [IntValue(ops[0], 0, high)]

    body = function_body(cx, node, node.args[1], 1, (I32,), start)
    op = callbacks.run(cx, node, body, lambda function, frame: cx.call("loop", [trips.op, function, frame, cx.const(0)]))
    if trips.high <= MOST_TRIPS:
        return IntValue(op, 0, max(trips.high, 0))
    # The kernel makes none of too many. Where it has inlined the helper, the error has 32 bits (up to 6.18 at least).
    return IntValue(cx.builder.emit("sext", I64, [op], (32,)), -E2BIG, MOST_TRIPS, True)


def for_each(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`m.for_each(f)`: `f(key, value)` for each entry, until one gives True; how many entries were visited."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`for_each` takes (f)", hint=f"{ast.unparse(node.func)}(f), where `f(key, value)` gives True to stop")
    maps.keyed(cx, node, declaration, "walked")

    def start(inner: Lowering, ops: list[Op]) -> list[Value]:
        return list(entry_values(inner, node, declaration, ops))

    body = function_body(cx, node, node.args[0], 2, ENTRY, start)
    return _visit(cx, node, declaration, body)


def _visit(cx: Lowering, node: ast.AST, declaration: MapDeclaration, body: Body) -> IntValue:
    if declaration.kind not in WALKED:
        cx.fail(node, f"a program cannot go over {with_article(type(declaration).__name__)}", hint="user space can")
    helpers.allowed(cx, node, "for_each_map_elem")
    where = helpers.map_op(cx, node, declaration)
    op = callbacks.run(
        cx,
        node,
        body,
        lambda function, frame: cx.call("for_each_map_elem", [where, function, frame, cx.const(0)]),
    )
    return IntValue(op, 0, declaration.max_entries)


def entry_values(inner: Lowering, node: ast.AST, declaration: MapDeclaration, ops: list[Op]) -> tuple[Value, Value]:
    """Key and value of the entry that a callback was given."""
    key = Ref(ops[1], 0, declaration.key_type, "mem", writable=False)
    return memory.load(inner, node, key), memory.load(inner, node, maps.value_ref(inner, declaration, ops[2]))


def function_body(
    cx: Lowering,
    node: ast.Call,
    at: ast.expr,
    arity: int,
    parameters: tuple[Type, ...],
    start: Callable[[Lowering, list[Op]], list[Value]],
    later: bool = False,
) -> Body:
    """The function that an argument names, as something to call back; `later`, when the program has ended."""
    target = cx.expression(at)
    if isinstance(target, LocalFunction):
        definition, own = target.node, assigned_names(target.node.body) | {a.arg for a in target.node.args.args}
        shared = nonlocals(definition)
        if later:
            cx.fail(
                at,
                f"`{definition.name}` is called when this program has ended, without the variables around it",
                hint="define it at module level",
            )
        frame = _local_frame(cx, definition, own - shared)
        return _body(cx, at, definition, definition, arity, parameters, start, frame, shared, frozenset(own - shared), True)
    if isinstance(target, Const) and isinstance(target.value, FunctionType):
        from purebpf.compiler.frontend import functions

        code = target.value
        source: Source = functions._source(cx, at, code)

        def outside() -> Frame:
            return functions.frame_for(cx, code, source)

        return _body(
            cx, at, code.__code__, source.node, arity, parameters, start, outside, frozenset(), frozenset(), False, later
        )
    cx.usable(at, target)
    cx.fail(at, f"a function is wanted here, not {describe(target)}", hint="def f(i):")


def _local_frame(cx: Lowering, definition: ast.FunctionDef, own: set[str]) -> Callable[[], Frame]:
    outer = cx.frame
    types: dict[str, Any] = {}
    noted = [(a.arg, a.annotation) for a in definition.args.args if a.annotation is not None]
    for inner in ast.walk(definition):
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
            noted.append((inner.target.id, inner.annotation))
    for name, annotation in noted:
        layout = annotation_type(cx, annotation)
        if layout is not None:
            types[name] = layout
    cx.unit.meaning.inner[spot(definition, outer.source.file)] = types
    return lambda: callbacks.function_frame(outer, definition, types, own)


def _body(
    cx: Lowering,
    at: ast.expr,
    key: object,
    definition: ast.FunctionDef,
    arity: int,
    parameters: tuple[Type, ...],
    start: Callable[[Lowering, list[Op]], list[Value]],
    frame: Callable[[], Frame],
    shared: frozenset[str],
    hidden: frozenset[str],
    sees: bool,
    later: bool = False,
) -> Body:
    """A function as something to call back, after checking that it can be."""
    from purebpf.compiler.frontend.statements import bind

    names = [a.arg for a in (*definition.args.posonlyargs, *definition.args.args)]
    extra = definition.args.vararg or definition.args.kwarg or definition.args.kwonlyargs or definition.args.defaults
    if len(names) != arity or extra:
        wanted = "one parameter, the index" if arity == 1 else "two parameters, key and value"
        cx.fail(at, f"`{definition.name}` must take {wanted}", f"it has {count(len(names), 'parameter')}")
    if key in cx.unit.active and not later:  # a timer's function may start the timer again
        cx.fail(at, f"`{definition.name}` would call itself", hint="the kernel has no recursion: write a loop")

    def lower(inner: Lowering, ops: list[Op]) -> list[End]:
        cx.unit.active.append(key)
        for name, value in zip(names, start(inner, ops), strict=True):
            bind(inner, definition, name, value)
        inner.statements(definition.body)
        ends: list[End] = list(inner.frame.returns)
        if inner.current is not None:
            ends.append((inner.flow, NONE, definition))
        cx.unit.active.pop()
        return ends

    return Body(definition.name, parameters, frame, lower, shared, hidden, sees, key=key)


# -- `for` over a map


def view(cx: Lowering, node: ast.expr) -> tuple[MapDeclaration, str] | None:
    """The map that a `for` goes over, and which part of the entries; None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VIEWS:
        target = cx.expression(node.func)
        if isinstance(target, Bound) and isinstance(target.receiver, Const):
            declaration = target.receiver.value
            if isinstance(declaration, MapDeclaration) and not node.args and not node.keywords:
                return declaration, node.func.attr
    elif isinstance(node, ast.Name | ast.Attribute):
        value = cx.expression(node)
        if isinstance(value, Const) and isinstance(value.value, MapDeclaration):
            return value.value, "keys"
    return None


def for_map(cx: Lowering, node: ast.For, declaration: MapDeclaration, part: str) -> None:
    """`for k, v in m.items():`, `for k in m:`, `for v in m.values():`: the body is called back for each entry."""
    from purebpf.compiler.frontend.statements import assign

    maps.keyed(cx, node.iter, declaration, "walked")

    def trip(inner: Lowering, ops: list[Op]) -> list[End]:
        key, value = entry_values(inner, node, declaration, ops)
        item = {"items": TupleValue((key, value)), "keys": key, "values": value}[part]
        assign(inner, node.iter, node.target, item)
        inner.statements(node.body)
        ends: list[End] = [(flow, Const(False), node) for flow in inner.frame.loops[0].continues]
        if inner.current is not None:
            ends.append((inner.flow, Const(False), node))
        return ends

    assigned = assigned_names(node.body) | assigned_names([node.target]) | loops.reassigned(cx, node)
    loop = turned.Turned(cx, node, "a loop over a map")
    loop.lower("each", ENTRY, trip, assigned, lambda body: _visit(cx, node, declaration, body))


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {idioms.loop: loop}
