"""Dynptrs: `with ring.reserve_bytes(n) as data:`, `data = bpf.dynptr(ctx.packet)`, `data = bpf.dynptr(record.bytes)`.

A dynptr is 16 bytes on the stack that only helpers touch (Linux 5.19; of packets 6.4). One of a ring must be given back on
every way out even when the ring was full: then it is empty, and nothing is found in it. The others need no end.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.diagnostics import UnsupportedProgram
from purebpf.compiler.frontend import helpers, kfuncs, maps, memory, rings, scopes
from purebpf.compiler.frontend.flow import RESIZES
from purebpf.compiler.frontend.values import (
    NONE,
    Const,
    Dynptr,
    IntValue,
    MaybeInt,
    MaybeRef,
    Packet,
    Ref,
    Value,
    describe,
    known,
)
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Op, Ptr
from purebpf.data import replace
from purebpf.lang.dynptrs import dynptr as lang_dynptr
from purebpf.lang.types import BoolType, IntType, Type, type_of
from purebpf.tables.enums import ProgramType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.lang.rings import RingBuf

SIZE = 16  # struct bpf_dynptr
U32 = (1 << 32) - 1
OPEN = "open dynptr "


def open_name(place: Op) -> str:
    return f"{OPEN}{id(place)}"


def check_usable(cx: Lowering, node: ast.AST, name: str, data: Dynptr) -> None:
    """Refuse a dynptr that is gone: given back, or of a packet that had another size; and any inside of a callback."""
    if data.source == "packet" and data.generation // RESIZES != cx.packet_generation // RESIZES:
        cx.fail(
            node,
            f"`{name}` is of a packet whose size has been changed since",
            hint="make it again: `bpf.dynptr(ctx.packet)`",
        )
    if is_open(cx, data.op):
        return
    if data.source != "ring":
        what, hint = f"`{name}` cannot be used in a callback", "make it inside: `bpf.dynptr(...)`"
        if not (cx.unit.options.may_goto or cx.unit.options.iter_num):
            raise UnsupportedProgram(what, cx.place(node), "a long loop is one before Linux 6.4", hint)
        cx.fail(node, what, hint=hint)
    cx.fail(
        node,
        f"`{name}` has been handed over to the ring",
        "submitted at the end of the `with`, or discarded; a callback does not have it",
        "read and write it before",
    )


def is_open(cx: Lowering, place: Op) -> bool:
    """Whether it has certainly not been given back."""
    flag = cx.flow.state.get(open_name(place))
    return flag is not None and known(flag) == 1


def reserve(cx: Lowering, node: ast.Call, ring: RingBuf[Any], target: ast.expr | None) -> None:
    """`with ring.reserve_bytes(n) as data:`; the scope stays open for the caller to close."""
    from purebpf.compiler.frontend.statements import bind

    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`reserve_bytes` takes (size)")
    if not isinstance(target, ast.Name):
        cx.fail(node, "the reserved bytes need a name", hint=f"with {ast.unparse(node)} as data:")
    helpers.allowed(cx, node, "ringbuf_reserve_dynptr")
    size = u32(cx, node.args[0], "the size")
    place = cx.stack(SIZE, 8, target.id)
    answer = cx.call("ringbuf_reserve_dynptr", [helpers.map_op(cx, node, ring), size, cx.const(0), place])
    cx.when(cx.builder.emit("ne", BOOL, [answer, cx.const(0)]), lambda: rings.count_loss(cx, node, ring))
    cx.flow.state[open_name(place)] = cx.int_const(1)
    bind(cx, target, target.id, Dynptr(place))
    scopes.enter(cx, f"`with {ast.unparse(node)}`", lambda: _submit(cx, place), place)


def _submit(cx: Lowering, place: Op) -> None:
    """The end of the block, on those ways that did not discard it."""
    flag = cx.flow.state.pop(open_name(place), None)
    if not isinstance(flag, IntValue) or known(flag) == 0:
        return
    if known(flag) == 1:
        return _give_back(cx, "ringbuf_submit_dynptr", place)
    # An integer and no bool: the verifier must see this very flag, not the condition that decided it, tested again.
    cx.when(cx.builder.emit("ne", BOOL, [flag.op, cx.const(0)]), lambda: _give_back(cx, "ringbuf_submit_dynptr", place))


def _give_back(cx: Lowering, helper: str, place: Op) -> None:
    cx.call(helper, [place, cx.const(0)], VOID)


def discard(cx: Lowering, node: ast.Call, data: Dynptr) -> Value:
    """`ring.discard(data)`."""
    if data.source != "ring":
        cx.fail(node.args[0], "only reserved bytes are discarded", "a dynptr of a packet or of memory needs no end")
    rings.same_loop(cx, node, data.op)
    _give_back(cx, "ringbuf_discard_dynptr", data.op)
    cx.flow.state[open_name(data.op)] = cx.int_const(0)
    return NONE


def u32(cx: Lowering, node: ast.expr, what: str) -> Op:
    number = cx.integer(node, cx.expression(node), what)
    if number.low < 0 or number.high > U32:
        cx.fail(
            node, f"{what} is 0 to {U32}", f"{number.low}..{number.high}", f"test it, or cast it: `u32({ast.unparse(node)})`"
        )
    return number.op


def make(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.dynptr(ctx.packet)`, `bpf.dynptr(place)`."""
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "`dynptr` takes a packet, or a place in a map or a global", hint="bpf.dynptr(ctx.packet)")
    value = cx.expression(node.args[0])
    data = of_packet(cx, node, value) if isinstance(value, Packet) else _of_memory(cx, node, value)
    cx.flow.state[open_name(data.op)] = cx.int_const(1)
    return data


