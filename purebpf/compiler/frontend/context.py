"""The context: its fields, and the packet behind it.

`ctx.packet.at(offset, T)` becomes the bounds check that the verifier wants, and a reference that is None where it fails.
The packet's
bounds are read once; a helper that may move the packet makes earlier references unusable.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import helpers, instead, memory
from purebpf.compiler.frontend.bounds import verifier_range
from purebpf.compiler.frontend.values import (
    NONE,
    Bound,
    Const,
    Context,
    Fill,
    IntValue,
    MaybeInt,
    MaybeRef,
    Packet,
    Ref,
    TupleValue,
    Value,
    known,
)
from purebpf.compiler.frontend.values import named as type_named
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Op, Ptr
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.lang.given import field_type
from purebpf.lang.reading import TEXT_BYTES
from purebpf.lang.types import ArrayType, BytesType, CharsType, IntType, Type, type_of
from purebpf.tables.enums import AttachType, ProgramType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.tables.contexts import ContextField

MAX_PACKET = 0xFFFF  # the verifier follows packet offsets up to here (MAX_PACKET_OFF, kernel/bpf/verifier.c)
PACKET_FIELDS = ("data", "data_end", "data_meta")
POINTERS = ("socket", "flow_keys", "btf")  # kinds of fields that lead to something
BOUNDS = {ProgramType.CGROUP_SOCKOPT: ("optval", "optval_end")}  # where the bytes begin and end, if not at `data`


def attribute(cx: Lowering, node: ast.Attribute, context: Context) -> Value:
    """`ctx.field`, `ctx.packet`."""
    kind = cx.unit.kind
    if node.attr == "packet":
        if not kind.packet and not cx.flow.dead:
            cx.fail(node, f"a program of type `{kind.decorator}` sees no packet")
        return Packet(context)
    if kind.decorator == "iter" and node.attr == "emit":
        return Bound(context, node.attr)
    if node.attr == "optval" and kind.type in BOUNDS:
        return Packet(context)
    if kind.type == ProgramType.TRACEPOINT:
        return _tracepoint_field(cx, node, context)
    if kind.decorator == "raw_tracepoint" and node.attr == "args":
        return Ref(context.op, 0, ArrayType(IntType(64), 12), "ctx", writable=False)
    field = _field(cx, node, node.attr)
    if not field.readable and not cx.flow.dead:
        cx.fail(node, f"`{node.attr}` cannot be read in a program of type `{kind.decorator}`")
    _at_this_hook(cx, node, field.read_attach, "read")
    if field.kind in POINTERS:
        from purebpf.compiler.frontend import sockets

        return sockets.pointed(cx, node, context, field)
    layout = field_type(field)
    if isinstance(layout, ArrayType):
        return Ref(context.op, field.offset, layout, "ctx", writable=field.writable)
    value = memory.load(cx, node, Ref(context.op, field.offset, layout, "ctx"))
    return value


def _fields(cx: Lowering) -> dict[str, ContextField]:
    from purebpf.tables.contexts import context as context_of

    table = context_of(cx.unit.kind.type)
    return {} if table is None else dict(table.fields)


def _at_this_hook(cx: Lowering, node: ast.AST, hooks: frozenset[AttachType], what: str) -> None:
    """Refuse a field that only programs for other hooks of the type may use."""
    if not hooks or cx.unit.kind.attach in hooks or cx.flow.dead:
        return
    from purebpf.lang.network_types import HOOKS

    kind = cx.unit.kind
    able = [f'"{name}"' for name, hook in HOOKS.get(kind.decorator, {}).items() if hook.attach in hooks]
    name = node.attr if isinstance(node, ast.Attribute) else "this"
    cx.fail(
        node,
        f"`{name}` cannot be {what} at this hook of a program of type `{kind.decorator}`",
        hint=f"it can at the hooks: {', '.join(able)}" if able else "",
    )


def _field(cx: Lowering, node: ast.AST, name: str) -> ContextField:
    hidden = (*PACKET_FIELDS, *BOUNDS.get(cx.unit.kind.type, ()))
    fields = {n: f for n, f in _fields(cx).items() if n not in hidden and (f.kind == "scalar" or f.kind in POINTERS)}
    field = fields.get(name) or (_of_another_type(name) if cx.flow.dead else None)
    if field is None:
        if name in PACKET_FIELDS:
            cx.fail(
                node,
                f"`{name}` is a pointer, which a program does not handle itself",
                hint="`ctx.packet.at(offset, T)` reads the packet, `len(ctx.packet)` is its size",
            )
        known = ["packet"] * bool(cx.unit.kind.packet) + ["optval"] * (cx.unit.kind.type in BOUNDS)
        known += sorted(n for n, f in fields.items() if (f.readable or f.writable) and "." not in n)
        cx.fail(
            node,
            f"the context of a program of type `{cx.unit.kind.decorator}` has no field `{name}`",
            hint=("`len(ctx.packet)` is the packet's size; " if name in instead.PACKET_SIZES and cx.unit.kind.packet else "")
            + (f"it has: {', '.join(known)}" if known else "it has none"),
        )
    return field


def _of_another_type(name: str) -> ContextField | None:
    """A field that programs of some type have: what a constant switches off may be meant for those."""
    from purebpf.lang.network_types import all_kinds
    from purebpf.tables.contexts import context as context_of

    tables = (context_of(kind.type) for kind in all_kinds().values())
    found = (table.fields.get(name) for table in tables if table is not None)
    return next((field for field in found if field is not None and field.kind == "scalar"), None)


def assign(cx: Lowering, node: ast.AST, context: Context, name: str, value: Value, given: ast.AST) -> None:
    """`ctx.field = value`; `given` is the syntax of the value."""
    elsewhere = cx.flow.dead and _of_another_type(name) is not None
    if cx.unit.kind.decorator in ("tracepoint", "raw_tracepoint") and not elsewhere:
        cx.fail(node, "the context of a tracepoint cannot be written")
    field = _field(cx, node, name)
    if not field.writable and not cx.flow.dead:
        fields = _fields(cx)
        able = ", ".join(sorted(n for n, f in fields.items() if f.writable)) or "none"
        cx.fail(
            node, f"`{name}` cannot be written in a program of type `{cx.unit.kind.decorator}`", hint=f"fields that can: {able}"
        )
    _at_this_hook(cx, node, field.write_attach, "written")
    place = Ref(context.op, field.offset, field_type(field), "ctx")
    if field.size in field.write_sizes or cx.flow.dead or isinstance(place.type, ArrayType):
        return memory.store(cx, given, place, value)
    # a field that is written whole, though its value fills only the first bytes
    assert isinstance(place.type, IntType)
    number = memory.fitted(cx, given, value, place.type.low, place.type.high, str(place.type))
    op = cx.builder.emit("tobe", I32, [number.op], (place.type.bits,)) if place.type.big else number.op
    cx.forget()
    cx.builder.emit("store", VOID, [context.op, op], (min(field.write_sizes), field.offset))


def _tracepoint_field(cx: Lowering, node: ast.Attribute, context: Context) -> Value:
    from purebpf.lang.tracepoints import event_fields, text_base

    try:
        fields = event_fields(cx.unit.hook)
    except Error as error:
        cx.fail(node, str(error))
    field = fields.get(node.attr)
    if field is None and cx.flow.dead:  # another event's
        return IntValue(cx.builder.emit("load", I64, [context.op], (8, 0, 0)), 0, (1 << 64) - 1)
    if field is None:
        cx.fail(node, f"tracepoint `{cx.unit.hook}` has no field `{node.attr}`", hint=f"it has: {', '.join(fields)}")
    if (base := text_base(field)) is not None:
        return _dynamic_text(cx, node, context, field.offset, base)
    if field.type is None:
        cx.fail(node, f"field `{node.attr}` has the C type `{field.c_type}`, which a program cannot read yet")
    return memory.load(cx, node, Ref(context.op, field.offset, field.type, "ctx", writable=False))


def _dynamic_text(cx: Lowering, node: ast.AST, context: Context, offset: int, base: int) -> Value:
    """A text behind the event's fixed part, read as one in the kernel's memory."""
    helper = "probe_read_kernel_str"
    helpers.allowed(cx, node, helper)

    def write(place: Ref) -> None:
        where = cx.builder.emit("load", I32, [context.op], (4, 0, offset))
        distance = cx.builder.emit("and", I64, [where, cx.const(0xFFFF)])
        text = cx.builder.emit("add", context.op.type, [context.op, cx.builder.emit("add", I64, [distance, cx.const(base)])])
        cx.call(helper, [helpers._pointer(cx, place), cx.const(place.type.size), text])

    return Fill(CharsType(TEXT_BYTES), write, leaves=True, stretches=True)


# -- the packet


def bases(cx: Lowering, context: Context) -> tuple[Op, Op]:
    """The packet's start and end, loaded once for each layout of the packet."""
    known = cx.flow.state.get("bases")
    if isinstance(known, TupleValue):
        start, end = (item for item in known.items if isinstance(item, Ref))
        return start.op, end.op
    table = _fields(cx)
    names = BOUNDS.get(cx.unit.kind.type, ("data", "data_end"))
    imm = [(table[name].size, 0, table[name].offset) for name in names]
    if cx.packet_generation == 0 and context.op.block is cx.fn.entry:
        entry = cx.fn.entry.ops
        for kind, spec in zip(("packet", "packet_end"), imm, strict=True):
            if not any(op.kind == "load" and op.type == Ptr(kind) for op in entry):
                cx.builder.entry_op("load", Ptr(kind), [context.op], spec)
        first = next(op for op in entry if op.kind == "load" and op.type == Ptr("packet"))
        return first, next(op for op in entry if op.kind == "load" and op.type == Ptr("packet_end"))
    start_op = cx.builder.emit("load", Ptr("packet"), [context.op], imm[0])
    end_op = cx.builder.emit("load", Ptr("packet_end"), [context.op], imm[1])
    byte, generation = BytesType(1), cx.packet_generation
    pair = (Ref(start_op, 0, byte, "packet", generation=generation), Ref(end_op, 0, byte, "packet", generation=generation))
    cx.flow.state["bases"] = TupleValue(pair)
    return start_op, end_op


