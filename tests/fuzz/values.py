"""Expressions of fuzzed programs as text with their mathematical range, and how operators combine them.

Ranges here come from types alone, so the compiler's are never wider where it is right. Where the language would wrap or refuse
a result, `operate` writes the cast that makes it one thing: a program made here must compile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

S64_LOW, S64_HIGH, U64 = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Expr:
    """`signed` is the type's sign, None where the value has no type of its own: the compiler may know a narrower range and with
    it another sign. `live` says that the compiler cannot know the value: it may be stored where a constant would not fit."""

    text: str
    low: int
    high: int
    signed: bool | None
    live: bool = False

    @property
    def constant(self) -> bool:
        return self.low == self.high and not self.live


def limits(type: str) -> tuple[int, int]:
    """The range of a type by its name."""
    if type == "bool":
        return 0, 1
    bits = int(type.lstrip("usbe"))
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if type[0] == "s" else (0, (1 << bits) - 1)


def typed(text: str, type: str, live: bool = False) -> Expr:
    low, high = limits(type)
    return Expr(text, low, high, type[0] == "s", live)


def cast(type: str, value: Expr) -> Expr:
    """`u8(x)`."""
    inner = value.text[1:-1] if value.text.startswith("(") and _closes_at_end(value.text) else value.text
    return typed(f"{type}({inner})", type, value.live)


def _closes_at_end(text: str) -> bool:
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


def number(value: int) -> Expr:
    return Expr(str(value) if value >= 0 else f"({value})", value, value, value < 0)


def in_64_bits(low: int, high: int) -> bool:
    return (low >= 0 and high <= U64) or (low >= S64_LOW and high <= S64_HIGH)


def _bits(n: int) -> int:
    return (1 << max(n, 0).bit_length()) - 1


def _corners(a: Expr, b: Expr, f: Callable[[int, int], int]) -> tuple[int, int]:
    results = [f(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(results), max(results)


def _logic(a: Expr, b: Expr) -> tuple[int, int]:
    top = _bits(max(a.high, b.high, -a.low - 1, -b.low - 1))
    return (0 if a.low >= 0 and b.low >= 0 else -top - 1), top


RANGES: dict[str, Callable[[Expr, Expr], tuple[int, int]]] = {
    "+": lambda a, b: (a.low + b.low, a.high + b.high),
    "-": lambda a, b: (a.low - b.high, a.high - b.low),
    "*": lambda a, b: _corners(a, b, lambda x, y: x * y),
    "&": _logic,
    "|": _logic,
    "^": _logic,
}


def joined(*values: Expr) -> tuple[int, int]:
    return min(v.low for v in values), max(v.high for v in values)


def alike(*values: Expr) -> list[Expr]:
    """The values, cast to one 64-bit type where no 64 bits hold all of them."""
    if in_64_bits(*joined(*values)):
        return list(values)
    type = "u64" if sum(v.high > S64_HIGH for v in values) * 2 > len(values) else "s64"
    return [v if limits(type)[0] <= v.low and v.high <= limits(type)[1] else cast(type, v) for v in values]


def operate(a: Expr, symbol: str, b: Expr) -> Expr:
    """`(a symbol b)` for + - * & | ^, with the casts that make it legal and of one meaning."""
    live = a.live or b.live
    low, high = RANGES[symbol](a, b)
    text = f"({a.text} {symbol} {b.text})"
    if in_64_bits(low, high):
        return Expr(text, low, high, None, live)

    def unsigned(v: Expr) -> bool:
        return v.signed is False or (v.constant and v.low >= 0)

    def signed(v: Expr) -> bool:
        return v.signed is True or (v.constant and v.high <= S64_HIGH)

    if unsigned(a) and unsigned(b):
        return cast("u64", Expr(text, 0, U64, False, live))
    if signed(a) and signed(b):
        return cast("s64", Expr(text, S64_LOW, S64_HIGH, True, live))
    type = "u64" if a.high > S64_HIGH or b.high > S64_HIGH else "s64"
    return operate(a if a.constant and a.low >= 0 else cast(type, a), symbol, b if b.constant and b.low >= 0 else cast(type, b))


def divided(a: Expr, symbol: str, b: Expr) -> Expr:
    """`(a // b)` or `(a % b)`; `b` is no constant 0."""
    if (a.low < 0 or b.low < 0) and max(a.high, b.high) > S64_HIGH:
        a, b = cast("s64", a), cast("s64", b)
    live = a.live or b.live
    biggest = max(abs(a.low), abs(a.high))
    text = f"({a.text} {symbol} {b.text})"
    if a.low >= 0 and b.low >= 0:
        return Expr(text, 0, a.high, None, live)
    if symbol == "//":
        if biggest > S64_HIGH:  # the least s64 by -1 leaves 64 bits
            return cast("s64", Expr(text, S64_LOW, S64_HIGH, True, live))
        return Expr(text, -biggest - 1, biggest, None, live)
    return Expr(text, min(a.low, b.low, 0), max(a.high, b.high, 0), None, live)


def right(a: Expr, count: Expr) -> Expr:
    """`(a >> count)`, `count` taken modulo 64."""
    return Expr(f"({a.text} >> {count.text})", min(a.low, 0), max(a.high, 0), None, a.live)


def left(a: Expr, count: Expr, most: int) -> Expr:
    """`a << count` by at most `most` bits."""
    text = f"({a.text} << {count.text})"
    low, high = min(a.low, a.low << most), max(a.high, a.high << most)
    if in_64_bits(low, high):
        return Expr(text, low, high, None, a.live)
    if a.signed is None:
        return left(cast("s64" if a.low < 0 else "u64", a), count, most)
    return cast("s64" if a.signed else "u64", Expr(text, a.low, a.high, None, a.live))


def negated(a: Expr) -> Expr:
    if a.high > S64_HIGH or a.low == S64_LOW:
        return cast("s64", Expr(f"(-{cast('s64', a).text})", S64_LOW, S64_HIGH, True, a.live))
    return Expr(f"(-{a.text})", -a.high, -a.low, None, a.live)


def inverted(a: Expr) -> Expr:
    if a.high > S64_HIGH:
        a = cast("s64", a)
    return Expr(f"(~{a.text})", -a.high - 1, -a.low - 1, None, a.live)
