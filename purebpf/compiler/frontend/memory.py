"""Places in memory: reading and writing fields, copying, zeroing.

Binding a name never copies, storing always does. Integers are values: reading a field loads it. A record, array or text
that is read stays a reference until it is stored somewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import advice, instead
from purebpf.compiler.frontend.arithmetic import narrow
from purebpf.compiler.frontend.bounds import provable
from purebpf.compiler.frontend.values import (
    EITHER,
    Const,
    Fill,
    IntValue,
    Ref,
    TupleValue,
    Value,
    alignment_of,
    base_alignment,
    describe,
    named,
    with_article,
)
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Op, Ptr
from purebpf.data import replace
from purebpf.lang.types import (
    ArrayType,
    BoolType,
    BytesType,
    CharsType,
    Field,
    IntType,
    KernelType,
    StructType,
    Type,
    kept_fields,
)

OWN = ("stack", EITHER)  # memory that the kernel takes aligned access to only
AT_ONCE = 64  # bytes that a copy may hold in registers

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

LARGEST_SCRATCH = 1 << 15  # bytes of a per-CPU value (PCPU_MIN_UNIT_SIZE)


def load(cx: Lowering, node: ast.AST, ref: Ref) -> Value:
    """What is at a place: an integer is loaded, anything else stays a reference."""
    cx.usable(node, ref)
    if not isinstance(ref.type, IntType | BoolType):
        return ref
    key = ("fact", ref.op, ref.offset, ref.type)
    known = cx.flow.state.get(key)
    if known is not None:
        return known
    if isinstance(ref.type, BoolType):
        byte = cx.builder.emit("load", I32, [ref.op], (1, 0, ref.offset))
        return IntValue(cx.builder.emit("ne", BOOL, [byte, cx.const(0)]), 0, 1, False, True)
    type = ref.type
    result = I64 if type.signed or type.size == 8 else I32
    if ref.region in OWN and alignment(ref) < type.size:
        op = _assembled(cx, ref, type)
    else:
        op = cx.builder.emit("load", result, [ref.op], (type.size, int(type.signed), ref.offset))
    if type.big and type.bits > 8:
        op = cx.builder.emit("tobe", I64 if type.bits == 64 else I32, [op], (type.bits,))
    return IntValue(op, type.low, type.high, type.signed)


def _assembled(cx: Lowering, ref: Ref, type: IntType) -> Op:
    """An integer of a packed record on the stack, which the kernel lets read aligned only: put together from its pieces."""
    width = I64 if type.size == 8 else I32
    op = cx.const(0)
    for offset, size in chunks(type.size, alignment(ref)):
        piece = cx.builder.emit("load", I32, [ref.op], (size, 0, ref.offset + offset))
        op = cx.builder.emit(
            "or", width, [op, cx.builder.emit("shl", width, [piece, cx.const(8 * _place(cx, type.size, offset, size))])]
        )
    return cx.builder.emit("sext", I64, [op], (type.bits,)) if type.signed and type.bits < 64 else op


def member(cx: Lowering, node: ast.AST, ref: Ref, name: str) -> tuple[Ref, Field]:
    """The place of a record's field, or an error that lists the fields."""
    if not isinstance(ref.type, StructType):
        cx.fail(node, f"{describe(ref)} has no attribute `{name}`")
    field = ref.type.field(name)
    if field is None:
        known = ", ".join(f.name for f in ref.type.fields)
        why = getattr(ref.type.record, "__bpf_lacks__", {}).get(name, "")
        cx.fail(node, f"`{ref.type}` has no field `{name}`", why, f"its fields are: {known}")
    cx.unit.unions = cx.unit.unions or ref.type.union
    return replace(ref, offset=ref.offset + field.offset, type=field.type), field


def load_member(cx: Lowering, node: ast.AST, ref: Ref, name: str) -> Value:
    place, field = member(cx, node, ref, name)
    value = load(cx, node, place)
    if not field.bits:
        return value
    assert isinstance(value, IntValue)
    op = value.op
    if field.shift:
        op = cx.builder.emit("lshr", I32 if place.type.size <= 4 else I64, [op, cx.const(field.shift)])
    if field.shift + field.bits < place.type.size * 8:
        op = cx.builder.emit("and", I32 if field.bits <= 32 else I64, [op, cx.const((1 << field.bits) - 1)])
    return IntValue(op, 0, (1 << field.bits) - 1)


