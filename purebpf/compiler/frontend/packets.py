"""More of the packet: `load` and `store`, which reach its paged part, and slices with constant bounds.

ctx.packet.load(54, Header)         # a copy on the stack, or None
ctx.packet.store(26, record)        # 0 or -errno; earlier references into the packet end
ctx.packet[0:6]                     # bytes, or None where the packet is shorter
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import context, dynptrs, helpers, memory
from purebpf.compiler.frontend.values import NONE, Const, IntValue, Packet, Ref, Value, known
from purebpf.lang.types import BytesType
from purebpf.tables.enums import ProgramType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


def has(cx: Lowering, what: str) -> bool:
    """Whether programs of this type have the helper for `load` or `store`."""
    from purebpf.tables.helpers import helper

    found = helper(f"{_prefix(cx)}_{what}_bytes")
    return found is not None and cx.unit.kind.type in found.programs


def load(cx: Lowering, node: ast.Call, packet: Packet) -> Value:
    """`ctx.packet.load(offset, T)`: `T | None`, a read-only copy from anywhere in the packet."""
    asked = context.asked(cx, node, "load")
    if asked is None:
        return NONE
    offset, layout, why = asked
    return context.copied(cx, node, packet, offset, layout, why, f"{_prefix(cx)}_load_bytes")


def store(cx: Lowering, node: ast.Call, packet: Packet) -> Value:
    """`ctx.packet.store(offset, data, flags=0)`: 0 or -errno."""
    names = ("offset", "data", "flags")
    given = dict(zip(names, node.args, strict=False)) | {k.arg: k.value for k in node.keywords}
    if len(given) != len(node.args) + len(node.keywords) or not set(names[:2]) <= given.keys() <= set(names):
        cx.fail(node, "`store` takes (offset, data, flags=...)", hint="ctx.packet.store(26, record)")
    helper = f"{_prefix(cx)}_store_bytes"
    row = helpers.allowed(cx, node, helper)
    offset = dynptrs.u32(cx, given["offset"], "the offset")
    value = cx.expression(given["data"])
    if isinstance(value, IntValue) or (isinstance(value, Const) and isinstance(value.value, int)):
        cx.fail(
            given["data"],
            "`store` copies records, arrays, texts and bytes",
            hint="put the number into a record, which tells its size",
        )
    index = 2  # of the data among the helper's arguments
    sizes: dict[int, int] = {}
    source = helpers._memory(cx, given["data"], "what `store` copies", helper, row.args[index], value, sizes, index)
    registers = [packet.context.op, offset, source, cx.const(sizes[index])]
    if len(row.args) > len(registers):
        registers.append(cx.integer(given["flags"], cx.expression(given["flags"])).op if "flags" in given else cx.const(0))
    elif "flags" in given:
        cx.fail(given["flags"], f"`store` takes no flags in a program of type `{cx.unit.kind.decorator}`")
    op = cx.call(helper, registers)
    if row.invalidates_packet:
        helpers.changed(cx)
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


def part(cx: Lowering, node: ast.Subscript, packet: Packet) -> Value:
    """`ctx.packet[a:b]`: bytes, or None."""
    assert isinstance(node.slice, ast.Slice)
    lower, upper = (None if bound is None else known(cx.expression(bound)) for bound in (node.slice.lower, node.slice.upper))
    start = 0 if node.slice.lower is None else lower
    if start is None or upper is None or node.slice.step is not None:
        cx.fail(
            node,
            "a slice of the packet has constant bounds",
            hint="`ctx.packet[0:6]`, or a record at a run-time offset: `ctx.packet.at(offset, T)`",
        )
    if not 0 <= start < upper <= context.MAX_PACKET:
        cx.fail(
            node,
            "no packet has these bytes",
            f"{start}..{upper}",
            f"bounds go from 0 to {context.MAX_PACKET}, the second is larger",
        )
    layout, why = BytesType(upper - start), f"the packet may be shorter than {upper} bytes"
    offset = cx.int_const(start)
    if not context.in_place(cx):
        return context.copied(cx, node, packet, offset, layout, why)
    place = memory.temporary(cx, layout, "of the packet")

    def take(found: Ref) -> Value:
        memory.copy(cx, node, place, found, apart=True)
        return place

    return context.direct(cx, node, packet, offset, layout, why, take)


def _prefix(cx: Lowering) -> str:
    return "xdp" if cx.unit.kind.type == ProgramType.XDP else "skb"
