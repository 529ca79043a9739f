"""`bpf.checksum`, `bpf.checksum_update`, `bpf.jhash` and `int.from_bytes` as code without loops."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend import memory
from purebpf.compiler.frontend.values import Const, Fill, IntValue, Ref, TupleValue, Value, describe
from purebpf.compiler.ir.ops import I32, I64, Op
from purebpf.data import replace
from purebpf.lang import sums
from purebpf.lang.types import ArrayType, BytesType, CharsType, IntType, Type

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

LOW32 = (1 << 32) - 1
MOST_SUMMED, MOST_HASHED = 512, 256


def _arguments(cx: Lowering, node: ast.Call, names: tuple[str, ...], needed: int) -> list[tuple[ast.expr, Value]]:
    """Positional and keyword arguments in the order of `names`; those from `needed` on may be missing."""
    given = dict(zip(names, node.args, strict=False))
    bad = len(node.args) > len(names)
    for keyword in node.keywords:
        bad = bad or keyword.arg not in names or keyword.arg in given
        given[keyword.arg or ""] = keyword.value
    if bad or any(name not in given for name in names[:needed]):
        shown = ", ".join(name if i < needed else f"{name}=..." for i, name in enumerate(names))
        cx.fail(node, f"`{ast.unparse(node.func)}` takes ({shown})")
    return [(given[name], cx.expression(given[name])) for name in names if name in given]


def _computed(cx: Lowering, node: ast.Call, function: Callable[..., int], values: list[Value]) -> Const | None:
    """What it gives for constants alone."""
    plain = [v.value for v in values if isinstance(v, Const)]
    if len(plain) < len(values) or not isinstance(plain[0], bytes | tuple):
        return None
    return Const(cx.python(node, lambda: function(*plain)))


def _memory(cx: Lowering, node: ast.Call, at: ast.expr, value: Value, most: int) -> Ref:
    """What is summed or hashed, in memory."""
    if isinstance(value, Fill):
        place = memory.temporary(cx, value.type)
        memory.fill(cx, at, place, value)
        value = place
    if not isinstance(value, Ref) or isinstance(value.type, IntType):
        cx.usable(at, value)
        cx.fail(at, f"`{ast.unparse(node.func)}` goes over a record, an array or bytes, not over {describe(value)}")
    if value.type.size > most:
        cx.fail(
            at,
            f"{describe(value)} has {value.type.size} bytes, `{ast.unparse(node.func)}` takes at most {most} in a program",
            hint="a helper such as `bpf.helpers.csum_diff` goes over more",
        )
    cx.usable(at, value)
    return value


def _pieces(cx: Lowering, node: ast.AST, ref: Ref, size: int) -> list[tuple[Op, int]]:
    """The memory as unsigned numbers of `size` bytes in the machine's order, the rest in smaller ones: (number, offset)."""
    found = []
    offset = 0
    while offset < ref.type.size:
        while size > ref.type.size - offset:
            size //= 2
        loaded = memory.load(cx, node, replace(ref, offset=ref.offset + offset, type=IntType(8 * size)))
        assert isinstance(loaded, IntValue)
        found.append((loaded.op, offset))
        offset += size
    return found


def checksum(cx: Lowering, node: ast.Call) -> Value:
    """The sum of 16-bit words with the carry added at the end (RFC 1071), in the machine's byte order: swapping the result is
    the same as swapping every word."""
    (at, value), *rest = _arguments(cx, node, ("data", "start"), 1)
    if (known := _computed(cx, node, sums.checksum, [value, *(v for _, v in rest)])) is not None:
        return known
    ref = _memory(cx, node, at, value, MOST_SUMMED)
    e, k = cx.builder.emit, cx.const
    total = k(0)
    for number, offset in _pieces(cx, node, ref, 4):
        last_byte = ref.type.size % 2 and offset == ref.type.size - 1
        total = e("add", I64, [total, e("shl", I64, [number, k(8)]) if last_byte and cx.unit.options.big_endian else number])
    bits = 32 + ref.type.size.bit_length()
    if rest:
        start_node, start = rest[0]
        first = cx.integer(start_node, start)
        if first.low < 0:
            cx.fail(start_node, "the start of a checksum is not negative", f"{first.low}..{first.high}")
        folded = _folded(cx, e("add", I64, [e("and", I64, [first.op, k(LOW32)]), e("lshr", I64, [first.op, k(32)])]), 33)
        total = e("add", I64, [total, e("tobe", I32, [folded], (16,))])
    folded = _folded(cx, total, bits)
    return IntValue(e("tobe", I32, [_inverted(cx, folded)], (16,)), 0, 0xFFFF)


def _folded(cx: Lowering, total: Op, bits: int) -> Op:
    """A sum of 16-bit words, of at most so many bits, with its carries added: 16 bits."""
    e, k = cx.builder.emit, cx.const
    while bits > 16:
        half = 32 if bits > 33 else 16
        low = e("low32", I32, [total]) if half == 32 else e("and", I32, [total, k(0xFFFF)])
        total = e("add", I64, [low, e("lshr", I64, [total, k(half)])])
        bits = max(half, bits - half) + 1 if bits > half + 1 else half
    return total


def _inverted(cx: Lowering, folded: Op) -> Op:
    """The other 16 bits."""
    return cx.builder.emit("and", I32, [cx.builder.emit("xor", I32, [folded, cx.const(-1)]), cx.const(0xFFFF)])


