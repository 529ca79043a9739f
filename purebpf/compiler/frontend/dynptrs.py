"""Records of run-time size: `with ring.reserve_bytes(n) as data:`, `data.at(offset, T)`, `data.write(offset, record)`.

A dynptr is 16 bytes on the stack that only helpers touch (Linux 5.19). It must be given back on every way out even when the
ring was full: then it is empty, and nothing is found in it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import helpers, maps, memory, rings, scopes
from purebpf.compiler.frontend.values import NONE, Const, Dynptr, IntValue, MaybeRef, Ref, Value, describe, known
from purebpf.compiler.ir.ops import BOOL, VOID, Op, Ptr
from purebpf.lang.types import BoolType, IntType, type_of

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.lang.rings import RingBuf

SIZE = 16  # struct bpf_dynptr
U32 = (1 << 32) - 1
OPEN = "open dynptr "


def open_name(place: Op) -> str:
    return f"{OPEN}{id(place)}"


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
    size = _u32(cx, node.args[0], "the size")
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
    rings.same_loop(cx, node, data.op)
    _give_back(cx, "ringbuf_discard_dynptr", data.op)
    cx.flow.state[open_name(data.op)] = cx.int_const(0)
    return NONE


def _u32(cx: Lowering, node: ast.expr, what: str) -> Op:
    number = cx.integer(node, cx.expression(node), what)
    if number.low < 0 or number.high > U32:
        cx.fail(
            node, f"{what} is 0 to {U32}", f"{number.low}..{number.high}", f"test it, or cast it: `u32({ast.unparse(node)})`"
        )
    return number.op


def method(cx: Lowering, node: ast.Call, data: Dynptr, name: str) -> Value:
    """`data.at(offset, T)`: `T | None`; `data.write(offset, record)`: 0 or -errno."""
    if name not in ("at", "write") or len(node.args) != 2 or node.keywords:
        cx.fail(node, "reserved bytes have `at(offset, T)` and `write(offset, record)`")
    return _at(cx, node, data) if name == "at" else _write(cx, node, data)


def _at(cx: Lowering, node: ast.Call, data: Dynptr) -> Value:
    helpers.allowed(cx, node, "dynptr_data")
    wanted = cx.expression(node.args[1])
    layout = type_of(wanted.value) if isinstance(wanted, Const) else None
    if layout is None:
        cx.fail(node.args[1], f"a type is wanted here, not {describe(wanted)}", hint="data.at(0, u32)")
    offset = _u32(cx, node.args[0], "the offset")
    op = cx.call("dynptr_data", [data.op, offset, cx.const(layout.size)], Ptr("mem", nullable=True))
    why = f"`{ast.unparse(node)}` gives None where the bytes end before, or when the ring was full"
    found = MaybeRef(op, Ref(op, 0, layout, "mem"), why)
    if isinstance(layout, IntType | BoolType):
        return maps.if_there(cx, found, lambda ref: memory.load(cx, node, ref), lambda: NONE, why)
    return found


def _write(cx: Lowering, node: ast.Call, data: Dynptr) -> Value:
    row = helpers.allowed(cx, node, "dynptr_write")
    offset = _u32(cx, node.args[0], "the offset")
    value = cx.expression(node.args[1])
    if isinstance(value, IntValue) or (isinstance(value, Const) and isinstance(value.value, int)):
        cx.fail(
            node.args[1],
            "`write` copies records, arrays, texts and bytes",
            hint="`place = data.at(offset, Record)`, then assign",
        )
    index = next(i for i, argument in enumerate(row.args) if argument.name == "src")
    sizes: dict[int, int] = {}
    source = helpers._memory(cx, node.args[1], "what `write` copies", "dynptr_write", row.args[index], value, sizes, index)
    op = cx.call("dynptr_write", [data.op, offset, source, cx.const(sizes[index]), cx.const(0)])
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)