def of_packet(cx: Lowering, node: ast.AST, packet: Packet) -> Dynptr:
    kind = cx.unit.kind
    place = cx.stack(SIZE, 8, "dynptr")
    name = "bpf_dynptr_from_xdp" if kind.type == ProgramType.XDP else "bpf_dynptr_from_skb"
    kfuncs.call(cx, node, name, [_buffer(cx, packet), cx.const(0), place])
    return Dynptr(place, "packet", None, cx.packet_generation, writable=kind.packet == "direct")


def _buffer(cx: Lowering, packet: Packet) -> Op:
    """What the kernel takes for the packet: the context, or the socket buffer that it points to."""
    if cx.unit.kind.type != ProgramType.NETFILTER:
        return packet.context.op
    from purebpf.tables.contexts import context as context_of

    table = context_of(ProgramType.NETFILTER)
    assert table is not None
    return cx.builder.emit("load", I64, [packet.context.op], (8, 0, table.fields["skb"].offset))


def packet_copy(cx: Lowering, node: ast.AST, packet: Packet, offset: Op, place: Ref) -> Op:
    """Copy bytes of the packet to memory of the program's own; 0 or -errno."""
    data = of_packet(cx, node, packet)
    return cx.call("dynptr_read", [place.op, cx.const(place.type.size), data.op, offset, cx.const(0)])


def packet_size(cx: Lowering, node: ast.AST, packet: Packet) -> Value:
    """How many bytes the packet has, with its paged part."""
    op = kfuncs.call(cx, node, "bpf_dynptr_size", [of_packet(cx, node, packet).op])
    return IntValue(cx.builder.emit("low32", I32, [op]), 0, U32)


def _of_memory(cx: Lowering, node: ast.Call, value: Value) -> Dynptr:
    at = node.args[0]
    cx.usable(at, value)
    if not isinstance(value, Ref):
        cx.fail(at, f"a dynptr is of a packet, or of a place in a map or a global, not of {describe(value)}")
    if value.region != "map_value" or not value.writable:
        why = "lies elsewhere" if value.region != "map_value" else "can only be read"
        cx.fail(
            at,
            "a dynptr is of a packet, or of a place in a map or a global that can be written",
            f"this {why}",
            "read it by its fields and indexes",
        )
    memory.whole(cx, at, value)
    helpers.allowed(cx, node, "dynptr_from_mem")
    place, source = cx.stack(SIZE, 8, "dynptr"), cx.moved(cx.flow, value).op
    cx.call("dynptr_from_mem", [source, cx.const(value.type.size), cx.const(0), place])
    return Dynptr(place, "memory", value.type.size, shared=value.shared)


def length(cx: Lowering, node: ast.Call, data: Dynptr) -> Value:
    """`len(data)`."""
    if data.size is not None:
        return Const(data.size)
    if data.source == "ring":
        cx.fail(node, "reserved bytes do not tell their size", hint="keep what you gave to `reserve_bytes`")
    op = kfuncs.call(cx, node, "bpf_dynptr_size", [data.op])
    return IntValue(cx.builder.emit("low32", I32, [op]), 0, U32)


