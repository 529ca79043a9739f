"""Global subprograms: functions marked `@bpf.global_subprogram`, which the kernel verifies once, by themselves.

The verifier knows nothing of their arguments but the types (Linux 5.6; pointers to records 5.12). So the function narrows its
integers itself, and tests each reference: it may be 0 for all the verifier knows.

    caller:    q: ptr mem? = guard p what=lent; callsub f q, n
    function:  if q == 0: ret 0; n = and n, 0xff; ...
"""

from __future__ import annotations

import ast
from types import FunctionType
from typing import NoReturn

from purebpf.compiler.frontend import helpers, maps, memory, rcu, scopes, subprograms
from purebpf.compiler.frontend.annotations import annotation_value, check_context
from purebpf.compiler.frontend.lower import Frame, Lowering, NeedsInlining, Subprogram
from purebpf.compiler.frontend.values import (
    EITHER,
    NONE,
    S64_HIGH,
    S64_LOW,
    U64,
    Const,
    Context,
    IntValue,
    MaybeRef,
    Ref,
    Value,
    describe,
    named,
    rebuilt,
)
from purebpf.compiler.ir.ops import BOOL, I64, Op, Ptr
from purebpf.compiler.signatures import CONTEXT, Parameter, Signature, context_struct
from purebpf.data import data, replace
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.subprograms import MARK
from purebpf.lang.types import BoolType, IntType, StructType, kept_fields, type_of

ANY = Ptr("mem", nullable=True)
FEATURE, RECORDS = "global subprograms", "records as arguments of global subprograms"


@data
class Passed:
    """One argument: its op (None for what the function knows by itself), and what tells this function from others made of the
    same source."""

    op: Op | None
    key: object = None


def is_global(function: FunctionType) -> bool:
    return hasattr(function, MARK)


def call(cx: Lowering, node: ast.Call, function: FunctionType, frame: Frame, arguments: subprograms.Arguments) -> Value:
    """Call a function that is verified by itself."""
    described = _described(cx, frame)
    passed = [_passed(cx, function, p, *arguments[p.name]) for p in described]
    key = ("global", function, *(each.key for each in passed))
    if key not in cx.unit.subprograms:
        values = {p.name: arguments[p.name][1] for p in described}
        cx.unit.subprograms[key] = _lower(cx, function, frame, described, values)
    made = cx.unit.subprograms[key]
    assert made is not None
    cx.refuse_call(f"`{function.__name__}`")
    rcu.refuse_sleeping(cx, node, made.name, function.__name__)
    cx.forget()
    maps.changed(cx)
    if made.moves_packet:
        helpers.changed(cx)
    op = cx.builder.emit("callsub", I64, [each.op for each in passed if each.op is not None], (made.name,))
    return NONE if made.nothing else rebuilt(made.result, [op])


# -- parameters