def packet_length(cx: Lowering, node: ast.AST, packet: Packet) -> Value:
    """`len(ctx.packet)`: an skb's length with its paged part; where there is none such, what lies in one piece."""
    if cx.unit.kind.packet == "dynptr":
        from purebpf.compiler.frontend import dynptrs

        return dynptrs.packet_size(cx, node, packet)
    fields = _fields(cx)
    if "len" in fields or BOUNDS.get(cx.unit.kind.type, PACKET_FIELDS)[0] not in fields:
        offset = _field(cx, node, "len").offset
        return memory.load(cx, node, Ref(packet.context.op, offset, IntType(32), "ctx"))
    start, end = bases(cx, packet.context)
    return IntValue(cx.builder.emit("sub", I64, [end, start]), 0, (1 << 32) - 1)


def packet_method(cx: Lowering, node: ast.Call, packet: Packet, name: str) -> Value:
    return _packet_methods(cx)[name](cx, node, packet)


def _packet_methods(cx: Lowering) -> dict[str, Callable[[Lowering, ast.Call, Packet], Value]]:
    from purebpf.compiler.frontend import packets

    methods: dict[str, Callable[[Lowering, ast.Call, Packet], Value]] = {"at": at}
    if cx.flow.dead or packets.has(cx, "load"):
        methods["load"] = packets.load
    if cx.flow.dead or (cx.unit.kind.packet == "direct" and packets.has(cx, "store")):
        methods["store"] = packets.store
    if cx.unit.kind.type == ProgramType.XDP or cx.flow.dead:
        methods |= {f"adjust_{part}": _adjust(part) for part in ("head", "tail", "meta")}
    return methods


