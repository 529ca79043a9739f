"""Questions to a text or bytes in memory: `len(text)`, `text.startswith("…")`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.flow import Flow
from purebpf.compiler.frontend.values import Const, IntValue, Ref, Value, named
from purebpf.compiler.ir.ops import BOOL, I32, I64
from purebpf.lang.types import CharsType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

LONGEST = 512  # bytes whose NUL is looked for word by word, without a loop
BYTE_NUMBERS = 0x0001_0203_0405_0607  # shifted left by i bytes, its highest byte is i


def length(cx: Lowering, node: ast.AST, ref: Ref) -> Value:
    """Bytes before the NUL. In a word, `(w - 0x01..01) & ~w & 0x80..80` has its lowest bit set in the first zero byte."""
    from purebpf.compiler.frontend.expressions import chosen

    size = ref.type.size
    if size > LONGEST:
        cx.fail(
            node, f"{named(ref.type)} is too long to look for its end", f"at most {LONGEST} bytes", "keep its length in a field"
        )
    e, k = cx.builder.emit, cx.const
    ways: list[tuple[Flow | None, Value]] = []
    for offset, width in memory.chunks(size, 1 if cx.unit.options.big_endian else memory.alignment(ref)):
        word = e("load", I64 if width == 8 else I32, [ref.op], (width, 0, ref.offset + offset))
        if width == 1:
            ends, goes_on = cx.branch(e("eq", BOOL, [word, k(0)]))
            ways.append((ends, cx.int_const(offset)))
        else:
            ones = int.from_bytes(b"\1" * width, "little")
            bits = e("and", I64, [e("sub", I64, [word, k(ones)]), e("xor", I64, [word, k(-1)])])
            bits = e("and", I64, [bits, k(ones << 7)])
            ends, goes_on = cx.branch(e("ne", BOOL, [bits, k(0)]))
            cx.go(ends)
            first = e("and", I64, [bits, e("sub", I64, [k(0), bits])])
            number = e("mul", I64, [e("lshr", I64, [first, k(7)]), k(BYTE_NUMBERS)])
            number = e("add", I64, [e("lshr", I64, [number, k(56)]), k(offset)])
            ways.append((cx.current, IntValue(number, offset, offset + width - 1)))
        cx.go(goes_on)
    return chosen(cx, [*ways, (cx.current, cx.int_const(size))])


def starts_with(cx: Lowering, node: ast.Call, ref: Ref) -> Value:
    """`text.startswith("eth")`, of bytes the same."""
    from purebpf.compiler.frontend.expressions import chosen

    wanted = cx.expression(node.args[0]) if len(node.args) == 1 and not node.keywords else Const(None)
    kind = str if isinstance(ref.type, CharsType) else bytes
    if not isinstance(wanted, Const) or not isinstance(wanted.value, kind):
        cx.fail(node, "`startswith` takes one constant in a program", f"{'a text' if kind is str else 'bytes'}")
    prefix = wanted.value if isinstance(wanted.value, bytes) else wanted.value.encode("utf-8", "surrogateescape")
    if len(prefix) > ref.type.size - (kind is str):
        cx.warn(node, "this is always False", f"{named(ref.type)} is shorter")
        return Const(False)
    ways: list[tuple[Flow | None, Value]] = []
    for offset, width in memory.chunks(len(prefix), memory.alignment(ref)):
        word = cx.builder.emit("load", I64 if width == 8 else I32, [ref.op], (width, 0, ref.offset + offset))
        order = "big" if cx.unit.options.big_endian else "little"
        same = cx.const(int.from_bytes(prefix[offset : offset + width], order))  # type: ignore[arg-type]
        yes, no = cx.branch(cx.builder.emit("eq", BOOL, [word, same]))
        ways.append((no, Const(False)))
        cx.go(yes)
    return chosen(cx, [*ways, (cx.current, Const(True))])
