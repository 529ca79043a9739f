"""Random expressions and conditions over what is in scope."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.fuzz.values import (
    S64_LOW,
    Expr,
    alike,
    cast,
    divided,
    in_64_bits,
    inverted,
    left,
    negated,
    number,
    operate,
    right,
    typed,
)  # fmt: skip

if TYPE_CHECKING:
    from tests.fuzz.generate import Layout, Scope

CASTS = ("u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64")
CONSTANTS = (
    0, 1, 2, 3, 7, 8, 10, 100, 127, 128, 255, 256, -1, -3, -128, 1000, 65535, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
             -0x80000000, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63),
)  # fmt: skip
DIVISORS = (1, 2, 3, 7, 10, 16, 255, 1000, -1, -2, -5, -8, -100, 1 << 33)
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class Expressions:
    """Makes expressions; `scope` and the declarations are filled in by the generator of programs."""

    scope: Scope
    maps: dict[str, tuple[str, str, int]]
    record: Layout

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.functions: list[tuple[str, str, list[tuple[str, str]]]] = []
        self.tables: list[tuple[str, tuple[int, ...]]] = []

    def expression(self, depth: int) -> Expr:
        """An integer expression."""
        rng = self.rng
        if depth <= 0 or rng.random() < 0.12:
            return self.leaf()
        shapes: list[tuple[float, Callable[[int], Expr]]] = [
            (9, self._binary),
            (4, self._division),
            (3, self._shift),
            (1, lambda d: negated(self._named(d))),
            (1, lambda d: inverted(self._named(d))),
            (2, self._conditional),
            (2, self._extreme),
            (0.7, self._absolute),
            (2.5, lambda d: cast(rng.choice(CASTS), self.expression(d))),
            (1.2, self._either),
            (0.7, lambda d: Expr(f"({self.comparison(d)})", 0, 1, None)),
            (0.5, lambda d: Expr(f"bool({self.condition(d)})", 0, 1, None)),
            (0.5, self._count),
            (0.8, self._table_item),
            (0.8, self._array_item),
            (0.8, self.reduction),
            (0.4, self.digest),
            (0.7, self.kept),
        ]
        if self.scope.calls:
            shapes += [(2.5 if self.functions else 0, self._call), (1.5, self._map_item)]
        return rng.choices([make for _, make in shapes], [weight for weight, _ in shapes])[0](depth - 1)

    def leaf(self) -> Expr:
        rng = self.rng
        if self.scope.reads and rng.random() < 0.75:
            return rng.choice(self.scope.reads)
        return number(rng.choice(CONSTANTS) if rng.random() < 0.7 else rng.randrange(-20, 300))

    def _named(self, depth: int) -> Expr:
        """An expression that is no constant."""
        value = self.expression(depth)
        return value if not value.constant else rng_choice(self.rng, self.scope.reads) or cast("u8", value)

    def _binary(self, depth: int) -> Expr:
        a, b = self._named(depth), self.expression(depth)
        if self.rng.random() < 0.3:
            a, b = b, a
        return operate(a, self.rng.choice(("+", "-", "*", "&", "|", "^", "+", "-")), b)

    def _division(self, depth: int) -> Expr:
        rng = self.rng
        symbol = rng.choice(("//", "%"))
        a = self._named(depth)
        if self.scope.divisors and rng.random() < 0.35:
            return divided(a, symbol, rng.choice(self.scope.divisors))
        divisor = rng.choice(DIVISORS)
        return divided(a, symbol, number(divisor))

    def _shift(self, depth: int) -> Expr:
        rng = self.rng
        a = self._named(depth)
        kind = rng.random()
        if kind < 0.6:
            count = rng.choice((0, 1, 3, 7, 8, 15, 16, 31, 32, 33, 63))
            return right(a, number(count)) if rng.random() < 0.6 else left(a, number(count), count)
        if kind < 0.8 and self.scope.divisors:
            count_value = rng.choice(self.scope.divisors)
            return right(a, count_value) if rng.random() < 0.6 else left(a, count_value, 63)
        masked = operate(self._named(depth), "&", number(rng.choice((7, 31, 63))))
        return right(a, masked) if rng.random() < 0.6 else left(a, masked, 63)

    def _conditional(self, depth: int) -> Expr:
        a, b = alike(self.expression(depth), self.expression(depth))
        return _either_of(f"({a.text} if {self.condition(depth)} else {b.text})", a, b)

    def _either(self, depth: int) -> Expr:
        a, b = alike(self.expression(depth), self.expression(depth))
        return _either_of(f"({a.text} {self.rng.choice(('and', 'or'))} {b.text})", a, b)

    def _extreme(self, depth: int) -> Expr:
        name = self.rng.choice(("min", "max"))
        values = alike(*(self.expression(depth) for _ in range(self.rng.choice((2, 2, 3)))))
        made = _either_of(f"{name}({', '.join(v.text for v in values)})", *values)
        return made

    def _absolute(self, depth: int) -> Expr:
        value = self._named(depth)
        if value.low == S64_LOW:
            value = right(value, number(1))
        high = max(abs(value.low), abs(value.high))
        return Expr(f"abs({value.text})", 0, high, None, value.live)

    def _count(self, depth: int) -> Expr:
        value = self._named(depth)
        if value.low < 0 or value.constant:
            value = cast(self.rng.choice(("u8", "u64")), value)
        return Expr(f"({value.text}).bit_count()", 0, 64, None, value.live)

    def index(self, count: int, depth: int) -> str:
        """An index that is proven to be inside."""
        rng = self.rng
        if rng.random() < 0.35:
            return str(rng.randrange(count))
        if count & (count - 1) == 0 and rng.random() < 0.4:
            return operate(self._named(depth), "&", number(count - 1)).text
        return divided(self._named(depth), "%", number(count)).text

    def _table_item(self, depth: int) -> Expr:
        if not self.tables:
            return self.leaf()
        name, values = self.rng.choice(self.tables)
        values = tuple(values)
        if not in_64_bits(min(values), max(values)):
            return self.leaf()
        return Expr(f"{name}[{self.index(len(values), depth)}]", min(values), max(values), None)

    def _array_item(self, depth: int) -> Expr:
        if not self.scope.arrays:
            return self.leaf()
        place, element, count = self.rng.choice(self.scope.arrays)
        index = self.index(count, depth) if self.rng.random() < 0.8 else f"-{self.rng.randrange(1, count + 1)}"
        return typed(f"{place}[{index}]", element, live=True)

    def _call(self, depth: int) -> Expr:
        name, result, parameters = self.rng.choice(self.functions)
        arguments = []
        for i, (parameter, type) in enumerate(parameters):
            value = cast(type, self.expression(min(depth, 1))).text
            keyword = i == len(parameters) - 1 and self.rng.random() < 0.2
            arguments.append(f"{parameter}={value}" if keyword else value)
        return typed(f"{name}({', '.join(arguments)})", result)

    def map_key(self, name: str) -> str:
        """A key; few different ones, so that entries are found again."""
        if name == "mkey":
            a, b = operate(self.expression(1), "&", number(3)), operate(self.expression(1), "&", number(7))
            return f"Key(k0_u32={a.text}, k1_u8={b.text})"
        return operate(self.expression(1), "&", number(7)).text

    def _map_item(self, depth: int) -> Expr:
        rng = self.rng
        if rng.random() < 0.5:
            name = rng.choice(("marr", "mout"))
            return typed(f"{name}[{self.index(self.maps[name][2], 1)}]", self.maps[name][1], live=True)
        name = rng.choice(("mhash", "mkey"))
        value = self.maps[name][1]
        default = cast(value, self.leaf())
        return typed(f"{name}.get({self.map_key(name)}, {default.text})", value, live=True)

    def comparison(self, depth: int) -> str:
        """A bool."""
        return f"{self.expression(depth).text} {self.rng.choice(COMPARISONS)} {self.expression(depth).text}"

    def condition(self, depth: int) -> str:
        """A truth."""
        rng, kind = self.rng, self.rng.random()
        if depth <= 0 or kind < 0.5:
            return self.comparison(depth)
        inner = depth - 1
        if kind < 0.58:
            low, middle, high = (self.expression(inner).text for _ in range(3))
            return f"{low} {rng.choice(COMPARISONS)} {middle} {rng.choice(COMPARISONS)} {high}"
        if kind < 0.72:
            return f"({self.condition(inner)} {rng.choice(('and', 'or'))} {self.condition(inner)})"
        if kind < 0.8:
            return f"not {self.condition(inner)}"
        if kind < 0.86:
            items = ", ".join(str(rng.choice(CONSTANTS)) for _ in range(3))
            return f"{self.expression(inner).text} {rng.choice(('in', 'not in'))} ({items})"
        if kind < 0.9:
            return f"{self.expression(inner).text} in range({rng.choice((0, -5, 10))}, {rng.choice((11, 200, 70000))})"
        if kind < 0.94:
            a, b = self.expression(inner).text, self.expression(inner).text
            return f"({a}, {b}) {rng.choice(('==', '!='))} ({self.expression(inner).text}, {b})"
        if kind < 0.97 and self.scope.calls:
            name = rng.choice(("mhash", "mrec", "mkey"))
            return f"{self.map_key(name)} {rng.choice(('in', 'not in'))} {name}"
        if self.scope.calls and rng.random() < 0.4:
            return self.same_bytes()
        return self.expression(inner).text

    def reduction(self, depth: int) -> Expr:
        raise NotImplementedError

    def digest(self, depth: int) -> Expr:
        raise NotImplementedError

    def kept(self, depth: int) -> Expr:
        raise NotImplementedError

    def same_bytes(self) -> str:
        raise NotImplementedError


def rng_choice(rng: random.Random, items: list[Expr]) -> Expr | None:
    return rng.choice(items) if items else None


def _either_of(text: str, *values: Expr) -> Expr:
    low, high = min(v.low for v in values), max(v.high for v in values)
    return Expr(text, low, high, None)