def store_member(cx: Lowering, node: ast.AST, ref: Ref, name: str, value: Value, given: ast.AST | None = None) -> None:
    """Write a field; `node` is the syntax of the place, `given` that of the value."""
    place, field = member(cx, node, ref, name)
    check_assignable(cx, node, place)
    given = given or node
    if not field.bits:
        return store(cx, given, place, value)
    number = fitted(cx, given, value, 0, (1 << field.bits) - 1, f"{field.bits} bits")
    width = I32 if place.type.size <= 4 else I64
    mask = ((1 << field.bits) - 1) << field.shift
    unit = load(cx, node, place)
    assert isinstance(unit, IntValue)
    new = cx.builder.emit("and", width, [number.op, cx.const((1 << field.bits) - 1)])
    new = cx.builder.emit("shl", width, [new, cx.const(field.shift)])
    rest = cx.builder.emit("and", width, [unit.op, cx.const(~mask & ((1 << place.type.size * 8) - 1))])
    _store(cx, node, place, cx.builder.emit("or", width, [rest, new]))


def fitted(cx: Lowering, node: ast.AST, value: Value, low: int, high: int, what: str) -> IntValue:
    """An integer for a place of this range: written-out ones must fit, values of names are narrowed by the store."""
    number = cx.integer(node, value, "" if " " in what else with_article(f"`{what}`"))
    if isinstance(value, Const) and not low <= number.low <= high:
        cx.fail(
            node,
            f"{number.low} does not fit {what}",
            f"{low} to {high}",
            f"a cast narrows on purpose: `{what}({number.low})`" if " " not in what else "",
        )
    return number


def store(cx: Lowering, node: ast.AST, ref: Ref, value: Value) -> None:
    """Write a value to a place, narrowed to its type; records, texts and arrays are copied."""
    cx.usable(node, ref)
    cx.usable(node, value)
    type = ref.type
    if isinstance(type, BoolType):
        number = cx.integer(node, value, "a bool")
        op = number.op if number.boolean else cx.builder.emit("ne", BOOL, [number.op, cx.const(0)])
        return _store(cx, node, ref, op)
    if isinstance(type, IntType):
        number = fitted(cx, node, value, type.low, type.high, str(type))
        op = number.op
        if type.big and type.bits > 8:
            op = cx.builder.emit("tobe", I64 if type.bits == 64 else I32, [op], (type.bits,))
        return _store(cx, node, ref, op)
    if isinstance(value, Fill):
        fits = isinstance(type, CharsType) if value.stretches else value.type.size <= type.size
        if not fits or not isinstance(type, CharsType | BytesType):
            texts = isinstance(value.type, CharsType) and isinstance(type, CharsType) and type.size > 1
            hint = f"keep what fits: `[:{type.size - 1}]`" if texts else ""
            cx.fail(node, f"{describe(value)} does not fit {named(type)}", hint=hint)
        return fill(cx, node, ref, value)
    if isinstance(value, Const) and isinstance(value.value, str | bytes | list | tuple):
        try:
            return store_bytes(cx, node, ref, type.encode(value.value))
        except (TypeError, ValueError) as error:
            cx.fail(node, f"{describe(value)} does not fit {named(type)}", str(error))
    if isinstance(value, Ref) and value.type == type:
        return copy(cx, node, ref, value)
    if isinstance(value, Ref) and isinstance(type, CharsType) and isinstance(value.type, CharsType):
        return _store_text(cx, node, ref, value)
    if isinstance(value, TupleValue) and isinstance(type, ArrayType):
        return _store_items(cx, node, ref, type, value)
    text = isinstance(type, CharsType) and isinstance(value, IntValue)
    hint = instead.at_an_address(cx, node) if text else ""
    cx.fail(node, f"{named(type)} cannot be assigned from {describe(value)}", hint=hint)


def _store_text(cx: Lowering, node: ast.AST, ref: Ref, text: Ref) -> None:
    """A text into a longer place; one that may not fit is an error."""
    room, size = ref.type.size, text.type.size
    if size > room:
        hint = f"keep what fits: `[:{room - 1}]`"
        cx.fail(node, f"{describe(text)} may not fit {named(ref.type)}", f"up to {size - 1} bytes for {room - 1}", hint)
    copy(cx, node, replace(ref, type=text.type), text)
    zero(cx, node, ref, size)


