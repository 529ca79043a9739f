"""The author's functions: the program itself, functions inlined into it, and subprograms.

A function that is small or called once is inlined, so that ranges and records cross the call; another becomes a subprogram of
its own where its arguments allow (see `subprograms.py`). Recursion is refused.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, NoReturn

from purebpf.compiler.frontend import (  # noqa: F401 (loops and patterns register themselves)
    global_subprograms,
    loops,
    owned,
    patterns,
    promises,
    references,
    statements,
    subprograms,
)
from purebpf.compiler.frontend.annotations import annotation_type, check_context
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.lower import Frame, Lowering, Unit
from purebpf.compiler.frontend.names import assigned_names, walk
from purebpf.compiler.frontend.source import Source, source_of
from purebpf.compiler.frontend.values import (
    NONE,
    Conflict,
    Const,
    Context,
    IntValue,
    MaybeInt,
    MaybeRef,
    Value,
    count,
    known,
)
from purebpf.compiler.ir.ops import I64, VOID, Function, Op, Ptr
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.lang.kernel_types import KernelName
from purebpf.tables.enums import ProgramType

INLINE_NODES = 150  # a function of at most so many syntax nodes is inlined wherever it is called
MAX_INLINE_DEPTH = 16


def frame_for(cx: Lowering, function: FunctionType, source: Source) -> Frame:
    """A frame with the function's variables and what their annotations say."""
    node = source.node
    if function.__code__.co_flags & 0x2A0:  # generator, coroutine, async generator
        for inner in ast.walk(node):
            if isinstance(inner, ast.Yield | ast.YieldFrom | ast.Await):
                from purebpf.compiler.diagnostics import ProgramError
                from purebpf.compiler.frontend.unsupported import UNSUPPORTED

                raise ProgramError(UNSUPPORTED[type(inner)][0], source.place(inner), hint=UNSUPPORTED[type(inner)][2])
    parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    local = frozenset(assigned_names(node.body)) | frozenset(parameters)
    frame = Frame(function, source, local)
    cx.frames.append(frame)
    for inner in (inner for statement in node.body for inner in walk(statement)):
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
            layout = annotation_type(cx, inner.annotation)
            if layout is not None:
                if frame.types.get(inner.target.id, layout) != layout:
                    cx.fail(
                        inner,
                        f"`{inner.target.id}` is annotated twice, as `{frame.types[inner.target.id]}` and `{layout}`",
                        hint="an annotation holds in the whole function",
                    )
                frame.types[inner.target.id] = layout
    for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        if argument.annotation is not None:
            layout = annotation_type(cx, argument.annotation)
            if layout is not None:
                frame.types[argument.arg] = layout
    if node.returns is not None:
        frame.result = annotation_type(cx, node.returns)
        if isinstance(frame.result, KernelName):
            frame.result = None  # what is returned says it itself
    if node.args.vararg or node.args.kwarg:
        cx.fail(node, f"`{node.name}` takes `*` or `**` arguments, which a program cannot have", hint="name the parameters")
    cx.frames.pop()
    cx.unit.meaning.annotations[function.__code__] = frame.types, frame.result
    return frame


def lower_program(unit: Unit, function: FunctionType) -> Function:
    """The program itself, whose parameters are made of the context."""
    source = source_of(function)
    fn = Function(unit.name, [], I64)
    cx = Lowering(unit, fn)
    unit.functions[unit.name] = fn
    frame = frame_for(cx, function, source)
    cx.frames.append(frame)
    _check_hook(cx, source)
    if unit.kind.decorator == "freplace":
        global_subprograms.enter_main(cx, frame)
    else:
        cx.context = Op("param", Ptr("ctx"), [], (), None, block=fn.entry)
        fn.params.append(cx.context)
        _bind_parameters(cx, source)
    with cx.at(source.node):
        cx.statements(source.node.body)
        if cx.current is not None:
            frame.returns.append((cx.flow, NONE, source.node))
        finish(cx, frame, unit.kind.returns)
    return fn


