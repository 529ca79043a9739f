"""Texts: printing with f-strings, and comparing texts and bytes in memory with constants and one another."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import formats, instead, memory
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.values import Const, Fill, IntValue, Ref, Value, describe
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Op, Ptr
from purebpf.lang.types import BytesType, CharsType, StructType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

CONVERSION = re.compile(r"%[-+ ]*\d*l*[a-zA-Z%]")
CONVERSIONS: dict[str, Callable[[object], str]] = {"r": repr, "s": str, "a": ascii}
OLD_CONVERSION = re.compile(r"%(s|ll[dux])")  # bpf_trace_printk in kernel/trace/bpf_trace.c as of Linux 5.12


def print_(cx: Lowering, node: ast.Call, pieces: list[ast.expr]) -> Value:
    """Print texts, f-strings and integers, joined by spaces. The format lies in the read-only data."""
    from purebpf.compiler.frontend.helpers import allowed

    form, values = formatted(cx, node, pieces)
    data = form.encode() + b"\0"
    if not cx.flow.dead and _newer(form):
        cx.unit.requires["printk_formats"] = None
    text = cx.builder.emit("map_value", Ptr("map_value"), [], (cx.unit.rodata_name, cx.unit.literal(data)))
    size = cx.const(len(data))
    if len(values) <= 3:
        allowed(cx, node, "trace_printk")
        op = cx.call("trace_printk", [text, size, *values])
    else:
        allowed(cx, node, "trace_vprintk")
        array = cx.stack(8 * len(values), 8, "values")
        for i, value in enumerate(values):
            cx.builder.emit("store", VOID, [array, value], (8, 8 * i))
        op = cx.call("trace_vprintk", [text, size, array, cx.const(8 * len(values))])
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


def formatted(cx: Lowering, node: ast.Call, pieces: list[ast.expr]) -> tuple[str, list[Op]]:
    """Texts, f-strings and integers, joined by spaces, as the kernel prints them: its format, and the values in it."""
    form = ""
    values: list[Op] = []
    for i, piece in enumerate(pieces):
        form += " " if i else ""
        if isinstance(piece, ast.JoinedStr):
            for part in piece.values:
                if isinstance(part, ast.Constant):
                    form += str(part.value).replace("%", "%%")
                else:
                    assert isinstance(part, ast.FormattedValue)
                    form += _formatted(cx, part, values)
        else:
            form += _value(cx, piece, cx.expression(piece), "", values)
    if any(not (32 <= byte < 127 or byte in b"\n\t") for byte in form.encode()):
        cx.fail(node, "the kernel prints ASCII texts only", hint="leave out other characters")
    return form, values


def _newer(form: str) -> bool:
    """Whether the kernel prints this format from Linux 5.13 on only, and before that nothing at all."""
    conversions = CONVERSION.findall(form)
    return conversions.count("%s") > 1 or any(not OLD_CONVERSION.fullmatch(each) for each in conversions)


def _formatted(cx: Lowering, part: ast.FormattedValue, values: list[Op]) -> str:
    """One `{value:spec}`."""
    conversion = "" if part.conversion in (-1, None) else chr(part.conversion)
    spec = ""
    if part.format_spec is not None:
        assert isinstance(part.format_spec, ast.JoinedStr)
        if not all(isinstance(v, ast.Constant) for v in part.format_spec.values):
            cx.fail(part.value, "a format spec must be constant")
        spec = "".join(str(v.value) for v in part.format_spec.values if isinstance(v, ast.Constant))
    value = cx.expression(part.value)
    if not conversion:
        return _value(cx, part.value, value, spec, values)
    if isinstance(value, Const):
        shown = CONVERSIONS[conversion](value.value)
        return _value(cx, part.value, Const(shown), spec, values)
    if isinstance(value, IntValue) and not spec and not value.boolean:  # `{n=}` says `!r`
        return _value(cx, part.value, value, spec, values)
    cx.fail(
        part.value,
        f"`!{conversion}` is for constants and for integers without a format spec",
        hint="name a value yourself: `text={text}`",
    )


def _value(cx: Lowering, node: ast.expr, value: Value, spec: str, values: list[Op]) -> str:
    """The kernel's conversion for a value; its operand goes to `values`, constants straight into the text."""
    if isinstance(value, Const) and isinstance(value.value, str | int | bool):
        known = value.value
        return str(cx.python(node, lambda: format(known, spec))).replace("%", "%%")
    if isinstance(value, Fill):
        place = memory.temporary(cx, value.type)
        value.write(place)
        value = place
    if isinstance(value, Ref) and isinstance(value.type, CharsType):
        cx.usable(node, value)
        conversion = formats.text(cx, node, spec)
        from purebpf.compiler.frontend.helpers import _pointer

        values.append(_pointer(cx, value))
        return conversion
    if hint := instead.printed(node, value):
        cx.usable(node, value)
        cx.fail(node, f"{describe(value)} cannot be printed", hint=hint)
    number = cx.integer(node, value, "an integer or a text")
    values.append(number.op)
    if number.boolean:
        cx.warn(node, "a bool is printed as 0 or 1")
    return formats.integer(cx, node, number, spec)