def _store_items(cx: Lowering, node: ast.AST, ref: Ref, type: ArrayType, items: TupleValue) -> None:
    """A list or tuple of run-time values into an array; all of them are read before the first is written."""
    if len(items.items) != type.count:
        cx.fail(node, f"{len(items.items)} values do not fit {named(type)}", f"it has {type.count}")
    read: list[Value] = []
    written = isinstance(node, ast.List | ast.Tuple) and len(node.elts) == type.count
    nodes: list[ast.AST] = list(node.elts) if written else [node] * type.count  # type: ignore[attr-defined]
    for at, item in zip(nodes, items.items, strict=True):
        cx.usable(at, item)
        if isinstance(item, Ref):
            place = temporary(cx, item.type)
            copy(cx, at, place, item, apart=True)
            item = place
        read.append(item)
    for i, (at, item) in enumerate(zip(nodes, read, strict=True)):
        store(cx, at, replace(ref, offset=ref.offset + i * type.element.size, type=type.element), item)


def _store(cx: Lowering, node: ast.AST, ref: Ref, op: Op) -> None:
    check_writable(cx, node, ref)
    cx.forget()
    if ref.region in OWN and alignment(ref) < ref.type.size:
        for offset, size in chunks(ref.type.size, alignment(ref)):
            piece = cx.builder.emit("lshr", I64, [op, cx.const(8 * _place(cx, ref.type.size, offset, size))])
            cx.builder.emit("store", VOID, [ref.op, piece], (size, ref.offset + offset))
        return
    cx.builder.emit("store", VOID, [ref.op, op], (ref.type.size, ref.offset))


USES = {
    "bpf_list_head": "record.items.push_back(item)",
    "bpf_rb_root": "record.items.add(item, less)",
    "bpf_spin_lock": "with record.lock:",
    "kptr": "old = record.field.xchg(new)",
}


def check_assignable(cx: Lowering, node: ast.AST, ref: Ref) -> None:
    """Refuse to assign what cannot be written, at the place's syntax."""
    if isinstance(ref.type, KernelType):
        use = USES.get(ref.type.name, "record.timer.start(f, nanoseconds)")
        cx.fail(node, f"{named(ref.type)} is the kernel's and cannot be assigned", hint=f"it is used by `{use}`")
    check_writable(cx, node, ref)


def check_writable(cx: Lowering, node: ast.AST, ref: Ref) -> None:
    """Refuse to write to settings, constant tables, what the program's type may only read, and copies that stand for it."""
    if not ref.writable and ref.region == "stack":
        cx.fail(node, "this memory cannot be written", "it is a copy, and the store would change nothing else")
    if not ref.writable:
        if ref.region == "slice":
            cx.fail(node, "a slice of a packet can only be read", "it may be a copy", "`data.write(offset, record)` writes")
        constant = ref.region == "map_value"
        why = "settings and tables are constant while a program runs" if constant else "it is read-only for this program type"
        cx.fail(node, "this memory cannot be written", why, "keep what changes in a `@bpf.globals` class" if constant else "")


def _place(cx: Lowering, whole: int, offset: int, size: int) -> int:
    """How many bytes of a number lie below the piece that is stored at this offset."""
    return whole - offset - size if cx.unit.options.big_endian else offset


def chunks(size: int, align: int) -> Iterator[tuple[int, int]]:
    """(offset, width) pieces that cover `size` bytes with naturally aligned accesses."""
    offset = 0
    while offset < size:
        width = min(8, align)
        while width > size - offset or offset % width:
            width //= 2
        yield offset, width
        offset += width


def alignment(ref: Ref) -> int:
    """What a pointer is known to be aligned to; map values and packets take unaligned access, the stack does not."""
    if ref.region in ("packet", "map_value", "mem", "slice"):
        return 8
    base = base_alignment(ref) or max(ref.type.align, 1)
    while ref.offset % base:
        base //= 2
    return base


def step(ref: Ref) -> int:
    """What a place's address is a multiple of for certain; map values and what a ring gives begin at a multiple of 8."""
    base = alignment_of(ref.op, 8 if ref.region in ("map_value", "mem") else ref.aligned)
    return base if ref.offset % 8 == 0 else min(base, ref.offset & -ref.offset)


def whole(cx: Lowering, node: ast.AST, ref: Ref) -> None:
    """Refuse to copy what the kernel keeps inside of a map's value."""
    kept = (ref.type.name,) if isinstance(ref.type, KernelType) else tuple(f.name for f in kept_fields(ref.type))
    if kept and ref.region in ("map_value", "object", "borrowed"):
        where = " in a map" if ref.region == "map_value" else ""
        cx.fail(
            node,
            f"{named(ref.type)}{where} cannot be copied: its `{kept[0]}` is the kernel's",
            hint="copy the fields that you need",
        )