def _bind_parameters(cx: Lowering, source: Source) -> None:
    """The context alone, or parameters of what is traced."""
    given, kind = source.node.args, cx.unit.kind
    assert cx.context is not None
    if kind.context in ("ProbeContext", "TracingContext", "IterContext", "StructOpsContext"):
        from purebpf.compiler.frontend import parameters

        return parameters.bind(cx, source)
    if kind.type in (ProgramType.SYSCALL, ProgramType.RAW_TRACEPOINT_WRITABLE):
        from purebpf.compiler.frontend import buffers

        return buffers.bind(cx, source)
    names = [*given.posonlyargs, *given.args]
    if len(names) != 1 or given.kwonlyargs:
        by_name = kind.decorator == "raw_tracepoint" and len(source.node.args.args) > 0
        hint = f'`@bpf.tp_btf("{cx.unit.hook}")` takes the arguments of the event by their names' if by_name else ""
        what = f"a program takes one parameter, its context: `def {source.node.name}(ctx: bpf.{kind.context}):`"
        cx.fail(source.node, what, hint=hint)
    check_context(cx, names[0])
    cx.flow.names[names[0].arg] = Context(cx.context)


def _check_hook(cx: Lowering, source: Source) -> None:
    """An event that the kernel does not have is an error at the decorator."""
    from purebpf.lang import hooks

    if cx.unit.kind.of is not None:
        return
    unknown = hooks.unknown_elsewhere if cx.unit.options.btf else hooks.unknown
    reason = unknown(cx.unit.kind, cx.unit.hook)
    if reason is not None:
        cx.fail(source.node.decorator_list[0] if source.node.decorator_list else source.node, reason)


def finish(cx: Lowering, frame: Frame, returns: str) -> None:
    """One exit for all returns of a program or subprogram."""
    live = [entry for entry in frame.returns if not entry[0].dead]
    if cx.never:
        results = [value for _, value, _ in live if value != NONE]
        usual = next((v for v in results if known(v) is not None), Const(0) if results or returns else NONE)
        live += [(flow, usual, frame.source.node.body[-1]) for flow in cx.never if not flow.dead]
    some = [(flow, value, node) for flow, value, node in live if value != NONE]
    for flow, _, node in live:
        references.check_end(cx, flow, node)
    for flow, value, node in live:
        if value == NONE and (some or returns):
            where = node if node is not frame.source.node else frame.source.node.body[-1]
            what = f"returns {returns}" if returns else "returns a value elsewhere"
            if node is frame.source.node:
                cx.fail(
                    where,
                    f"`{frame.function.__name__}` can end without a result",
                    f"it {what}",
                    promises.what_is_missing(frame.source.node.body[-1]),
                )
            nothing = node if isinstance(node, ast.expr) and not isinstance(node, ast.Constant) else None
            message = f"`{ast.unparse(nothing)}` is None here" if nothing is not None else "this `return` gives no result"
            cx.fail(where, message, f"the {'program' if returns else 'function'} {what}")
        cx.go(flow)
        flow.names = {"?": cx.integer(node, value, "a result") if value != NONE else cx.int_const(0)}
    for flow, value, node in frame.returns:
        if flow.dead and value != NONE:
            cx.go(flow)
            cx.usable(node, value)
    end = cx.join(*(flow for flow, _, _ in live))
    cx.go(end)
    if end is None:
        return
    number = end.names["?"]
    if isinstance(number, Conflict):
        name = frame.function.__name__
        cx.fail(
            frame.source.node,
            f"`{name}` returns {number.first} on one way and {number.second} on another",
            hint=f"annotate its result: `def {name}(...) -> s64:`, or cast what it returns",
        )
    assert isinstance(number, IntValue)
    cx.builder.block.ops.append(Op("ret", VOID, [number.op], (), cx.builder.loc, block=cx.builder.block))