def check_method(cx: Lowering, node: ast.Attribute) -> None:
    """Refuse an attribute that a packet does not have."""
    methods = _packet_methods(cx)
    if node.attr not in methods:
        cx.fail(
            node,
            f"the packet has no method `{node.attr}` in a program of type `{cx.unit.kind.decorator}`",
            hint=f"{instead.of_the_packet(node)}; it has: {', '.join(methods)}",
        )


def _adjust(part: str) -> Callable[[Lowering, ast.Call, Packet], Value]:
    def lower(cx: Lowering, node: ast.Call, packet: Packet) -> Value:
        if len(node.args) != 1 or node.keywords:
            cx.fail(node, f"`adjust_{part}` takes the number of bytes")
        delta = cx.integer(node.args[0], cx.expression(node.args[0]))
        result = helpers.scalar(cx, node, f"xdp_adjust_{part}", [packet.context.op, delta.op], -(1 << 63), (1 << 63) - 1)
        helpers.changed(cx)
        return result

    return lower


def asked(cx: Lowering, node: ast.Call, name: str) -> tuple[IntValue, Type, str] | None:
    """What `ctx.packet.at(offset, T)` and `load` are asked for: offset, type, and when it is None; None where it is always."""
    if len(node.args) != 2 or node.keywords:
        cx.fail(node, f"`{name}` takes an offset and a type", hint=f"ctx.packet.{name}(14, IPv4)")
    offset_value = cx.expression(node.args[0])
    named = cx.expression(node.args[1]) if not isinstance(node.args[1], ast.Call) else NONE
    layout = type_of(named.value) if isinstance(named, Const) and named != NONE else None
    if layout is None or isinstance(layout, CharsType | BytesType | ArrayType):
        cx.fail(
            node.args[1],
            f"the second argument of `{name}` is a type: a @bpf.struct class or a scalar such as u16",
            hint=instead.packet_type(node),
        )
    fixed = known(offset_value)
    if fixed is not None and not 0 <= fixed <= MAX_PACKET - layout.size:
        if isinstance(offset_value, Const):
            cx.fail(
                node.args[0],
                f"no packet has {type_named(layout)} at {fixed}",
                f"offsets go from 0 to {MAX_PACKET - layout.size}",
                "offsets count from the packet's start; its end is at `len(ctx.packet)`",
            )
        return None
    offset = cx.integer(node.args[0], offset_value, "an offset")
    return offset, layout, f"the packet may be too short for `{ast.unparse(node.args[1])}` at {ast.unparse(node.args[0])}"


