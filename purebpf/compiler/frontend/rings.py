"""Ring buffers in a program: `emit`, `with ring.reserve() as record:`, `discard`, `dropped`.

A reserved record lies in the ring itself. It must be submitted or discarded on every way to the program's end, which the
verifier checks; the scope of the `with` does it. What a flow's state keeps under `open_name` is the record while it is open.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import memory, scopes
from purebpf.compiler.frontend.values import NONE, Const, Dynptr, IntValue, MaybeRef, Ref, Unset, Value, describe, known, named
from purebpf.compiler.ir.ops import BOOL, I64, VOID, Op, Ptr
from purebpf.data import replace
from purebpf.lang.types import StructType, Type, type_of

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.lang.rings import RingBuf

MAYBE = Ptr("mem", nullable=True)
OPEN = "open record "


def open_name(record: Op) -> str:
    return f"{OPEN}{id(record)}"


def origin(op: Op) -> Op:
    """What a pointer was made from."""
    while op.kind in ("guard", "add"):
        op = op.args[0]
    return op


def is_record(op: Op) -> bool:
    return op.kind == "call" and op.imm[0] == "ringbuf_reserve"


def closed(cx: Lowering, ref: Ref) -> bool:
    """Whether a reference goes to a record that has been handed over, or may have been."""
    record = origin(ref.op)
    if record.kind == "call" and record.imm[0] == "dynptr_data":
        from purebpf.compiler.frontend import dynptrs

        return not dynptrs.is_open(cx, record.args[0])
    if not is_record(record):
        return False
    held = cx.flow.state.get(open_name(record))
    return not isinstance(held, MaybeRef) or held.op is not record


def _map(cx: Lowering, node: ast.AST, ring: RingBuf[Any]) -> Op:
    from purebpf.compiler.frontend.helpers import map_op

    return map_op(cx, node, ring)


def _losses(cx: Lowering, node: ast.AST, ring: RingBuf[Any]) -> Op:
    """The address of the counter of dropped records."""
    ring.losses.name = ring.losses.name or f"{_map(cx, node, ring).imm[0]}.dropped"
    name = cx.unit.map_name(ring.losses, ring.losses.name)
    return cx.builder.emit("map_value", Ptr("map_value"), [], (name, 0))


def count_loss(cx: Lowering, node: ast.AST, ring: RingBuf[Any]) -> None:
    cx.forget()
    cx.builder.emit("atomic", VOID, [_losses(cx, node, ring), cx.const(1)], ("add", 8, 0, 0))


def dropped(cx: Lowering, node: ast.AST, ring: RingBuf[Any]) -> Value:
    """`ring.dropped`: how many records found no room so far."""
    op = cx.builder.emit("load", I64, [_losses(cx, node, ring)], (8, 0, 0))
    return IntValue(op, 0, (1 << 64) - 1)


def _reserve(cx: Lowering, node: ast.AST, ring: RingBuf[Any], type: Type) -> MaybeRef:
    from purebpf.compiler.frontend.helpers import allowed

    allowed(cx, node, "ringbuf_reserve")
    op = cx.call("ringbuf_reserve", [_map(cx, node, ring), cx.const(type.size), cx.const(0)], MAYBE)
    return MaybeRef(op, Ref(op, 0, type, "mem"), f"`{ast.unparse(node)}` gives None when the ring is full")


def _is_there(cx: Lowering, op: Op) -> Op:
    return cx.builder.emit("ne", BOOL, [op, cx.builder.const(0, MAYBE)])


def _plain(cx: Lowering, found: MaybeRef) -> Ref:
    return replace(found.ref, op=cx.builder.emit("guard", Ptr("mem"), [found.op], ("nonnull", 0, 0)))


def _give_back(cx: Lowering, helper: str, record: Ref, flags: Op) -> None:
    cx.call(helper, [record.op, flags], VOID)


def emit(cx: Lowering, node: ast.Call, ring: Any) -> Value:
    """`ring.emit(record)`: True, or False when the ring is full. A record that is made here is built in the ring."""
    from purebpf.compiler.frontend.calls import given_fields, write_fields
    from purebpf.compiler.frontend.maps import arguments

    layout = ring.value_type
    value_node = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "record"), node)
    if isinstance(value_node, ast.Dict):
        pairs = zip(value_node.keys, value_node.values, strict=True)
        named_ones = [(key.value, item) for key, item in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)]
        written = ", ".join(f"{key}={ast.unparse(item)}" for key, item in named_ones)
        hint = f"`{ast.unparse(node.func)}({layout}({written}))`"
        cx.fail(value_node, f"`{ring.name}` takes {named(layout)}, not a dict", hint=hint)
    if value_node is node and node.keywords:
        written = ", ".join(ast.unparse(k) for k in node.keywords)
        hint = f"`{ast.unparse(node.func)}({layout}({written}))`"
        cx.fail(node, "`emit` takes (record, flags=...)", hint=hint)
    if not isinstance(value_node, ast.Call) or not _makes(cx, value_node, layout):
        (at, value), *rest = arguments(cx, node, ring, "emit", ("record", "flags"), 1)
        return _output(cx, node, ring, at, value, cx.integer(*rest[0]).op if rest else cx.const(0))
    fields = given_fields(cx, value_node, layout)
    flags = _flags(cx, node)
    found = _reserve(cx, node, ring, layout)

    def fill() -> Value:
        record = _plain(cx, found)
        scopes.enter(cx, "`emit`", lambda: _give_back(cx, "ringbuf_discard", record, cx.const(0)))
        write_fields(cx, value_node, layout, record, fields)
        cx.scopes.pop()
        _give_back(cx, "ringbuf_submit", record, flags)
        return Const(True)

    def full() -> Value:
        count_loss(cx, node, ring)
        return Const(False)

    cx.flow.state[open_name(found.op)] = found
    sent = cx.diamond(_is_there(cx, found.op), fill, full)
    cx.flow.state.pop(open_name(found.op), None)
    return sent


def _makes(cx: Lowering, node: ast.Call, layout: Type) -> bool:
    """Whether a call is the constructor of this record."""
    target = cx.expression(node.func) if isinstance(layout, StructType) else None
    return isinstance(target, Const) and isinstance(target.value, type) and type_of(target.value) == layout


def _flags(cx: Lowering, node: ast.Call) -> Op:
    rest = [*node.args[1:], *(k.value for k in node.keywords if k.arg == "flags")]
    if len(rest) > 1 or any(k.arg not in ("flags", "record") for k in node.keywords):
        cx.fail(node, "`emit` takes (record, flags=...)")
    return cx.integer(rest[0], cx.expression(rest[0])).op if rest else cx.const(0)


def _output(cx: Lowering, node: ast.Call, ring: RingBuf[Any], at: ast.expr, value: Value, flags: Op) -> Value:
    """Copy what is there already into the ring."""
    from purebpf.compiler.frontend.helpers import allowed, readable

    allowed(cx, node, "ringbuf_output")
    layout = ring.value_type
    if isinstance(layout, StructType) and not (isinstance(value, Ref) and value.type == layout):
        cx.usable(at, value)
        cx.fail(at, f"`{ring.name}` takes {named(layout)}, not {describe(value)}")
    place = memory.materialized(cx, at, value, layout, "record")
    source = readable(cx, at, place, "ringbuf_output")
    answer = cx.call("ringbuf_output", [_map(cx, node, ring), source, cx.const(layout.size), flags])

    def full() -> Value:
        count_loss(cx, node, ring)
        return Const(False)

    return cx.diamond(cx.builder.emit("eq", BOOL, [answer, cx.const(0)]), lambda: Const(True), full)


def reserve(cx: Lowering, node: ast.Call, ring: RingBuf[Any], target: ast.expr | None) -> None:
    """`with ring.reserve() as record:`; the scope stays open for the caller to close."""
    from purebpf.compiler.frontend.statements import bind

    if node.args or node.keywords:
        cx.fail(node, "`reserve` takes no arguments")
    if not isinstance(target, ast.Name):
        cx.fail(node, "the reserved record needs a name", hint=f"with {ast.unparse(node)} as record:")
    layout = ring.value_type
    if not isinstance(layout, StructType):
        cx.fail(node, f"`reserve` is for rings of records; `{ring.name}` holds {named(layout)}", hint="use `emit(value)`")
    found = _reserve(cx, node, ring, layout)
    name = open_name(found.op)

    def clear() -> Value:
        memory.zero(cx, node, _plain(cx, found))
        return cx.int_const(1)

    def full() -> Value:
        count_loss(cx, node, ring)
        return cx.int_const(0)

    cx.flow.state[name] = found
    there = cx.diamond(_is_there(cx, found.op), clear, full)
    assert isinstance(there, IntValue)
    cx.flow.state[flag_name(found.op)] = there
    bind(cx, target, target.id, found)
    scopes.enter(cx, f"`with {ast.unparse(node)}`", lambda: _submit(cx, found, there), found.op)


def flag_name(record: Op) -> str:
    return f"submit record {id(record)}"


def _submit(cx: Lowering, found: MaybeRef, there: IntValue) -> None:
    """The end of the block: hand the record over unless it is none or was discarded. Kernels before 6.4 do not follow a
    pointer that is tested twice, so an integer tells (and no bool, which might become the test of the pointer again)."""
    cx.flow.state.pop(open_name(found.op), None)
    flag = cx.flow.state.pop(flag_name(found.op), None)

    def submit() -> None:
        _give_back(cx, "ringbuf_submit", _plain(cx, found), cx.const(0))

    if isinstance(flag, IntValue) and known(flag) != 0:
        if flag.op is there.op and any(_is_to(value, found.op) for value in cx.flow.names.values()):
            submit()  # the program has tested it
        else:
            cx.when(cx.builder.emit("ne", BOOL, [flag.op, cx.const(0)]), submit)
    for name, value in cx.flow.names.items():
        ref = value.ref if isinstance(value, MaybeRef) else value
        base = origin(ref.op) if isinstance(ref, Ref) and ref.region == "mem" else None
        if base is not None and base.kind == "param" and base not in cx.fn.params:
            cx.flow.names[name] = Unset(name)  # one of several records, perhaps this one


def _is_to(value: Value, record: Op) -> bool:
    """Whether it refers to the record, and so has been tested."""
    return isinstance(value, Ref) and origin(value.op) is record


def discard(cx: Lowering, node: ast.Call, ring: Any) -> Value:
    """`ring.discard(record)`: drop it; it cannot be used any more."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`discard` takes (record)")
    value = cx.expression(node.args[0])
    cx.usable(node.args[0], value)
    if isinstance(value, Dynptr):
        from purebpf.compiler.frontend import dynptrs

        return dynptrs.discard(cx, node, value)
    from purebpf.compiler.frontend.lower import NeedsInlining

    if isinstance(value, Ref) and origin(value.op).kind == "param" and cx.unit.active:
        raise NeedsInlining("the record was reserved by the caller")
    record = origin(value.op) if isinstance(value, Ref) and value.offset == 0 else None
    if not isinstance(value, Ref) or record is None or not is_record(record) or value.type != ring.value_type:
        cx.fail(node.args[0], f"`discard` takes the record that `with {ring.name}.reserve()` gave, not {describe(value)}")
    same_loop(cx, node, record)
    _give_back(cx, "ringbuf_discard", value, cx.const(0))
    cx.flow.state[open_name(record)] = NONE
    cx.flow.state[flag_name(record)] = cx.int_const(0)
    return NONE


def same_loop(cx: Lowering, node: ast.AST, record: Op) -> None:
    """What is discarded must have been reserved by the same trip."""
    scope = next((s for s in cx.scopes if s.record == record), None)
    if scope is None or scope.loops != scopes.loops_open(cx):
        cx.fail(
            node,
            "a record cannot be discarded inside a loop that does not reserve it",
            "on the next trip it would be gone",
            "note it in a variable, leave the loop, and discard the record behind it",
        )
