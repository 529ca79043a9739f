"""Atomic instructions: `bpf.atomic.fetch_add(place, n)` and its kin, and `place += n` where the place is shared.

The instructions work on 4 or 8 aligned bytes of a map's value or of the stack; before cpu level 3 (Linux 5.12) there is
addition without a result only.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.diagnostics import UnsupportedProgram
from purebpf.compiler.frontend import maps, memory
from purebpf.compiler.frontend.flow import as_int
from purebpf.compiler.frontend.values import EITHER, NONE, Const, IntValue, MaybeRef, Ref, Value, describe, named
from purebpf.compiler.ir.ops import I32, I64, VOID, Op
from purebpf.lang.atomic import atomic
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.types import IntType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

REGIONS = frozenset({"map_value", "stack", "mem", "arena", EITHER})
SYMBOLS = {"+": "add", "-": "add", "&": "and", "|": "or", "^": "xor"}
FETCHES = {"fetch_add": "+", "fetch_sub": "-", "fetch_or": "|", "fetch_and": "&", "fetch_xor": "^"}


def _too_new(cx: Lowering, node: ast.AST, what: str, hint: str = "") -> UnsupportedProgram:
    label = f"this program is compiled for level {cx.unit.options.cpu}; level 3 came with Linux 5.12"
    return UnsupportedProgram(f"{what} needs cpu level 3", cx.place(node), label, hint)


def update(cx: Lowering, node: ast.AST, ref: Ref, symbol: str, amount: Value) -> bool:
    """`place symbol= amount` as one atomic instruction where the place is shared and of 4 or 8 aligned bytes; False if not."""
    type = ref.type
    if not ref.shared or symbol not in SYMBOLS or not isinstance(type, IntType) or not _possible(ref):
        return False
    number = as_int(cx.builder, amount)
    if number is None or (type.big and symbol in "+-"):
        return False
    if symbol not in "+-" and cx.unit.options.cpu < 3:
        raise _too_new(cx, node, f"an atomic `{symbol}=`", "use a per-CPU map, where a plain one will do")
    cx.forget()
    cx.builder.emit(
        "atomic", VOID, [ref.op, _operand(cx, type, symbol, number.op)], (SYMBOLS[symbol], type.size, ref.offset, 0)
    )
    return True


def _possible(ref: Ref) -> bool:
    return ref.type.size in (4, 8) and ref.region in REGIONS and memory.step(ref) % ref.type.size == 0


def _operand(cx: Lowering, type: IntType, symbol: str, op: Op) -> Op:
    if symbol == "-":
        return cx.builder.emit("sub", I64, [cx.const(0), op])
    return cx.builder.emit("tobe", I64 if type.bits == 64 else I32, [op], (type.bits,)) if type.big else op


def place(cx: Lowering, node: ast.expr) -> Callable[[], Ref | MaybeRef]:
    """Evaluate what names the place; the result finds it (its lookup in a map comes last, when all operands are there)."""
    match node:
        case ast.Subscript():
            base = cx.expression(node.value)
            key = cx.expression(node.slice)
            if isinstance(base, Const) and isinstance(base.value, MapDeclaration):
                declaration = base.value
                return lambda: maps.entry(cx, node, declaration, key)
            if isinstance(base, Ref):
                cx.usable(node.value, base)
                found = memory.element(cx, node, base, key)
                return lambda: found
            cx.usable(node.value, base)
        case ast.Attribute():
            base = cx.expression(node.value)
            cx.usable(node.value, base)
            if isinstance(base, Ref):
                field_place, field = memory.member(cx, node, base, node.attr)
                if field.bits:
                    cx.fail(node, f"`{node.attr}` is a bit field, which no instruction changes atomically")
                return lambda: field_place
    cx.fail(
        node,
        "the first argument of an atomic operation is a place",
        f"{describe(cx.expression(node))} is none",
        "give it `m[key]`, `record.field`, `record.items[i]` or a global, `state.count`",
    )


def _checked(cx: Lowering, node: ast.AST, ref: Ref, name: str) -> IntType:
    """The place's type, or an error that says why no atomic instruction works there."""
    type = ref.type
    if not isinstance(type, IntType):
        cx.fail(node, f"`{name}` works on integers, not on {named(type)}")
    if type.size not in (4, 8):
        cx.fail(node, f"`{name}` works on 4 or 8 bytes, and {named(type)} has {type.size}", hint="make the place a u32 or u64")
    if ref.region not in REGIONS:
        cx.fail(node, f"`{name}` works on map values, not on the {ref.region.replace('ctx', 'context')}")
    memory.check_writable(cx, node, ref)
    if not _possible(ref):
        cx.fail(node, f"`{name}` needs a place that is aligned to its {type.size} bytes", hint="leave out `packed=True`")
    return type


def call(cx: Lowering, node: ast.Call) -> Value:
    """`bpf.atomic.…(place, …)`: the old value, or None where a hash has no such key."""
    name = ast.unparse(node.func).rpartition(".")[2]
    wanted = ("place", "old", "new") if name == "compare_exchange" else ("place", "value" if name == "exchange" else "n")
    if len(node.args) != len(wanted) or node.keywords:
        cx.fail(node, f"`{name}` takes ({', '.join(wanted)})")
    if cx.unit.options.cpu < 3:
        raise _too_new(cx, node, f"`{name}`")
    find = place(cx, node.args[0])
    operands = [(at, cx.expression(at)) for at in node.args[1:]]
    found = find()
    if isinstance(found, Ref):
        return _apply(cx, node, found, name, operands)
    return maps.if_there(cx, found, lambda ref: _apply(cx, node, ref, name, operands), lambda: NONE, name_of_place(node))


def name_of_place(node: ast.Call) -> str:
    return f"`{ast.unparse(node)}` gives None when the key is absent"


def _apply(cx: Lowering, node: ast.Call, ref: Ref, name: str, operands: list[tuple[ast.expr, Value]]) -> IntValue:
    type = _checked(cx, node.args[0], ref, name)
    symbol = FETCHES.get(name, "")
    if type.big and symbol in ("+", "-"):
        cx.fail(node, f"`{name}` cannot work on {named(type)}, whose bytes are in network order", hint="use a u32 or u64")
    numbers: list[Op] = []
    for at, value in operands:
        any_size = symbol in ("+", "-")
        number = cx.integer(at, value) if any_size else memory.fitted(cx, at, value, type.low, type.high, str(type))
        numbers.append(_operand(cx, type, symbol, number.op))
    cx.forget()
    kind = I32 if type.size == 4 else I64
    if name == "compare_exchange":
        op = cx.builder.emit("cmpxchg", kind, [ref.op, *numbers], (type.size, ref.offset))
    else:
        op = cx.builder.emit("atomic", kind, [ref.op, *numbers], (SYMBOLS.get(symbol, "xchg"), type.size, ref.offset, 1))
    if type.big:
        op = cx.builder.emit("tobe", kind, [op], (type.bits,))
    if type.signed and type.size == 4:
        op = cx.builder.emit("sext", I64, [op], (32,))
    return IntValue(op, type.low, type.high, type.signed)


INTRINSICS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {
    getattr(atomic, name): call for name in (*FETCHES, "exchange", "compare_exchange")
}