def _of_a_number(cx: Lowering, node: ast.expr) -> str:
    """Of a number that is compared with a text."""
    sides = (node.left, *node.comparators) if isinstance(node, ast.Compare) else ()
    number = next((side for side in sides if not isinstance(side, ast.Constant)), node)
    return instead.at_an_address(cx, number)


def compare_memory(cx: Lowering, node: ast.expr, a: Value, symbol: str, b: Value) -> tuple[Flow | None, Flow | None]:
    """`text == "constant"`, `mac == other.mac`: bytes compared by wide loads. Texts compare up to their NUL."""
    if symbol not in ("==", "!="):
        cx.fail(
            node,
            f"{describe(a)} and {describe(b)} cannot be compared by `{symbol}`",
            hint="texts and bytes compare by == and !=",
        )
    for side in (a, b):
        cx.usable(node, side)
    refs: list[Value] = []
    for side in (a, b):
        if isinstance(side, Fill):
            place = memory.temporary(cx, side.type)
            side.write(place)
            refs.append(place)
        else:
            refs.append(side)
    x, y = refs
    if isinstance(x, Const):
        x, y = y, x
    if not isinstance(x, Ref) or not isinstance(x.type, CharsType | BytesType):
        records = isinstance(x, Ref) and isinstance(x.type, StructType)
        cx.fail(
            node,
            f"{describe(a)} and {describe(b)} cannot be compared",
            hint=instead.compared(y, x)
            or instead.compared(x, y)
            or (isinstance(x, IntValue) or isinstance(y, IntValue)) * _of_a_number(cx, node)
            or ("compare their fields" if records else "compare a text with a text, bytes with bytes of the same length"),
        )
    differ: list[Op] = []
    if isinstance(y, Const) and isinstance(y.value, str | bytes):
        if isinstance(x.type, CharsType) != isinstance(y.value, str):
            hint = instead.compared(y, x) or "texts compare with str, bytes with bytes"
            cx.fail(node, f"{describe(x)} never equals {describe(y)}", hint=hint)
        data = y.value.encode("utf-8", "surrogateescape") + b"\0" if isinstance(y.value, str) else y.value
        if (isinstance(y.value, bytes) and len(data) != x.type.size) or len(data) > x.type.size:
            cx.warn(
                node, "this comparison is always False" if symbol == "==" else "this comparison is always True", _sizes(x, data)
            )
            return cx.branch(cx.builder.const(int(symbol == "!="), BOOL))
        for offset, width in memory.chunks(len(data), memory.alignment(x)):
            loaded = cx.builder.emit("load", I64 if width == 8 else I32, [x.op], (width, 0, x.offset + offset))
            differ.append(
                cx.builder.emit("eq", BOOL, [loaded, cx.const(int.from_bytes(data[offset : offset + width], "little"))])
            )
    elif isinstance(y, Ref) and isinstance(y.type, BytesType) and y.type == x.type:
        for offset, width in memory.chunks(x.type.size, min(memory.alignment(x), memory.alignment(y))):
            kind = I64 if width == 8 else I32
            left = cx.builder.emit("load", kind, [x.op], (width, 0, x.offset + offset))
            right = cx.builder.emit("load", kind, [y.op], (width, 0, y.offset + offset))
            differ.append(cx.builder.emit("eq", BOOL, [left, right]))
    elif isinstance(y, Ref) and isinstance(x.type, CharsType) and isinstance(y.type, CharsType):
        equal, other = _compare_texts(cx, x, y)
        return (equal, other) if symbol == "==" else (other, equal)
    else:
        cx.fail(
            node,
            f"{describe(a)} and {describe(b)} cannot be compared",
            hint="compare a text with a text, bytes with bytes of the same length",
        )
    unequal: list[Flow | None] = []
    for op in differ:
        yes, no = cx.branch(op)
        unequal.append(no)
        cx.go(yes)
    equal, other = cx.current, cx.join(*unequal)
    return (equal, other) if symbol == "==" else (other, equal)