def call_partial(cx: Lowering, node: ast.Call, partial: functools.partial[Any]) -> Value:
    """A call of `functools.partial(function, ...)`: some arguments are constants, given at module level."""
    given = [(node.func, Const(value)) for value in partial.args]
    keywords = {name: (node.func, Const(value)) for name, value in partial.keywords.items()}
    assert isinstance(partial.func, FunctionType)
    return call(cx, node, partial.func, given, keywords)


def call(
    cx: Lowering,
    node: ast.Call,
    function: FunctionType,
    first: Sequence[tuple[ast.expr, Value]] = (),
    named: Mapping[str, tuple[ast.expr, Value]] | None = None,
) -> Value:
    """A call of a plain function. Before the call's own arguments come `first` (the record of a method, the constants of a
    `partial`); `named` are given by name unless the call does."""
    if any(frame.function.__code__ is function.__code__ for frame in cx.frames) or function.__code__ in cx.unit.active:
        cx.fail(node, f"`{function.__name__}` calls itself, which the kernel cannot do", hint="write a loop")
    source = _source(cx, node, function)
    given = [*first, *((a, cx.expression(a)) for a in node.args)]
    keywords = {**(named or {}), **{k.arg: (k.value, cx.expression(k.value)) for k in node.keywords if k.arg}}
    arguments = _arguments(cx, node, function, source, given, keywords)
    promises.check_arguments(cx, function, source, arguments)
    if global_subprograms.is_global(function):
        return global_subprograms.call(cx, node, function, frame_for(cx, function, source), arguments)
    if not _inlined(cx, function, source):
        result = subprograms.call(cx, node, function, frame_for(cx, function, source), arguments)
        if result is not None:
            return result
    return inline(cx, node, function, source, arguments)


def _source(cx: Lowering, node: ast.AST, function: FunctionType) -> Source:
    from purebpf.compiler.diagnostics import ProgramError

    try:
        return source_of(function)
    except ProgramError as error:
        cx.fail(node, error.message, error.label, error.hint)


def _arguments(
    cx: Lowering,
    node: ast.Call,
    function: FunctionType,
    source: Source,
    given: list[tuple[ast.expr, Value]],
    keywords: dict[str, tuple[ast.expr, Value]],
) -> dict[str, tuple[ast.AST, Value]]:
    """Python's own rules for matching arguments with parameters; defaults are those of the function object."""
    parameters = source.node.args
    if parameters.vararg or parameters.kwarg:
        _variadic(cx, node, function)
    positional = [a.arg for a in (*parameters.posonlyargs, *parameters.args)]
    if len(given) > len(positional):
        only = [a.arg for a in parameters.kwonlyargs if a.arg not in keywords]
        cx.fail(
            given[len(positional)][0],
            f"`{function.__name__}` takes {count(len(positional), 'positional argument' if only else 'argument')}, "
            f"not {len(given)}",
            hint=f"`{only[0]}` is given by keyword: `{only[0]}=...`" if only else "",
        )
    words: dict[str, ast.keyword] = {k.arg: k for k in node.keywords if k.arg}
    bound: dict[str, tuple[ast.AST, Value]] = {name: (at, value) for name, (at, value) in zip(positional, given, strict=False)}
    named = [a.arg for a in (*parameters.args, *parameters.kwonlyargs)]
    for name, (at, value) in keywords.items():
        if name in bound:
            cx.fail(words.get(name, node), f"`{function.__name__}` got `{name}` twice")
        if name in [a.arg for a in parameters.posonlyargs]:
            cx.fail(
                words.get(name, node),
                f"`{function.__name__}` takes `{name}` by position only",
                hint="leave out the name and mind the order",
            )
        if name not in named:
            cx.fail(
                words.get(name, node),
                f"`{function.__name__}` has no parameter `{name}`",
                hint=f"its parameters are: {', '.join(named)}" if named else "it has none that can be named",
            )
        bound[name] = (at, value)
    defaults: dict[str, Any] = dict(
        zip(positional[len(positional) - len(function.__defaults__ or ()) :], function.__defaults__ or (), strict=True)
    )
    defaults |= function.__kwdefaults__ or {}
    for name in (*positional, *(a.arg for a in parameters.kwonlyargs)):
        if name not in bound:
            if name not in defaults:
                cx.fail(node, f"`{function.__name__}` needs an argument for `{name}`")
            bound[name] = (node, Const(defaults[name]))
    return bound


