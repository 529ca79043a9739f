"""Statements: assignment, `if`, `match`, `return`, `assert`, `del`, expressions for their effect."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import cast

from purebpf.compiler.frontend import (
    advice,
    atomics,
    calls,
    conditions,
    copies,
    instead,
    maps,
    memory,
    owned,
    promises,
    pure,
    scopes,
    slices,
    tuples,
    verdicts,
)
from purebpf.compiler.frontend.annotations import check_kind, check_result
from purebpf.compiler.frontend.expressions import operate
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.lower import Lowering, lowers
from purebpf.compiler.frontend.values import (
    NONE,
    Bound,
    Conflict,
    Const,
    Fill,
    IntValue,
    KernelRef,
    ListValue,
    MaybeInt,
    MaybeRef,
    Packet,
    Ref,
    TupleValue,
    Unset,
    Value,
    describe,
    known,
)
from purebpf.compiler.meaning import Annotation
from purebpf.data import replace
from purebpf.lang.kernel_types import KernelName
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import BoolType, CharsType, IntType, StructType
from purebpf.tables.enums import MapType


@lowers(ast.Pass)
def pass_(cx: Lowering, node: ast.Pass) -> None:
    return None


@lowers(ast.Expr)
def expression_statement(cx: Lowering, node: ast.Expr) -> None:
    if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return  # a docstring
    if isinstance(node.value, ast.Call):
        target = cx.expression(node.value.func)
        if isinstance(target, Const) and isinstance(target.value, type):
            cx.fail(node, f"this `{ast.unparse(node.value.func)}` is made and dropped", hint="assign it, or delete the line")
        calls.call(cx, node.value)
        if _asks_only(target):
            cx.fail(node, "this call has no effect", "its value is dropped", "assign its value, or delete the line")
        return
    if isinstance(node.value, ast.Constant) and node.value.value is ...:
        cx.fail(node, "`...` has no meaning in a program", hint="write `pass` for an empty block")
    if isinstance(node.value, ast.NamedExpr):
        cx.expression(node.value)
        return
    cx.expression(node.value)
    cx.fail(node, "this expression has no effect", hint="assign its value, or delete the line")


def _asks_only(target: Value) -> bool:
    """Whether a call of it does nothing but give a value."""
    match target:
        case Bound(receiver=Const(MapDeclaration() as declaration), name="get"):
            return declaration.kind != MapType.LRU_HASH  # which keeps what was looked up lately
        case Bound(receiver=Packet(), name="at"):
            return True
        case Bound(receiver=IntValue()):
            return True
        case Const(function):
            return function is not print and pure.computable(function)
    return False


@lowers(ast.Assign)
def assignment(cx: Lowering, node: ast.Assign) -> None:
    made = len(cx.pieces)
    value = cx.expression(node.value)
    for target in node.targets:
        assign(cx, node.value, target, owned.own(cx, node.value, target, value, made))


@lowers(ast.AnnAssign)
def annotated(cx: Lowering, node: ast.AnnAssign) -> None:
    if not isinstance(node.target, ast.Name):
        cx.fail(node, "only a plain name can be annotated in a program")
    if node.value is not None:
        made = len(cx.pieces)
        value = cx.expression(node.value)
        assign(cx, node.value, node.target, owned.own(cx, node.value, node.target, value, made))


def assign(cx: Lowering, node: ast.AST, target: ast.expr, value: Value) -> None:
    """`target = value`; `node` is the value's syntax, for messages."""
    match target:
        case ast.Name(id=name):
            bind(cx, node, name, value)
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            items = tuples.unpacked(cx, node, items_of(cx, node, value, len(targets)), targets)
            places = [t.value if isinstance(t, ast.Starred) else t for t in targets]
            if any(not isinstance(t, ast.Name) for t in places):
                items = [_snapshot(cx, node, t, item) for t, item in zip(places, items, strict=True)]
            for at, t, item in zip(_syntax_of(node, targets), places, items, strict=True):
                assign(cx, at, t, item)
        case ast.Attribute(value=base_node, attr=attr):
            base = cx.expression(base_node)
            if isinstance(base, Ref):
                cx.usable(base_node, base)
                return memory.store_member(cx, target, base, attr, value, node)
            from purebpf.compiler.frontend import context
            from purebpf.compiler.frontend.values import Context

            if isinstance(base, Context):
                return context.assign(cx, target, base, attr, value, node)
            cx.usable(base_node, base)
            if isinstance(base, KernelRef):
                from purebpf.compiler.frontend import kernel_stores

                return kernel_stores.assign_field(cx, target, base, value, node)
            cx.fail(target, f"{describe(base)} has no attribute that a program can assign")
        case ast.Subscript(value=base_node):
            base = cx.expression(base_node)
            if isinstance(base, Const) and isinstance(base.value, MapDeclaration):
                return maps.assign(cx, target, base.value, value, node)
            if isinstance(base, Ref) and isinstance(target.slice, ast.Slice):
                cx.usable(base_node, base)
                if isinstance(base.type, CharsType):
                    cx.fail(target, "a part of a text cannot be assigned", hint="assign the whole text")
                memory.check_assignable(cx, target, base)
                return memory.store(cx, node, slices.part(cx, target, base), value)
            if isinstance(base, Ref):
                cx.usable(base_node, base)
                memory.check_assignable(cx, target, base)
                return memory.store(cx, node, memory.element(cx, target, base, cx.expression(target.slice)), value)
            cx.usable(base_node, base)
            if isinstance(base, KernelRef):
                from purebpf.compiler.frontend import kernel_stores

                return kernel_stores.assign_element(cx, target, base, value, node)
            cx.fail(target, f"{describe(base)} cannot be assigned by index", hint=instead.indexed(target, base))
        case _:
            cx.fail(target, "this cannot be assigned to")


