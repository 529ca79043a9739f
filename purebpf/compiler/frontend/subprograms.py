"""Functions of their own: compiled once for each kind of arguments, called with at most five.

An argument is an integer of its annotated type, the context, or a reference: to a record, text or array in the packet, a map or
the stack. What is known when the program is compiled (a map, a type, a function) is no argument: there is a function for each.
A result is an integer or a reference into a map. Anything else is inlined. The verifier goes through such a function at every
call, with the caller's ranges.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FunctionType

from purebpf.compiler.frontend import helpers, maps, memory, promises, rcu, statements
from purebpf.compiler.frontend.lower import Frame, Lowering, NeedsInlining, Subprogram
from purebpf.compiler.frontend.values import NONE, Conflict, Const, Context, IntValue, MaybeRef, Ref, Value, parts, rebuilt
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Function, Op, Ptr, Type
from purebpf.data import replace
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import BoolType, IntType, kept_fields

MOST_ARGUMENTS = 5
REGIONS = ("stack", "map_value", "packet", "mem")
Arguments = dict[str, tuple[ast.AST, Value]]


def call(cx: Lowering, node: ast.Call, function: FunctionType, frame: Frame, arguments: Arguments) -> Value | None:
    """Call it as a function of its own; None when its arguments or its result need inlining."""
    if rcu.is_held(cx) and not cx.unit.options.may_goto:
        return None  # before Linux 6.9 a subprogram ends without the lock
    values = _bound(cx, frame, arguments)
    kinds = {name: _kind(value, frame.types.get(name)) for name, value in values.items()}
    if None in kinds.values():
        return None
    key = (function, *kinds.values())
    if key not in cx.unit.subprograms:
        cx.unit.subprograms[key] = _lower(cx, function, frame, values)
    made = cx.unit.subprograms[key]
    if made is None:
        return None
    passed = [_passed(cx, arguments[name][0], value, frame.types.get(name)) for name, value in values.items()]
    ops = [op for op in passed if op is not None]
    cx.refuse_call(f"`{function.__name__}`")
    rcu.refuse_sleeping(cx, node, made.name, function.__name__)
    cx.forget()
    cx.repeated += cx.unit.costs.get(made.name, 0)
    maps.changed(cx)
    if made.moves_packet:
        helpers.changed(cx)
    results = parts(made.result)
    op = cx.builder.emit("callsub", results[0].type if isinstance(results[0].type, Ptr) else I64, ops, (made.name,))
    return NONE if made.nothing else rebuilt(made.result, [op])


def _bound(cx: Lowering, frame: Frame, arguments: Arguments) -> dict[str, Value]:
    """What the parameters get, integers narrowed to their annotations."""
    outer = dict(cx.flow.names)
    values = {}
    for name, (at, value) in arguments.items():
        if isinstance(frame.types.get(name), IntType | BoolType):
            statements.bind(cx, at, name, value, frame.types)
            value = cx.flow.names[name]
        values[name] = value
    cx.flow.names = outer
    return values


def _kind(value: Value, annotated: object) -> object | None:
    """What the function is compiled for: equal for arguments that can share it; None for what must be inlined."""
    match value:
        case Context():
            return "context"
        case IntValue() if isinstance(annotated, IntType | BoolType):
            return annotated
        case Const(MapDeclaration(reached=Op())):
            return None
        case Const(MapDeclaration() | FunctionType() | type() as known):
            return ("constant", id(known))
        case Ref() if value.region in REGIONS and (value.region != "stack" or memory.alignment(value) >= value.type.align):
            return (value.type, value.region, value.shared, value.writable, id(value.owner) if kept_fields(value.type) else 0)
        case MaybeRef(ref=ref) if ref.region == "map_value" and not ref.offset:
            return ("maybe", ref.type, ref.shared, ref.writable, id(ref.owner) if kept_fields(ref.type) else 0)
    return None


def _passed(cx: Lowering, node: ast.AST, value: Value, annotated: object) -> Op | None:
    """The op of an argument; None for what the function knows by itself."""
    match value:
        case Const():
            return None
        case Ref():
            cx.usable(node, value)
            return cx.moved(cx.flow, value).op
        case IntValue() if isinstance(annotated, IntType | BoolType):
            return memory.clipped(cx, value, annotated).op
    return parts(value)[0]


def _lower(cx: Lowering, function: FunctionType, frame: Frame, values: dict[str, Value]) -> Subprogram | None:
    """Lower a function on its own; None if it turns out to need inlining."""

    def enter(inner: Lowering) -> None:
        for parameter, value in values.items():
            inner.flow.names[parameter] = _parameter(inner, value, frame.types.get(parameter))
        if len(inner.fn.params) > MOST_ARGUMENTS:
            raise NeedsInlining

    try:
        return lower(cx, function, frame, enter)
    except NeedsInlining:
        return None


def lower(cx: Lowering, function: FunctionType, frame: Frame, enter: Callable[[Lowering], None]) -> Subprogram | None:
    """Lower a function on its own, `enter` its parameters; None if its result cannot leave it. Raises NeedsInlining."""
    unit = cx.unit
    name, n = function.__name__, 1
    while name in unit.functions:
        n += 1
        name = f"{function.__name__}_{n}"
    fn = Function(name, [], I64)
    inner = Lowering(unit, fn)
    inner.frames.append(frame)
    unit.active.append(function.__code__)
    unit.functions[name] = fn
    results = len(unit.meaning.results)
    result: Value | None = None
    try:
        with inner.at(frame.source.node):
            enter(inner)
            inner.statements(frame.source.node.body)
            if inner.current is not None:
                promises.check_end(inner, frame)
                frame.returns.append((inner.flow, NONE, frame.source.node))
            result = _finish(inner, frame)
    finally:
        unit.active.pop()
        unit.meaning.settle(results, result is not None)
        if result is None:
            del unit.functions[name]
    if result is None:
        return None
    unit.costs[name] = inner.cost
    moved = any(flow.generation for flow, _, _ in frame.returns)
    return Subprogram(name, result if result != NONE else IntValue(inner.const(0), 0, 0), result == NONE, moved)


def _parameter(inner: Lowering, value: Value, annotated: object) -> Value:
    """A parameter as the function sees it."""
    if isinstance(value, Const):
        return value
    fn = inner.fn

    def param(type: Type) -> Op:
        op = Op("param", type, [], (), None, block=fn.entry)
        fn.params.append(op)
        return op

    match value:
        case Context():
            inner.context = param(Ptr("ctx"))
            return Context(inner.context)
        case Ref():
            return replace(value, op=param(value.op.type), offset=0, generation=0)
        case MaybeRef():
            op = param(value.op.type)
            return replace(value, op=op, ref=replace(value.ref, op=op, generation=0))
    if isinstance(annotated, IntType):
        op = param(I32 if not annotated.signed and annotated.bits <= 32 else I64)
        return IntValue(op, annotated.low, annotated.high, annotated.signed)
    return IntValue(param(BOOL), 0, 1, False, True)


def _finish(inner: Lowering, frame: Frame) -> Value | None:
    """Join the returns; gives the result's shape (NONE: nothing), or None if it cannot leave the function."""
    from purebpf.compiler.frontend.functions import finish

    live = [value for flow, value, _ in frame.returns if not flow.dead]
    numbers = [value for value in live if isinstance(value, IntValue)]
    if all(value == NONE or isinstance(value, IntValue) for value in live):
        finish(inner, frame, "")
        if not numbers:
            return NONE
        low, high = min(n.low for n in numbers), max(n.high for n in numbers)
        signed, boolean = any(n.signed or n.low < 0 for n in numbers), all(n.boolean for n in numbers)
        return IntValue(numbers[0].op, low, high, signed, boolean)
    if inner.never:
        return None
    ends = [(flow, value) for flow, value, _ in frame.returns if not flow.dead]
    for flow, value in ends:
        flow.names = {"?": value}
    inner.go(inner.join(*(flow for flow, _ in ends)))
    result = inner.flow.names["?"]
    if isinstance(result, Conflict) or not isinstance(result, Ref | MaybeRef):
        return None
    ref = result.ref if isinstance(result, MaybeRef) else result
    if ref.region != "map_value":
        return None
    if isinstance(result, Ref):
        result = inner.moved(inner.flow, result)
    elif ref.offset:
        return None
    inner.fn.result = result.op.type
    inner.builder.block.ops.append(Op("ret", VOID, [result.op], (), inner.builder.loc, block=inner.builder.block))
    return result