def _described(cx: Lowering, frame: Frame) -> tuple[Parameter, ...]:
    """The parameters by their annotations."""
    node = frame.source.node
    cx.frames.append(frame)
    parameters = tuple(_parameter(cx, each) for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
    if sum(not isinstance(p.type, type) for p in parameters) > subprograms.MOST_ARGUMENTS:
        cx.fail(
            node,
            f"`{node.name}` takes more than {subprograms.MOST_ARGUMENTS} arguments, which a global subprogram cannot",
            hint="put some of them into a record, or leave out `@bpf.global_subprogram`",
        )
    cx.frames.pop()
    return parameters


def _parameter(cx: Lowering, argument: ast.arg) -> Parameter:
    name, annotation = argument.arg, argument.annotation
    if annotation is None:
        cx.fail(
            argument,
            f"`{name}` of a global subprogram needs a type",
            "the kernel verifies the function by itself, and knows nothing else of its arguments",
            f"`{name}: u32`, or a `@bpf.struct`",
        )
    node, nullable = _without_none(annotation)
    value = annotation_value(cx, node)
    if hasattr(value, "__bpf_context__"):
        check_context(cx, argument)
        if not context_struct(cx.unit.kind.type):
            cx.fail(
                argument,
                f"a global subprogram of a `@bpf.{cx.unit.kind.decorator}` program cannot have the context",
                "the kernel has no name for its type",
                "hand over the fields that it needs",
            )
        return Parameter(name, CONTEXT)
    layout = type_of(value)
    if isinstance(layout, StructType) and kept_fields(layout):
        cx.fail(
            argument,
            f"`{name}` cannot be {named(layout)}: its `{kept_fields(layout)[0].name}` is the kernel's",
            hint="hand over the key, and look the record up inside",
        )
    if isinstance(layout, StructType) or (isinstance(layout, IntType | BoolType) and not nullable):
        return Parameter(name, layout, nullable)
    if isinstance(value, type) and issubclass(value, MapDeclaration):
        return Parameter(name, value)
    cx.fail(
        argument,
        f"`{ast.unparse(annotation)}` is no type for a parameter of a global subprogram",
        "there are u8 to s64, bool, records (`T` and `T | None`), maps and the context",
        "put texts, bytes and arrays into a `@bpf.struct`" if value in (str, bytes, list) else f"`{name}: u64`",
    )


def _without_none(node: ast.expr) -> tuple[ast.expr, bool]:
    """`T` and whether it was `T | None`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        inner = ast.parse(node.value, mode="eval").body
        for part in ast.walk(inner):
            ast.copy_location(part, node)
        node = inner
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        for side, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(other, ast.Constant) and other.value is None:
                return side, True
    return node, False


# -- the caller's side


def _passed(cx: Lowering, function: FunctionType, wanted: Parameter, at: ast.AST, value: Value) -> Passed:
    match wanted.type, value:
        case "context", Context(op=op):
            return Passed(op)
        case IntType() as layout, _:
            return Passed(memory.fitted(cx, at, value, layout.low, layout.high, str(layout)).op)
        case BoolType(), _:
            return Passed(cx.integer(at, value, "a bool").op)
        case StructType() as layout, _:
            return _reference(cx, function, wanted, layout, at, value)
        case type() as declared, Const(known) if isinstance(known, declared):
            return Passed(None, id(known))
    return _mismatch(cx, function, wanted, at, value)


def _reference(
    cx: Lowering, function: FunctionType, wanted: Parameter, layout: StructType, at: ast.AST, value: Value
) -> Passed:
    """A reference to a record, as plain memory."""
    if value == NONE and wanted.nullable:
        return Passed(cx.builder.const(0, ANY), True)  # most records lie in shared maps: no function for this alone
    if isinstance(value, MaybeRef) and (not wanted.nullable or value.ref.offset):
        if not wanted.nullable:
            cx.usable(at, value)
        value = maps.if_there(cx, value, lambda ref: cx.moved(cx.flow, ref), lambda: NONE)
    ref = value.ref if isinstance(value, MaybeRef) else value
    if not isinstance(ref, Ref) or ref.type != layout:
        return _mismatch(cx, function, wanted, at, value)
    cx.usable(at, ref)
    if not ref.writable or ref.region not in (*subprograms.REGIONS, EITHER):
        cx.fail(
            at,
            f"{describe(ref)} that can only be read cannot be handed to the global subprogram `{function.__name__}`",
            "for all that the kernel knows it is written there",
            "hand over its fields, or leave out `@bpf.global_subprogram`",
        )
    op = value.op if isinstance(value, MaybeRef) else cx.moved(cx.flow, ref).op
    return Passed(cx.builder.emit("guard", ANY, [op], ("lent", 0, 0)), ref.shared)


def _mismatch(cx: Lowering, function: FunctionType, wanted: Parameter, at: ast.AST, value: Value) -> NoReturn:
    layout = wanted.type
    if isinstance(layout, str):
        what = f"the {layout}"
    else:
        what = f"a `bpf.{layout.__name__}`" if isinstance(layout, type) else named(layout)
    hint = f"annotate it `{wanted.name}: {layout} | None`" if value == NONE and isinstance(layout, StructType) else ""
    cx.fail(at, f"`{wanted.name}` of `{function.__name__}` is {what}, not {describe(value)}", hint=hint)


# -- the function's side


def _lower(
    cx: Lowering, function: FunctionType, frame: Frame, parameters: tuple[Parameter, ...], values: dict[str, Value]
) -> Subprogram:
    def enter(inner: Lowering) -> None:
        for parameter in parameters:
            inner.flow.names[parameter.name] = _entered(inner, parameter, values[parameter.name])

    try:
        made = subprograms.lower(cx, function, frame, enter)
    except NeedsInlining as reason:
        made = None
        why = str(reason)
    else:
        why = "its result is an integer, a bool or nothing"
    if made is None or not (made.nothing or isinstance(made.result, IntValue)):
        cx.frames.append(frame)
        cx.fail(frame.source.node, f"`{function.__name__}` cannot be a global subprogram", why, "leave out the decorator")
    types = (p for p in parameters if not isinstance(p.type, type))
    cx.unit.global_[made.name] = Signature(tuple(types), frame.result)
    cx.unit.requires[FEATURE] = None
    if any(isinstance(p.type, StructType) for p in parameters):
        cx.unit.requires[RECORDS] = None
    return made


def enter_main(cx: Lowering, frame: Frame) -> None:
    """The parameters of a program that replaces a global subprogram: it is called as one, and verified like one."""
    cx.frames.pop()
    described = _described(cx, frame)
    cx.frames.append(frame)
    for parameter in described:
        cx.flow.names[parameter.name] = _entered(cx, parameter, NONE)
    cx.unit.global_[cx.unit.name] = Signature(described, frame.result)


def _entered(inner: Lowering, parameter: Parameter, value: Value) -> Value:
    """A parameter as the function sees it."""
    if isinstance(value, Const) and isinstance(parameter.type, type):
        return value
    kind = Ptr("ctx") if parameter.type == CONTEXT else ANY if isinstance(parameter.type, StructType) else I64
    op = Op("param", kind, [], (), None, block=inner.fn.entry)
    inner.fn.params.append(op)
    match parameter.type:
        case StructType() as layout:
            return _record(inner, op, parameter, Ref(op, 0, layout, "mem", _shared(value)))
        case IntType(signed=signed) as layout:
            low, high = (S64_LOW, S64_HIGH) if signed else (0, U64)
            return memory.clipped(inner, IntValue(op, low, high, signed), layout)
        case BoolType() as layout:
            return memory.clipped(inner, IntValue(op, 0, U64), layout)
    inner.context = op
    return Context(op)


def _shared(value: Value) -> bool:
    ref = value.ref if isinstance(value, MaybeRef) else value
    return value == NONE or (isinstance(ref, Ref) and ref.shared)


def _record(inner: Lowering, op: Op, parameter: Parameter, ref: Ref) -> Value:
    if parameter.nullable:
        return MaybeRef(op, ref, f"`{parameter.name}` is None where the caller has nothing to hand over")
    yes, no = inner.branch(inner.builder.emit("ne", BOOL, [op, inner.builder.const(0, ANY)]))
    scopes.never(inner, no)
    inner.go(yes)
    inner.last = inner.current
    return replace(ref, op=inner.builder.emit("guard", Ptr("mem"), [op], ("nonnull", 0, 0)))
