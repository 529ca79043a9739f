"""Python's builtins and methods of integers: `bool int abs min max divmod pow`, `x.bit_length()`, `x.bit_count()`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from purebpf.compiler.frontend import comparing, conditions, instead
from purebpf.compiler.frontend.expressions import chosen, operate
from purebpf.compiler.frontend.lower import Lowering
from purebpf.compiler.frontend.values import U64, Const, IntValue, TupleValue, Value
from purebpf.compiler.ir.ops import I32, I64, Op
from purebpf.data import replace


def _bool(cx: Lowering, node: ast.Call) -> Value:
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "bool() takes one value here")
    yes, no = conditions.test(cx, node.args[0])
    return chosen(cx, [(yes, Const(True)), (no, Const(False))])


def _int(cx: Lowering, node: ast.Call) -> Value:
    values = [cx.expression(a) for a in node.args]
    if all(isinstance(v, Const) for v in values) and not node.keywords:
        return Const(cx.python(node, lambda: int(*(v.value for v in values if isinstance(v, Const)))))
    if len(values) != 1 or node.keywords:
        cx.fail(node, "int() takes one integer or bool here")
    if instead.is_text(values[0]):
        hint = "parse it in user space, or byte by byte: `for byte in text:`"
        cx.fail(node, "a text cannot be made a number in a program", hint=hint)
    return replace(cx.integer(node.args[0], values[0]), boolean=False)


def _abs(cx: Lowering, node: ast.Call) -> Value:
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, "abs() takes one integer")
    value = cx.expression(node.args[0])
    if isinstance(value, Const):
        return Const(cx.python(node, lambda: abs(value.value)))
    number = cx.integer(node.args[0], value)
    if number.low >= 0:
        return number
    return IntValue(absolute(cx, number), 0 if number.high >= 0 else -number.high, max(-number.low, number.high))


def absolute(cx: Lowering, number: IntValue) -> Op:
    """Of a signed number, without a branch: (x ^ s) - s, where s is the sign in every bit."""
    sign = cx.builder.emit("ashr", I64, [number.op, cx.const(63)])
    return cx.builder.emit("sub", I64, [cx.builder.emit("xor", I64, [number.op, sign]), sign])


def _extreme(symbol: str) -> Callable[[Lowering, ast.Call], Value]:
    """min() and max(): the later argument wins only when it is strictly smaller (greater), as in Python."""

    def lower(cx: Lowering, node: ast.Call) -> Value:
        if len(node.args) == 1:
            from purebpf.compiler.frontend import reductions

            return reductions.extreme(cx, node, symbol)
        if node.keywords or not node.args:
            cx.fail(node, f"{'min' if symbol == '<' else 'max'}() takes two or more integers here")
        values = [cx.expression(a) for a in node.args]
        if all(isinstance(v, Const) for v in values):
            plain = [v.value for v in values if isinstance(v, Const)]
            return Const(cx.python(node, lambda: min(plain) if symbol == "<" else max(plain)))
        best = cx.integer(node.args[0], values[0])
        for at, value in zip(node.args[1:], values[1:], strict=True):
            best = better(cx, symbol, cx.integer(at, value), best)
        return best

    return lower


def better(cx: Lowering, symbol: str, number: IntValue, best: IntValue) -> IntValue:
    """`number` where `number symbol best`, else `best`."""
    won = comparing.integer_compare(cx, symbol, number, best)
    choose = min if symbol == "<" else max
    low, high = choose(best.low, number.low), choose(best.high, number.high)
    if won.is_const:
        return number if won.value else best
    picked = cx.diamond(won, lambda: number, lambda: best)
    if not isinstance(picked, IntValue):  # from negative to beyond 2**63, though the result is not
        picked = IntValue(_joined(cx, won, number.op, best.op), low, high, low < 0)
    return replace(picked, low=low, high=high, signed=picked.signed or low < 0)


def _joined(cx: Lowering, condition: Op, yes: Op, no: Op) -> Op:
    """One of two numbers by their bits alone."""
    value = cx.diamond(condition, lambda: IntValue(yes, 0, U64), lambda: IntValue(no, 0, U64))
    assert isinstance(value, IntValue)
    return value.op


def _divmod(cx: Lowering, node: ast.Call) -> Value:
    """`divmod(a, b)`: the quotient and the remainder."""
    if len(node.args) != 2 or node.keywords:
        cx.fail(node, "divmod() takes two integers")
    (left_node, right_node), (left, right) = node.args, [cx.expression(a) for a in node.args]
    if isinstance(left, Const) and isinstance(right, Const):
        return Const(cx.python(node, lambda: divmod(left.value, right.value)))
    operators = (ast.FloorDiv(), ast.Mod())
    return TupleValue(tuple(operate(cx, node, op, left_node, left, right_node, right) for op in operators))


def _pow(cx: Lowering, node: ast.Call) -> Value:
    """`pow(x, n)` is `x ** n`; with a modulus for constants only."""
    values = [cx.expression(a) for a in node.args]
    if not node.keywords and all(isinstance(v, Const) for v in values):
        return Const(cx.python(node, lambda: pow(*(v.value for v in values if isinstance(v, Const)))))
    if len(values) != 2 or node.keywords:
        cx.fail(node, "pow() takes a base and an exponent here", hint="`x ** n % m` for a remainder")
    return operate(cx, node, ast.Pow(), node.args[0], values[0], node.args[1], values[1])


BUILTINS: dict[Any, Callable[[Lowering, ast.Call], Value]] = {
    bool: _bool, int: _int, abs: _abs, min: _extreme("<"), max: _extreme(">"), divmod: _divmod, pow: _pow,
}  # fmt: skip


# -- methods


def _magnitude(cx: Lowering, number: IntValue) -> tuple[Op, int]:
    """The absolute value and its greatest bit length: what Python's methods count the bits of."""
    if number.low >= 0:
        return number.op, number.high.bit_length()
    return absolute(cx, number), max(-number.low, number.high).bit_length()


def _bit_count(cx: Lowering, node: ast.Call, number: IntValue) -> Value:
    """How many bits are one."""
    op, bits = _magnitude(cx, number)
    return IntValue(_ones(cx, op, bits), 0, bits)


def _bit_length(cx: Lowering, node: ast.Call, number: IntValue) -> Value:
    """How many bits the number takes: smear the highest one over all below it, then count them."""
    op, bits = _magnitude(cx, number)
    distance = 1
    while distance < bits:
        op = cx.builder.emit("or", I64, [op, cx.builder.emit("lshr", I64, [op, cx.const(distance)])])
        distance *= 2
    return IntValue(_ones(cx, op, bits), 0, bits)


def _ones(cx: Lowering, x: Op, bits: int) -> Op:
    """The number of one bits of an unsigned value of so many bits, by parallel sums."""
    width, size = (I32, 32) if bits <= 32 else (I64, 64)

    def e(kind: str, a: Op, b: Op | int) -> Op:
        return cx.builder.emit(kind, width, [a, cx.const(b & ((1 << size) - 1)) if isinstance(b, int) else b])

    x = e("sub", x, e("and", e("lshr", x, 1), 0x5555555555555555))
    x = e("add", e("and", x, 0x3333333333333333), e("and", e("lshr", x, 2), 0x3333333333333333))
    x = e("and", e("add", x, e("lshr", x, 4)), 0x0F0F0F0F0F0F0F0F)
    return e("lshr", e("mul", x, 0x0101010101010101), size - 8)


METHODS: dict[str, Callable[[Lowering, ast.Call, IntValue], Value]] = {"bit_count": _bit_count, "bit_length": _bit_length}