def at(cx: Lowering, node: ast.Call, packet: Packet) -> Value:
    """`ctx.packet.at(offset, T)`: `T | None`."""
    found = asked(cx, node, "at")
    if found is None:
        return NONE
    offset, layout, why = found
    if not in_place(cx):  # or none, where a constant switches this off
        return copied(cx, node, packet, offset, layout, why)
    if not offset.op.is_const and not cx.unit.options.simple_offsets and any(frame.loops for frame in cx.frames):
        offset = _blurred(cx, offset)
    return direct(cx, node, packet, offset, layout, why)


def in_place(cx: Lowering) -> bool:
    """Whether the packet, or a socket option's value, is read where it lies."""
    return cx.unit.kind.packet in ("direct", "read") or cx.unit.kind.type in BOUNDS


def _blurred(cx: Lowering, offset: IntValue) -> IntValue:
    """The offset plus a zero that the verifier does not know, so that what it learns of the sum it does not learn of a loop's
    counter. Where it walks through the loop, a known offset tells it how long the packet is at least, and the ways through
    the loop multiply. Where it does not, a counter beyond all packets is one that it follows for ever (Linux 6.9 to 6.14)."""
    place = cx.builder.emit("map_value", Ptr("map_value"), [], (cx.unit.zero_name, 0))
    zero = cx.builder.emit("load", I32, [place], (1, 0, 0))
    return replace(offset, op=cx.builder.emit("add", offset.op.type, [offset.op, zero]))