METHODS = "`at(offset, T)`, `read(offset, T)` and `write(offset, record)`"


def method(cx: Lowering, node: ast.Call, data: Dynptr, name: str) -> Value:
    """`data.at(offset, T)` and `data.read(offset, T)`: `T | None`; `data.write(offset, record)`: 0 or -errno."""
    methods = {"at": _at, "read": _read, "write": _write}
    if name not in methods or len(node.args) != 2 or node.keywords:
        cx.fail(node, f"a dynptr has {METHODS}")
    return methods[name](cx, node, data)


def _asked(cx: Lowering, node: ast.Call) -> tuple[Op, Type]:
    """The offset and the type."""
    wanted = cx.expression(node.args[1])
    layout = type_of(wanted.value) if isinstance(wanted, Const) else None
    if layout is None:
        cx.fail(node.args[1], f"a type is wanted here, not {describe(wanted)}", hint="data.at(0, u32)")
    return u32(cx, node.args[0], "the offset"), layout


def _at(cx: Lowering, node: ast.Call, data: Dynptr) -> Value:
    """In place; of a packet what may be a copy, to be read only."""
    offset, layout = _asked(cx, node)
    kind = Ptr("mem", nullable=True)
    why = f"`{ast.unparse(node)}` gives None where the bytes end before" + (
        ", or when the ring was full" if data.source == "ring" else ""
    )
    if data.source == "packet":
        buffer = memory.temporary(cx, layout, "slice")
        op = kfuncs.call(cx, node, "bpf_dynptr_slice", [data.op, offset, buffer.op, cx.const(layout.size)], kind)
        ref = Ref(op, 0, layout, "slice", generation=cx.packet_generation, writable=False)
    else:
        helpers.allowed(cx, node, "dynptr_data")
        op = cx.call("dynptr_data", [data.op, offset, cx.const(layout.size)], kind)
        ref = Ref(op, 0, layout, "mem", shared=data.shared)
    found = MaybeRef(op, ref, why)
    if isinstance(layout, IntType | BoolType):
        return maps.if_there(cx, found, lambda there: memory.load(cx, node, there), lambda: NONE, why)
    return found


def _read(cx: Lowering, node: ast.Call, data: Dynptr) -> Value:
    """A copy in memory of the program's own."""
    helpers.allowed(cx, node, "dynptr_read")
    offset, layout = _asked(cx, node)
    place = memory.temporary(cx, layout, "read")
    answer = cx.call("dynptr_read", [place.op, cx.const(layout.size), data.op, offset, cx.const(0)])
    ok = cx.builder.emit("eq", BOOL, [answer, cx.const(0)])
    found = cx.diamond(ok, lambda: memory.load(cx, node, place), lambda: NONE)
    why = f"`{ast.unparse(node)}` gives None where the bytes end before"
    return replace(found, why=why) if isinstance(found, MaybeRef | MaybeInt) else found


def _write(cx: Lowering, node: ast.Call, data: Dynptr) -> Value:
    row = helpers.allowed(cx, node, "dynptr_write")
    if not data.writable:
        cx.fail(node, f"a program of type `{cx.unit.kind.decorator}` cannot write the packet")
    offset = u32(cx, node.args[0], "the offset")
    value = cx.expression(node.args[1])
    if isinstance(value, IntValue) or (isinstance(value, Const) and isinstance(value.value, int)):
        cx.fail(
            node.args[1],
            "`write` copies records, arrays, texts and bytes",
            hint="`place = data.at(offset, Record)`, then assign" if data.source != "packet" else "put it into a `@bpf.struct`",
        )
    index = next(i for i, argument in enumerate(row.args) if argument.name == "src")
    sizes: dict[int, int] = {}
    source = helpers._memory(cx, node.args[1], "what `write` copies", "dynptr_write", row.args[index], value, sizes, index)
    op = cx.call("dynptr_write", [data.op, offset, source, cx.const(sizes[index]), cx.const(0)])
    if data.source == "packet" and cx.unit.kind.type != ProgramType.XDP:
        helpers.changed(cx, resized=False)  # the kernel may have made the packet's bytes its own, elsewhere
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {lang_dynptr: make}