def _sizes(place: Ref, data: bytes) -> str:
    """Why a place can never hold these bytes."""
    if isinstance(place.type, CharsType):
        return f"{describe(place)} holds at most {place.type.size - 1} bytes, not {len(data) - 1}"
    return f"{describe(place)} has {place.type.size} bytes, not {len(data)}"


def _compare_texts(cx: Lowering, x: Ref, y: Ref) -> tuple[Flow | None, Flow | None]:
    """Two texts in memory, by wide loads up to the first NUL: what lies behind it does not count.

    In a word, `(w - 0x01..01) & ~w & 0x80..80` has its lowest bit set in the first zero byte; `bits ^ (bits - 1)` covers that
    bit and all below it, or the whole word where there is no zero byte.
    """
    if x.type.size > y.type.size:
        x, y = y, x
    align = 1 if cx.unit.options.big_endian else min(memory.alignment(x), memory.alignment(y))
    equal: list[Flow | None] = []
    unequal: list[Flow | None] = []
    e, k, nothing = cx.builder.emit, cx.const, cx.const(0)
    for offset, width in memory.chunks(x.type.size, align):
        left, right = (e("load", I64 if width == 8 else I32, [ref.op], (width, 0, ref.offset + offset)) for ref in (x, y))
        if width == 1:
            yes, no = cx.branch(e("eq", BOOL, [left, right]))
            unequal.append(no)
            cx.go(yes)
            yes, no = cx.branch(e("eq", BOOL, [left, nothing]))
        else:
            ones = int.from_bytes(b"\1" * width, "little")
            bits = e("and", I64, [e("sub", I64, [left, k(ones)]), e("xor", I64, [left, k((1 << 64) - 1)])])
            bits = e("and", I64, [bits, k(ones << 7)])
            mask = e("xor", I64, [bits, e("sub", I64, [bits, k(1)])])
            differ = e("and", I64, [e("xor", I64, [left, right]), mask])
            yes, no = cx.branch(e("eq", BOOL, [differ, nothing]))
            unequal.append(no)
            cx.go(yes)
            yes, no = cx.branch(e("ne", BOOL, [bits, nothing]))
        equal.append(yes)
        cx.go(no)
    if x.type.size < y.type.size:  # the shorter one is full: the longer one must end here
        behind = e("load", I32, [y.op], (1, 0, y.offset + x.type.size))
        yes, no = cx.branch(e("eq", BOOL, [behind, nothing]))
        unequal.append(no)
        cx.go(yes)
    return cx.join(*equal, cx.current), cx.join(*unequal)