def checksum_update(cx: Lowering, node: ast.Call) -> Value:
    """RFC 1624: ~(~check + ~old + new), with numbers of 32 bits as two words."""
    given = _arguments(cx, node, ("check", "old", "new"), 3)
    check, old, new = (cx.integer(at, value) for at, value in given)
    for (at, _), number, most in zip(given, (check, old, new), (0xFFFF, LOW32, LOW32), strict=True):
        if number.low < 0 or number.high > most:
            cx.fail(
                at,
                f"`{ast.unparse(at)}` may not fit {'16' if most == 0xFFFF else '32'} bits",
                f"{number.low}..{number.high}",
                f"cast it if it does: `u{'16' if most == 0xFFFF else '32'}(x)`; a longer field changes in parts",
            )
    e, k = cx.builder.emit, cx.const
    total = e("add", I64, [e("xor", I64, [check.op, k(0xFFFF)]), e("xor", I64, [old.op, k(LOW32)])])
    total = e("add", I64, [total, new.op])
    return IntValue(_inverted(cx, _folded(cx, total, 34)), 0, 0xFFFF)


def jhash(cx: Lowering, node: ast.Call) -> Value:
    """Three 32-bit numbers at a time, mixed."""
    (at, value), *rest = _arguments(cx, node, ("data", "seed"), 1)
    if (known := _computed(cx, node, sums.jhash, [value, *(v for _, v in rest)])) is not None:
        return known
    words, size = _words(cx, node, at, value)
    e, k = cx.builder.emit, cx.const
    seed = cx.integer(*rest[0]).op if rest else k(0)
    start = e("add", I32, [seed, k((sums.JHASH_INITIAL + size) & LOW32)])
    s = [start, start, start]
    left = size
    while left > 12:
        s = [e("add", I32, [x, w]) for x, w in zip(s, words, strict=False)]
        for x, y, n in sums.MIX:
            s[x] = e("xor", I32, [e("sub", I32, [s[x], s[y]]), _rotated(cx, s[y], n)])
            s[y] = e("add", I32, [s[y], s[3 - x - y]])
        words, left = words[3:], left - 12
    if words:
        s = [e("add", I32, [x, w]) for x, w in zip(s, (*words, k(0), k(0)), strict=False)]
        for x, y, n in sums.FINAL:
            s[x] = e("sub", I32, [e("xor", I32, [s[x], s[y]]), _rotated(cx, s[y], n)])
    return IntValue(s[2], 0, LOW32)


def _rotated(cx: Lowering, x: Op, n: int) -> Op:
    e, k = cx.builder.emit, cx.const
    return e("or", I32, [e("shl", I32, [x, k(n)]), e("lshr", I32, [x, k(32 - n)])])


def _words(cx: Lowering, node: ast.Call, at: ast.expr, value: Value) -> tuple[list[Op], int]:
    """What is hashed as 32-bit numbers, and how many bytes it has."""
    items = value.items if isinstance(value, TupleValue) else None
    if isinstance(value, Const) and isinstance(value.value, tuple):
        items = tuple(map(Const, value.value))
    if items is not None:
        return [cx.builder.emit("low32", I32, [cx.integer(at, item).op]) for item in items], 4 * len(items)
    ref = _memory(cx, node, at, value, MOST_HASHED)
    words: list[Op] = []
    for number, offset in _pieces(cx, node, ref, 4):
        if offset % 4:
            shifted = cx.builder.emit("shl", I32, [number, cx.const(8 * (offset % 4))])
            words[-1] = cx.builder.emit("or", I32, [words[-1], shifted])
        else:
            words.append(number)
    return words, ref.type.size


def _of_octets(type: Type) -> bool:
    """Whether it is an array whose elements are numbers up to 255, which Python takes for bytes as well."""
    return isinstance(type, ArrayType) and type.element == IntType(8)


def from_bytes(cx: Lowering, node: ast.Call) -> Value:
    """`int.from_bytes(data, "big")`: one load where the machine has one of that size."""
    (at, value), *rest = _arguments(cx, node, ("bytes", "byteorder", "signed"), 1)
    options = [v.value for _, v in rest if isinstance(v, Const)]
    if len(options) != len(rest) or (options and options[0] not in ("big", "little")):
        cx.fail(node, "the byte order is constant: 'big' or 'little'", hint='int.from_bytes(data, "big")')
    if isinstance(value, Const):
        plain, order, sign = value.value, (options or ["big"])[0], bool(options[1:] and options[1])
        return Const(cx.python(node, lambda: int.from_bytes(plain, order, signed=sign)))
    octets = isinstance(value, Ref) and (isinstance(value.type, BytesType | CharsType) or _of_octets(value.type))
    if not isinstance(value, Ref) or not octets or not 1 <= value.type.size <= 8:
        cx.usable(at, value)
        cx.fail(at, f"`int.from_bytes` takes 1 to 8 bytes, not {describe(value)}")
    cx.usable(at, value)
    big, signed, size = (options or ["big"])[0] == "big", bool(options[1:] and options[1]), value.type.size
    if size in (1, 2, 4, 8):
        return memory.load(cx, node, replace(value, type=IntType(8 * size, signed, big and size > 1)))
    total = cx.const(0)
    for i in range(size):
        byte = memory.load(cx, node, replace(value, offset=value.offset + i, type=IntType(8)))
        assert isinstance(byte, IntValue)
        place = cx.const(8 * (size - 1 - i if big else i))
        total = cx.builder.emit("or", I64, [total, cx.builder.emit("shl", I64, [byte.op, place])])
    if signed:
        return IntValue(cx.builder.emit("sext", I64, [total], (8 * size,)), -(1 << 8 * size - 1), (1 << 8 * size - 1) - 1, True)
    return IntValue(total, 0, (1 << 8 * size) - 1)


CALLS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {
    sums.checksum: checksum,
    sums.checksum_update: checksum_update,
    sums.jhash: jhash,
    int.from_bytes: from_bytes,
}