def _syntax_of(node: ast.AST, targets: list[ast.expr]) -> list[ast.AST]:
    """Where each part of an unpacked value is written."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List) else []
    if len(parts) != len(targets) or any(isinstance(part, ast.Starred) for part in (*parts, *targets)):
        return [node] * len(targets)
    return list(parts)


def items_of(cx: Lowering, node: ast.AST, value: Value, count: int) -> list[Value]:
    """What is unpacked, one by one."""
    if isinstance(value, TupleValue):
        return list(value.items)
    if isinstance(value, Const) and isinstance(value.value, tuple | list | str | bytes):
        return [Const(v) for v in value.value]
    cx.usable(node, value)
    if isinstance(value, Ref) and (found := tuples.elements(cx, node, value)) is not None:
        return list(found)
    cx.fail(node, f"{describe(value)} cannot be unpacked into {count} names")


def _snapshot(cx: Lowering, node: ast.AST, target: ast.expr, value: Value) -> Value:
    """A copy of what another part of the same assignment may overwrite (`a.mac, b.mac = b.mac, a.mac`); a name that gets a
    record refers to it."""
    if isinstance(value, Ref) and not (isinstance(target, ast.Name) and isinstance(value.type, StructType)):
        place = memory.temporary(cx, value.type)
        memory.copy(cx, node, place, value)
        return place
    return value


def bind(cx: Lowering, node: ast.AST, name: str, value: Value, types: Mapping[str, Annotation] | None = None) -> None:
    """Give a name a value, narrowed to its annotation (in `types`, the current function's by default) if it has one."""
    _no_list(cx, node, value)
    wanted = (cx.frame.types if types is None else types).get(name)
    if isinstance(value, Fill):
        place = memory.temporary(cx, value.type, name)
        memory.fill(cx, node, place, value)
        value = place
    if isinstance(wanted, KernelName):
        value = _as_kernel_type(cx, node, name, value, cast("KernelName", wanted))
    elif isinstance(wanted, type):
        check_kind(cx, node, f"`{name}`", value, wanted)
    elif isinstance(wanted, IntType | BoolType):
        value = _narrowed(cx, node, value, wanted)
    elif wanted is not None:
        kind = value.type if isinstance(value, Ref) else None
        if kind != wanted and value != NONE and not hasattr(value, "ref"):
            cx.fail(node, f"`{name}` is annotated `{wanted}` and cannot be {describe(value)}")
    cx.flow.names[name] = cx.held(value)


def _as_kernel_type(cx: Lowering, node: ast.AST, name: str, value: Value, wanted: KernelName) -> Value:
    """An object of the kernel by the type of an annotation: another declaration of the same struct is another view of it."""
    from purebpf.compiler.frontend import kernel

    if isinstance(value, Unset | Conflict):
        return value
    if not isinstance(value, KernelRef):
        hint = f"`{wanted.__name__}(address)` is what lies at an address"
        cx.fail(node, f"`{name}` is annotated `{wanted.__name__}` and cannot be {describe(value)}", hint=hint)
    return kernel.annotated(cx, node, value, wanted)


def _no_list(cx: Lowering, node: ast.AST, value: Value) -> None:
    """A list is there where it is written; no name and no result can hold it."""
    if isinstance(value, ListValue):
        cx.fail(
            node,
            "a list lives on the heap, which a program does not have",
            hint="make an array and fill it: `v = bpf.array(u32, 4)`, `v[:] = [1, 2, 3, 4]`, or use a tuple",
        )
    for item in value.items if isinstance(value, TupleValue) else ():
        _no_list(cx, node, item)


def _narrowed(cx: Lowering, node: ast.AST, value: Value, wanted: IntType | BoolType) -> Value:
    """What an annotated variable or result keeps of a value; None stays None."""
    if isinstance(value, MaybeInt):
        return replace(value, inner=memory.clipped(cx, value.inner, wanted))
    return value if value == NONE else memory.kept(cx, node, value, wanted)


@lowers(ast.AugAssign)
def augmented(cx: Lowering, node: ast.AugAssign) -> None:
    """`place op= value`: one read, one write; atomic where the place is shared memory."""
    match node.target:
        case ast.Name(id=name) as target:
            old = cx.expression(ast.copy_location(ast.Name(name, ast.Load()), target)) if name in cx.flow.names else None
            if old is None:
                advice.missing_value(cx, target)
                cx.fail(target, f"`{name}` has no value yet", hint=f"assign it first: `{name} = 0`")
            copies.warn_of_lost_update(cx, node)
            bind(cx, node, name, operate(cx, node, node.op, target, old, node.value, cx.expression(node.value)))
        case ast.Attribute(value=base_node, attr=attr) as target:
            base = cx.expression(base_node)
            if not isinstance(base, Ref):
                load = ast.copy_location(ast.Attribute(base_node, attr, ast.Load()), target)
                return assign(
                    cx,
                    node,
                    target,
                    operate(cx, node, node.op, target, cx.expression(load), node.value, cx.expression(node.value)),
                )
            cx.usable(base_node, base)
            place, field = memory.member(cx, target, base, attr)
            old = memory.load_member(cx, target, base, attr)
            amount = cx.expression(node.value)
            if field.bits or not change(cx, node, place, amount):
                memory.store_member(cx, target, base, attr, operate(cx, node, node.op, target, old, node.value, amount))
        case ast.Subscript(value=base_node) as target:
            base = cx.expression(base_node)
            if isinstance(base, Const) and isinstance(base.value, MapDeclaration):
                return maps.augment(cx, node, target, base.value)
            if isinstance(base, KernelRef):
                old = cx.expression(ast.copy_location(ast.Subscript(base_node, target.slice, ast.Load()), target))
                return assign(cx, node, target, operate(cx, node, node.op, target, old, node.value, cx.expression(node.value)))
            if not isinstance(base, Ref):
                cx.usable(base_node, base)
                cx.fail(target, f"{describe(base)} cannot be assigned by index", hint=instead.indexed(target, base))
            cx.usable(base_node, base)
            place = memory.element(cx, target, base, cx.expression(target.slice))
            old = memory.load(cx, target, place)
            amount = cx.expression(node.value)
            if not change(cx, node, place, amount):
                memory.store(cx, node, place, operate(cx, node, node.op, target, old, node.value, amount))
        case _:
            cx.fail(node.target, "this cannot be assigned to")


def change(cx: Lowering, node: ast.AugAssign, place: Ref, amount: Value) -> bool:
    """Try to make it one atomic instruction."""
    from purebpf.compiler.frontend.arithmetic import SYMBOLS

    return atomics.update(cx, node, place, SYMBOLS[type(node.op)], amount)


@lowers(ast.If)
def if_(cx: Lowering, node: ast.If) -> None:
    yes, no = conditions.test(cx, node.test)
    ends: list[Flow | None] = []
    for flow, body in ((yes, node.body), (no, node.orelse)):
        cx.go(flow)
        if flow is not None:
            cx.last = flow
            cx.statements(body)
        ends.append(cx.current)
    cx.go(cx.join(*ends))
    if cx.current is None and (yes is None or no is None):  # what follows is for when a name that is None here is not None
        cx.last = None


@lowers(ast.Return)
def return_(cx: Lowering, node: ast.Return) -> None:
    if node.value is None:
        promises.check_return(cx, node, NONE)
    value = cx.held(_result(cx, node)) if node.value is not None else NONE
    scopes.leave_function(cx)
    cx.frame.returns.append((cx.flow, value, node.value or node))
    cx.last = cx.flow
    cx.go(None)


def _result(cx: Lowering, node: ast.Return) -> Value:
    """What is returned, narrowed to the annotation of the result."""
    assert node.value is not None
    value, wanted = cx.expression(node.value), cx.frame.result
    _no_list(cx, node.value, value)
    check_result(cx, node, value)
    promises.check_return(cx, node, value)
    value = verdicts.check_action(cx, node.value, value)
    if isinstance(wanted, type):
        check_kind(cx, node.value, f"the result of `{cx.frame.function.__name__}`", value, wanted)
    elif isinstance(wanted, IntType | BoolType) and not isinstance(value, MaybeRef):
        return _narrowed(cx, node.value, value, wanted)
    return value


@lowers(ast.Assert)
def assert_(cx: Lowering, node: ast.Assert) -> None:
    """Checked when the program is compiled, so its condition must be constant."""
    value = cx.expression(node.test)
    holds = bool(value.value) if isinstance(value, Const) else known(value)
    if holds is None:
        cx.fail(
            node.test,
            "`assert` checks constants when the program is compiled",
            "this is known at run time only",
            "use `if` to test at run time",
        )
    if not holds and not cx.flow.dead:
        message = cx.expression(node.msg) if node.msg is not None else None
        text = message.value if isinstance(message, Const) else ast.unparse(node.test)
        cx.fail(node.test, f"assertion failed: {text}")


@lowers(ast.Delete)
def delete(cx: Lowering, node: ast.Delete) -> None:
    for target in node.targets:
        if isinstance(target, ast.Name):
            if target.id not in cx.flow.names:
                cx.fail(target, f"`{target.id}` has no value to delete")
            del cx.flow.names[target.id]
            continue
        base = cx.expression(target.value) if isinstance(target, ast.Subscript) else None
        if not isinstance(target, ast.Subscript) or not isinstance(base, Const) or not isinstance(base.value, MapDeclaration):
            cx.fail(target, "`del` removes a name or a map's entry", hint="`del m[key]`")
        maps.delete_item(cx, target, base.value)