def _variadic(cx: Lowering, node: ast.Call, function: FunctionType) -> NoReturn:
    if hasattr(function, "__wrapped__"):
        wrapped(cx, node, function)
    cx.fail(
        node,
        f"`{function.__name__}` takes `*` or `**` arguments, which a program cannot have",
        hint="name the parameters, or write one function for each number of them",
    )


def wrapped(cx: Lowering, node: ast.Call, function: Any) -> NoReturn:
    """A decorator put something else in the place of a plain function."""
    cx.fail(
        node,
        f"`{ast.unparse(node.func)}` is wrapped by a decorator that takes any arguments",
        "the decorator would run in the kernel too",
        f"call the function that it wraps: keep `{getattr(function, '__name__', 'it')}` plain, decorate it under another name",
    )


def _inlined(cx: Lowering, function: FunctionType, source: Source) -> bool:
    """Small functions and functions that are called once are inlined."""
    if sum(1 for _ in ast.walk(source.node)) <= INLINE_NODES:
        return True
    if not cx.unit.call_counts:
        _count_calls(cx.unit, cx.frames[0].function, set())
    return cx.unit.call_counts.get(function.__code__, 0) <= 1


def _count_calls(unit: Unit, function: FunctionType, seen: set[object]) -> None:
    """How often each function is called by name, from the program down."""
    if function.__code__ in seen:
        return
    seen.add(function.__code__)
    try:
        source = source_of(function)
    except Error:
        return  # told when the call itself is lowered
    closure = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
    for inner in ast.walk(source.node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name):
            cell = closure.get(inner.func.id)
            target = cell.cell_contents if cell is not None else function.__globals__.get(inner.func.id)
            if isinstance(target, FunctionType):
                unit.call_counts[target.__code__] = unit.call_counts.get(target.__code__, 0) + 1
                _count_calls(unit, target, seen)


def inline(
    cx: Lowering, node: ast.Call, function: FunctionType, source: Source, arguments: dict[str, tuple[ast.AST, Value]]
) -> Value:
    """Lower the body in place; the results of its returns join."""
    if len(cx.frames) > MAX_INLINE_DEPTH:
        cx.fail(node, f"calls are nested deeper than {MAX_INLINE_DEPTH}")
    frame = frame_for(cx, function, source)
    frame.call = node
    outer = cx.flow.names
    loc = cx.builder.loc
    cx.flow.names = {}
    for name, (at, value) in arguments.items():
        statements.bind(cx, at, name, owned.argument(cx, frame, at, name, value), frame.types)
    cx.frames.append(frame)
    cx.last = cx.current
    cx.statements(source.node.body)
    if cx.current is not None:
        promises.check_end(cx, frame)
        frame.returns.append((cx.flow, NONE, source.node))
    cx.frames.pop()
    cx.builder.loc = loc
    ends: list[Flow] = []
    for flow, value, _ in frame.returns:
        flow.names = {"?": value}
        ends.append(flow)
    dead = cx.flow if cx.current is not None else None
    cx.go(cx.join(*ends))
    if cx.current is None:
        cx.go(dead or cx.unreachable_flow())
        cx.flow.names["?"] = Const(0)
    result = cx.flow.names.pop("?")
    cx.flow.names = dict(outer)
    cx.last = cx.current
    if isinstance(result, Conflict):
        cx.fail(node, f"`{function.__name__}` returns {result.first} on one way and {result.second} on another")
    if isinstance(result, MaybeInt | MaybeRef) and any(value == NONE for _, value, _ in frame.returns):
        return replace(result, why=f"`{function.__name__}` gives None on one way to its end")
    return result
