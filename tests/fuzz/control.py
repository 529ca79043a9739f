"""Random plain functions of one number made of control flow: loops over everything, reductions, patterns, tuples, values that
may be None, calls. Python itself says what they give: numbers are kept small, so that nothing wraps.
"""

from __future__ import annotations

import random

PRELUDE = """
TABLE = (3, 1, 4, 1, 5, 9, 2, 6)
LONG = tuple(i * 7 % 41 for i in range(40))
PAIRS = ((1, 5), (2, 7), (3, 11))
WORD = b"kernel"


def half(n):
    return n // 2 if n % 2 == 0 else None


def both(a, b):
    return a % 17, b % 5


def weighted(a, b, c=1):
    first, *rest = (a, b, c)
    return first * 3 + sum(rest)


def scaled(x, *, by=2):
    for i in range(x % 4):
        if i == by:
            return x
        x = (x * by + i) % 997
    return x
"""


class Control:
    """Writes one function."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.names = ["n"]
        self.made = 0
        self.in_loop = 0

    def source(self) -> str:
        body = self.block(1, 7, 3)
        total = " + ".join(f"{3 * i + 1} * {name}" for i, name in enumerate(self.names))
        return f"{PRELUDE}\n\ndef function(n):\n" + "\n".join(body) + f"\n    return ({total}) % 1000003\n"

    def number(self, depth: int = 2) -> str:
        """An expression of a small number, 0 or more."""
        rng = self.rng
        simple = [rng.choice(self.names), str(rng.randrange(20)), f"{rng.choice(self.names)} % {rng.randrange(2, 30)}"]
        if depth == 0 or rng.random() < 0.3:
            return rng.choice(simple)
        a, b = self.number(depth - 1), self.number(depth - 1)
        return rng.choice(
            [
                f"({a} + {b}) % 1009",
                f"abs({a} - {b})",
                f"({a} * ({b} % 50)) % 1013",
                f"({a} if {self.condition(depth - 1)} else {b})",
                f"min({a}, {b}, 500)",
                f"max({a}, {b})",
                f"divmod({a}, {rng.randrange(2, 9)})[{rng.randrange(2)}]",
                f"({a}).bit_length()",
                f"({a} ^ {b}).bit_count()",
                f"TABLE[{a} % 8]",
                f"({a} or {b})",
                f"({a} and {b})",
                f"sum({self.generator(depth - 1)}) % 4013",
                f"max(({self.generator(depth - 1)}), default={rng.randrange(9)})",
                f"min(({self.generator(depth - 1)}), default={rng.randrange(9)})",
                f"(half({a}) or {b})",
                f"scaled({a}, by={rng.randrange(1, 4)})",
                f"sum(({a}, {b}, 3)[{rng.randrange(3)}:])",
                f"weighted(*both({a}, {b}))",
            ]
        )

    def condition(self, depth: int = 1) -> str:
        rng = self.rng
        a, b = self.number(depth and depth - 1), self.number(depth and depth - 1)
        plain = f"{a} {rng.choice(['<', '<=', '>', '>=', '==', '!='])} {b}"
        if depth == 0 or rng.random() < 0.3:
            return f"({plain})"
        return (
            "("
            + rng.choice(
                [
                    f"{self.condition(depth - 1)} {rng.choice(['and', 'or'])} {self.condition(depth - 1)}",
                    f"not {self.condition(depth - 1)}",
                    f"{a} in (1, 2, 5, 10, {b})",
                    f"{a} not in range({rng.randrange(5)}, {rng.randrange(5, 60)}, {rng.randrange(1, 4)})",
                    f"({a}, {b}) {rng.choice(['<', '>=', '==', '!='])} ({b}, {rng.randrange(9)})",
                    f"any({self.generator(depth - 1, truth=True)})",
                    f"all({self.generator(depth - 1, truth=True)})",
                    f"half({a}) is {rng.choice(['', 'not '])}None",
                    f"0 < {a} <= {b} % 100",
                    f"{a} % 256 in WORD",
                ]
            )
            + ")"
        )

    def sequence(self, pairs: bool) -> str:
        rng = self.rng
        plain = [
            f"range({rng.choice(self.names)} % {rng.randrange(3, 9)})",
            f"range({rng.randrange(4)}, {rng.randrange(4, 14)}, {rng.randrange(1, 4)})",
            f"range({rng.choice(self.names)} % 11, {rng.randrange(-3, 4)}, -{rng.randrange(1, 4)})",
            "TABLE",
            "LONG",
            "WORD",
            f"({rng.choice(self.names)}, 4, {rng.choice(self.names)})",
        ]
        plain.append(f"reversed({rng.choice(plain)})")
        if not pairs:
            return rng.choice(plain)
        return rng.choice(
            [
                "PAIRS",
                f"enumerate({rng.choice(plain[:4])})",
                f"enumerate({rng.choice(plain[3:])}, {rng.randrange(5)})",
                f"zip({rng.choice(plain[:2])}, {rng.choice(plain[:2])})",
                f"zip({rng.choice(plain[3:4])}, {rng.choice(['TABLE', 'WORD', 'range(6)'])})",
                "zip(LONG, range(2, 30))",
            ]
        )

    def generator(self, depth: int, truth: bool = False) -> str:
        rng = self.rng
        outer = self.names
        if rng.random() < 0.4:
            self.names = [*outer, "p", "q"]
            clause = f"for p, q in {self.sequence_of(outer, True)}"
        else:
            self.names = [*outer, "p"]
            clause = f"for p in {self.sequence_of(outer, False)}"
        item = self.condition(0) if truth else f"abs({self.number(0)} - {self.number(0)}) % 61"
        guard = f" if {self.condition(0)}" if rng.random() < 0.4 else ""
        self.names = outer
        return f"{item} {clause}{guard}"

    def sequence_of(self, names: list[str], pairs: bool) -> str:
        kept, self.names = self.names, names
        made = self.sequence(pairs)
        self.names = kept
        return made

    # -- statements

    def block(self, indent: int, count: int, depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self.rng.randrange(1, count + 1)):
            lines += self.statement(indent, depth)
        return lines

    def statement(self, indent: int, depth: int) -> list[str]:
        kinds = [self.assign, self.assign, self.change, self.unpack]
        if depth:
            kinds += [self.if_, self.for_, self.for_, self.match, self.maybe]
        if self.in_loop:
            kinds += [self.leave]
        return self.rng.choice(kinds)(indent, depth)

    def assign(self, indent: int, depth: int) -> list[str]:
        value = self.number()
        if indent == 1 and self.rng.random() < 0.6 and len(self.names) < 6:
            self.made += 1
            name = f"v{self.made}"
            self.names = [*self.names, name]
        else:
            name = self.rng.choice(self.names)
        return [f"{'    ' * indent}{name} = ({value}) % 100003"]

    def change(self, indent: int, depth: int) -> list[str]:
        name = self.rng.choice(self.names)
        return [f"{'    ' * indent}{name} = ({name} {self.rng.choice('+^|')} {self.number(1)}) % 65521"]

    def unpack(self, indent: int, depth: int) -> list[str]:
        a, b = self.rng.choice(self.names), self.rng.choice(self.names)
        if a == b:
            return self.assign(indent, depth)
        return [f"{'    ' * indent}{a}, {b} = {b} % 4099, ({self.number(1)}) % 4099"]

    def if_(self, indent: int, depth: int) -> list[str]:
        pad = "    " * indent
        lines = [f"{pad}if {self.condition()}:", *self.block(indent + 1, 2, depth - 1)]
        if self.rng.random() < 0.6:
            lines += [f"{pad}else:", *self.block(indent + 1, 2, depth - 1)]
        return lines

    def for_(self, indent: int, depth: int) -> list[str]:
        pad, pairs = "    " * indent, self.rng.random() < 0.5
        if self.in_loop == 2:
            return self.assign(indent, depth)
        variables = ("i", "j", "k", "m")[2 * self.in_loop :][: 1 + pairs]
        head = f"{pad}for {', '.join(variables)} in {self.sequence(pairs)}:"
        self.in_loop += 1
        first = f"{pad}    {self.rng.choice(self.names)} = ({' + '.join((self.rng.choice(self.names), *variables))}) % 30011"
        lines = [head, first, *self.block(indent + 1, 2, depth - 1)]
        self.in_loop -= 1
        if self.rng.random() < 0.3:
            lines += [f"{pad}else:", *self.block(indent + 1, 1, 0)]
        return lines

    def match(self, indent: int, depth: int) -> list[str]:
        pad, rng = "    " * indent, self.rng
        lines = [f"{pad}match {self.number(1)}, {rng.choice(self.names)} % 5:"]
        guarded = f"(a, b) if a > b * {rng.randrange(1, 9)}"
        cases = ["(0, _)", "(1 | 2 | 3 as a, 0)", "(a, (1 | 2) as b)", guarded, "(_, 4)", "(int(a), 3)"]
        for pattern in rng.sample(cases, rng.randrange(1, 4)):
            lines += [f"{pad}    case {pattern}:", *self.block(indent + 2, 2, 0)]
            if " a" in pattern or "(a" in pattern:
                lines.append(f"{pad}        {rng.choice(self.names)} = a % 10007")
        if rng.random() < 0.5:
            lines += [f"{pad}    case _:", *self.block(indent + 2, 1, 0)]
        return lines

    def maybe(self, indent: int, depth: int) -> list[str]:
        pad, rng, name = "    " * indent, self.rng, self.rng.choice(self.names)
        style = rng.randrange(4)
        if style == 0:
            tested = f"(w := half({self.number(1)})) is not None and w > {rng.randrange(9)}"
            return [f"{pad}if {tested}:", f"{pad}    {name} = w % 5003"]
        if style == 1:
            return [
                f"{pad}w = half({self.number(1)})",
                f"{pad}if w is None:",
                *self.block(indent + 1, 1, 0),
                f"{pad}else:",
                f"{pad}    {name} = (w * 3 + {name}) % 5009",
            ]
        if style == 2:
            return [
                f"{pad}match half({self.number(1)}):",
                f"{pad}    case None:",
                *self.block(indent + 2, 1, 0),
                f"{pad}    case {rng.randrange(9)}:",
                *self.block(indent + 2, 1, 0),
                f"{pad}    case w:",
                f"{pad}        {name} = w % 5011",
            ]
        return [f"{pad}w = half({self.number(1)})", f"{pad}{name} = (w if w else {self.number(1)}) % 5021"]

    def leave(self, indent: int, depth: int) -> list[str]:
        pad = "    " * indent
        return [f"{pad}if {self.condition()}:", f"{pad}    {self.rng.choice(['break', 'continue'])}"]