def root(op: Op) -> Op:
    """What a pointer was made from."""
    while op.kind in ("add", "guard"):
        op = op.args[0]
    return op


def _disjoint(cx: Lowering, a: Ref, b: Ref) -> bool:
    """Whether two places of one type are the same or do not overlap, for certain."""
    mine, theirs = root(a.op), root(b.op)
    if a.region != b.region:
        return not {"mem", "slice", EITHER} & {a.region, b.region}
    if mine.kind == theirs.kind == "alloca":
        return mine is not theirs
    return a.region in ("map_value", "stack") and isinstance(a.type, StructType) and not cx.unit.unions


def copy(cx: Lowering, node: ast.AST, to: Ref, source: Ref, apart: bool = False) -> None:
    """Copy a record, array or text: all loads first, so that overlapping places and swaps come out right; piece by piece
    where they are known to lie apart."""
    cx.usable(node, source)
    whole(cx, node, source)
    check_writable(cx, node, to)
    pieces = list(chunks(to.type.size, min(alignment(to), alignment(source))))
    if not apart and to.type.size > AT_ONCE and not _disjoint(cx, to, source):
        between = temporary(cx, source.type, "copy")
        copy(cx, node, between, source, apart=True)
        return copy(cx, node, to, between, apart=True)
    if apart or to.type.size > AT_ONCE:
        cx.forget()
        for offset, width in pieces:
            kind = I64 if width == 8 else I32
            value = cx.builder.emit("load", kind, [source.op], (width, 0, source.offset + offset))
            cx.builder.emit("store", VOID, [to.op, value], (width, to.offset + offset))
        return
    values = [
        cx.builder.emit("load", I64 if width == 8 else I32, [source.op], (width, 0, source.offset + offset))
        for offset, width in pieces
    ]
    cx.forget()
    for (offset, width), op in zip(pieces, values, strict=True):
        cx.builder.emit("store", VOID, [to.op, op], (width, to.offset + offset))


def store_bytes(cx: Lowering, node: ast.AST, ref: Ref, data: bytes, start: int = 0) -> None:
    """Write constant bytes, from `start` on."""
    check_writable(cx, node, ref)
    cx.forget()
    offset = start
    while offset < len(data):
        width = min(8, alignment(replace(ref, offset=ref.offset + offset)))
        while width > len(data) - offset or (ref.region in OWN and (ref.offset + offset) % width):
            width //= 2
        piece = int.from_bytes(data[offset : offset + width], "little")
        cx.builder.emit("store", VOID, [ref.op, cx.const(piece)], (width, ref.offset + offset))
        offset += width


def zero(cx: Lowering, node: ast.AST, ref: Ref, start: int = 0) -> None:
    """Clear a place, from byte `start` on."""
    if ref.type.size > LARGEST_SCRATCH and ref.region == "stack":
        told = f"{ref.type.size} bytes; a program's local memory has at most {LARGEST_SCRATCH}"
        cx.fail(node, "this is too large for a local value", told, hint="keep large things in an Array map")
    store_bytes(cx, node, ref, bytes(ref.type.size), start)


def fill(cx: Lowering, node: ast.AST, ref: Ref, value: Fill) -> None:
    """Let a helper write into a place, all of whose bytes are known afterwards: equal texts are then equal keys."""
    if ref.region in ("packet", "ctx", "arena"):  # where helpers may not write
        place = temporary(cx, ref.type)
        fill(cx, node, place, value)
        return copy(cx, node, ref, place, apart=True)
    zero(cx, node, ref, 0 if value.leaves else value.type.size)
    cx.forget()
    value.write(ref)


def temporary(cx: Lowering, type: Type, name: str = "") -> Ref:
    """A place on the stack, uninitialised."""
    align = min(8, 1 << type.size.bit_length() - 1) if type.size else 1
    return Ref(cx.stack(type.size, max(align, type.align), name), 0, type, "stack")


def in_memory(cx: Lowering, value: Value) -> Value:
    """What a helper would write in place, such as the task's name, as a place of its own."""
    if not isinstance(value, Fill):
        return value
    place = temporary(cx, value.type)
    fill(cx, cx.here, place, value)
    return place