def direct(
    cx: Lowering,
    node: ast.AST,
    packet: Packet,
    offset: IntValue,
    layout: Type,
    why: str,
    take: Callable[[Ref], Value] | None = None,
) -> Value:
    """What lies in the packet, checked: what `take` makes of its place (an integer is loaded without it), or None."""
    start, end = bases(cx, packet.context)
    generation = cx.packet_generation

    def found(base: Op, fixed: int) -> Value:
        limit = cx.builder.emit("add", Ptr("packet"), [base, cx.const(fixed + layout.size)])
        inside = cx.builder.emit("ule", BOOL, [limit, end])

        def there() -> Value:
            guarded = cx.builder.emit("guard", Ptr("packet"), [base], ("packet", fixed + layout.size, 0))
            writable = cx.unit.kind.packet != "read"
            place = Ref(guarded, fixed, layout, "packet", generation=generation, writable=writable)
            return memory.load(cx, node, place) if take is None else take(place)

        return cx.diamond(inside, there, lambda: NONE)

    if offset.op.is_const:
        return _named(found(start, offset.low), why)

    def moved(index: Op) -> Value:
        fixed = 0
        if index.kind == "add" and index.args[1].is_const and 0 <= index.args[1].value <= MAX_PACKET:
            variable = verifier_range(index.args[0])  # the constant part goes into the offsets of the loads
            if variable[1] <= MAX_PACKET:
                index, fixed = index.args[0], index.args[1].value
        return found(cx.builder.emit("add", Ptr("packet"), [start, index]), fixed)

    if offset.low >= 0 and offset.high <= MAX_PACKET - layout.size and verifier_range(offset.op)[1] <= MAX_PACKET - layout.size:
        return _named(moved(offset.op), why)
    small = cx.builder.emit("ule", BOOL, [offset.op, cx.const(MAX_PACKET - layout.size)])

    def near() -> Value:
        return moved(cx.builder.emit("guard", offset.op.type, [offset.op], ("range", 0, MAX_PACKET - layout.size)))

    return _named(cx.diamond(small, near, lambda: NONE), why)


def _named(value: Value, why: str) -> Value:
    return replace(value, why=why) if isinstance(value, MaybeRef | MaybeInt) else value


def copied(
    cx: Lowering, node: ast.AST, packet: Packet, offset: IntValue, layout: Type, why: str, helper: str = "skb_load_bytes"
) -> Value:
    """A read-only copy on the stack, as where the kernel gives no direct access."""
    behind = cx.unit.kind.packet == "dynptr"
    helpers.allowed(cx, node, "dynptr_read" if behind else helper)
    place = memory.temporary(cx, layout, "packet")
    seen = replace(place, writable=isinstance(layout, BytesType))  # bytes are a value, a record stands for the packet's
    bounded = offset.low >= 0 and offset.high <= MAX_PACKET

    def loaded() -> Value:
        if behind:
            from purebpf.compiler.frontend import dynptrs

            result = dynptrs.packet_copy(cx, node, packet, offset.op, place)
        else:
            result = cx.call(helper, [packet.context.op, offset.op, place.op, cx.const(layout.size)])
        ok = cx.builder.emit("eq", BOOL, [result, cx.const(0)])
        return cx.diamond(ok, lambda: memory.load(cx, node, seen), lambda: NONE)

    if bounded:
        return _named(loaded(), why)
    small = cx.builder.emit("ule", BOOL, [offset.op, cx.const(MAX_PACKET)])
    return _named(cx.diamond(small, loaded, lambda: NONE), why)


def method(cx: Lowering, node: ast.Call, context: Context, name: str) -> Value:
    if name == "emit" and cx.unit.kind.decorator == "iter":
        from purebpf.compiler.frontend import iterators

        return iterators.emit(cx, node)
    cx.fail(node.func, f"the context has no method `{name}`", hint="the packet is `ctx.packet`")