def materialized(cx: Lowering, node: ast.AST, value: Value, type: Type, name: str = "") -> Ref:
    """The value in memory, as a helper wants it: where it is, if it already lies there in this shape, else on the stack. Slices
    of packets, which can only be read, and contexts are no keys and values for the kernel."""
    there = isinstance(value, Ref) and value.type == type and not isinstance(type, IntType | BoolType)
    if there and isinstance(value, Ref) and value.region not in ("slice", "ctx", "arena"):
        cx.usable(node, value)
        whole(cx, node, value)
        return value
    place = temporary(cx, type, name)
    if not isinstance(type, IntType | BoolType | StructType):
        store(cx, node, place, value)
        return place
    store(cx, node, place, value)
    return place


def pointer(cx: Lowering, ref: Ref) -> object:
    """The address of a place as one op."""
    if ref.offset == 0:
        return ref.op
    kind = ref.op.type
    assert isinstance(kind, Ptr)
    return cx.builder.emit("add", kind, [ref.op, cx.const(ref.offset)])


def element(cx: Lowering, node: ast.Subscript, ref: Ref, index: Value) -> Ref:
    """The place of `ref[index]`: a constant (negative from the end) or an index proven to be in range."""
    type = ref.type
    if isinstance(type, ArrayType):
        item, count = type.element, type.count
    elif isinstance(type, CharsType | BytesType):
        item, count = IntType(8), type.size
    else:
        cx.fail(node, f"{named(type)} cannot be indexed", hint=instead.indexed(node, ref))
    number = cx.integer(node.slice, index, "an integer index")
    if number.op.is_const and number.low == number.high:
        at = number.low + count if number.low < 0 else number.low
        if not 0 <= at < count:
            cx.fail(node.slice, f"index {number.low} is outside `{type}`", f"valid: {-count} to {count - 1}")
        return replace(ref, offset=ref.offset + at * item.size, type=item)
    if number.low < 0 or number.high >= count:
        cx.fail(
            node.slice,
            f"the index may be outside `{type}`",
            f"{number.low}..{number.high}",
            advice.to_test(node.slice, number.low, count),
        )
    if ref.region in ("ctx", "socket"):
        what = "its context" if ref.region == "ctx" else "a socket"
        cx.fail(
            node.slice,
            f"the kernel lets a program read and write {what} at constant places only",
            "an index that is known when the program is compiled is wanted",
            "`for i in (0, 1, 2):` compiles its body once for each",
        )
    scaled = provable(cx, number.op, count - 1)
    if item.size > 1:
        scaled = cx.builder.emit("mul", I64, [scaled, cx.const(item.size)])
    place = replace(ref, op=cx.builder.emit("add", ref.op.type, [ref.op, scaled]), type=item)
    return _in_packet(cx, place) if ref.region == "packet" else place


def _in_packet(cx: Lowering, place: Ref) -> Ref:
    """A pointer into the packet that was moved by a run-time distance: the verifier wants a check of its own against the
    packet's end, though it cannot fail."""
    from purebpf.compiler.frontend import scopes
    from purebpf.compiler.frontend.context import bases
    from purebpf.compiler.frontend.lower import NeedsInlining
    from purebpf.compiler.frontend.values import Context

    if cx.context is None:
        raise NeedsInlining("it needs the context to look into the packet")
    reach = place.offset + place.type.size
    limit = cx.builder.emit("add", place.op.type, [place.op, cx.const(reach)])
    yes, no = cx.branch(cx.builder.emit("ule", BOOL, [limit, bases(cx, Context(cx.context))[1]]))
    scopes.never(cx, no)
    cx.go(yes)
    return replace(place, op=cx.builder.emit("guard", place.op.type, [place.op], ("packet", reach, 0)))


def kept(cx: Lowering, node: ast.AST, value: Value, type: IntType | BoolType) -> IntValue:
    """What an annotated variable, parameter or result keeps of a value."""
    low, high = (type.low, type.high) if isinstance(type, IntType) else (0, 1)
    if isinstance(value, Const) and isinstance(value.value, int):
        return clipped(cx, fitted(cx, node, value, low, high, str(type)), type)
    return clipped(cx, cx.integer(node, value, named(type)), type)


def clipped(cx: Lowering, value: IntValue, type: Type) -> IntValue:
    """The value cut to a type's range."""
    if isinstance(type, IntType):
        return narrow(cx, value, type.bits, type.signed)
    return IntValue(value.op if value.boolean else cx.builder.emit("ne", BOOL, [value.op, cx.const(0)]), 0, 1, False, True)
