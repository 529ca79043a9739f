"""Random, well-typed Python programs over integers.

A program reads three fields of a record in the packet, computes with three annotated variables, and writes four results into a
map. The same text, with every stored value narrowed explicitly and every intermediate result watched, is the model that CPython
runs.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

TYPES = ("u8", "u16", "u32", "s8", "s16", "s32")
CONSTANTS = (0, 1, 2, 3, 5, 7, 8, 10, 100, 255, -1, -3, 1000, 65535)
DIVISORS = (3, 7, -5, 16, -4, 1, 10)
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
STORES = ("=", "=", "=", "+=", "-=", "^=", "|=")
STORE = re.compile(r"( +)([xyz])(?:: \w+)? (=|\+=|-=|\^=|\|=) (.*)")


class Overflow(Exception):
    """The model left 64 bits, where the language wraps and Python does not."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`source` defines `program` and the map `out`; `model(a, b, c)` gives what `out` holds afterwards."""

    source: str
    model_source: str
    fields: tuple[str, ...]

    def model(self) -> Callable[[int, int, int], list[int]]:
        tree = ast.fix_missing_locations(_Watched().visit(ast.parse(self.model_source)))
        names: dict[str, object] = {"_watch": _watch, "_div": _div, "_mod": _mod}
        exec(compile(tree, "model", "exec"), names)
        run = names["model"]
        assert callable(run)
        return lambda a, b, c: [_signed(value) for value in run(a, b, c)]


def _watch(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 63:
        raise Overflow
    return value


def _div(a: int, b: int) -> int:
    return _watch(a // b if b else 0)


def _mod(a: int, b: int) -> int:
    return a % b if b else a


def _signed(value: int) -> int:
    return (int(value) + (1 << 63)) % (1 << 64) - (1 << 63)


class _Watched(ast.NodeTransformer):
    """Divisions by 0 as the language has them; every result of arithmetic within 64 bits, or Overflow."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.FloorDiv | ast.Mod):
            name = "_div" if isinstance(node.op, ast.FloorDiv) else "_mod"
            return ast.Call(ast.Name(name, ast.Load()), [node.left, node.right], [])
        return ast.Call(ast.Name("_watch", ast.Load()), [node], [])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return node


class Generator:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def sample(self) -> Sample:
        rng = self.rng
        fields = tuple(rng.choice(TYPES) for _ in range(3))
        kinds = {name: rng.choice(("s32", "u32", "s16", "u8", "s32")) for name in "xyz"}
        names = ["a", "b", "c", "x", "y", "z"]
        body = [f"    {name}: {kind} = {kind}(a)" for name, kind in kinds.items()]
        body += self.statements(names, 1, 2, rng.randrange(2, 6))
        body.append(f"    r0 = {self.expression(names, 3)}")
        record = "\n".join(f"    f{i}: {kind} = 0" for i, kind in enumerate(fields))
        source = "\n".join(
            [
                "import purebpf as bpf",
                "from purebpf import s8, s16, s32, s64, u8, u16, u32",
                "out = bpf.Array[s64](max_entries=4)",
                f"@bpf.struct\nclass In:\n{record}",
                "@bpf.xdp\ndef program(ctx):",
                "    head = ctx.packet.at(0, In)",
                "    if head is None:\n        return 9",
                "    a = head.f0\n    b = head.f1\n    c = head.f2",
                *body,
                "    out[0] = s64(x)\n    out[1] = s64(y)\n    out[2] = s64(z)\n    out[3] = s64(r0)",
                "    return 7\n",
            ]
        )
        model = ["from purebpf import s8, s16, s32, s64, u8, u16, u32", "def model(a, b, c):"]
        model += [_narrowed(line, kinds) for line in body]
        return Sample(source, "\n".join([*model, "    return x, y, z, r0\n"]), fields)

    def expression(self, names: list[str], depth: int) -> str:
        rng = self.rng
        if depth == 0 or rng.random() < 0.15:
            return rng.choice(names) if rng.random() < 0.75 else str(rng.choice(CONSTANTS))

        def inner() -> str:
            return self.expression(names, depth - 1)

        shapes: list[tuple[float, Callable[[], str]]] = [
            (0.45, lambda: f"({inner()} {rng.choice(['+', '-', '*', '&', '|', '^'])} {inner()})"),
            (0.15, lambda: f"({inner()} {rng.choice(('//', '%'))} {rng.choice(DIVISORS)})"),
            (0.05, lambda: f"({inner()} {rng.choice(('//', '%'))} {rng.choice(names)})"),
            (0.07, lambda: f"({inner()} >> {rng.randrange(12)})"),
            (0.03, lambda: f"({inner()} << {rng.randrange(4)})"),
            (0.05, lambda: f"({rng.choice('-~')}{inner()})"),
            (0.06, lambda: f"({inner()} if {self.condition(names, depth - 1)} else {inner()})"),
            (0.04, lambda: f"{rng.choice(('min', 'max'))}({inner()}, {inner()})"),
            (0.03, lambda: f"abs({inner()})"),
            (0.03, lambda: f"{rng.choice(TYPES)}({inner()})"),
            (0.04, lambda: f"({inner()} {rng.choice(('and', 'or'))} {inner()})"),
        ]
        return rng.choices([make for _, make in shapes], [weight for weight, _ in shapes])[0]()

    def condition(self, names: list[str], depth: int) -> str:
        rng = self.rng
        kind = rng.random()
        if kind < 0.6:
            return f"{self.expression(names, depth)} {rng.choice(COMPARISONS)} {self.expression(names, depth)}"
        if kind < 0.7:
            low, middle, high = (self.expression(names, depth) for _ in range(3))
            return f"{low} < {middle} <= {high}"
        if kind < 0.8:
            return f"({self.condition(names, depth)} {rng.choice(('and', 'or'))} {self.condition(names, depth)})"
        if kind < 0.9:
            return f"not {self.condition(names, depth)}"
        return f"{self.expression(names, depth)} in (1, 3, 200)"

    def statements(self, names: list[str], indent: int, depth: int, count: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        out: list[str] = []
        for _ in range(count):
            kind = rng.random()
            if kind < 0.5 or depth == 0:
                out.append(f"{pad}{rng.choice(names[3:])} {rng.choice(STORES)} {self.expression(names, 2)}")
            elif kind < 0.75:
                out.append(f"{pad}if {self.condition(names, 2)}:")
                out += self.statements(names, indent + 1, depth - 1, rng.randrange(1, 3))
                if rng.random() < 0.5:
                    out.append(f"{pad}else:")
                    out += self.statements(names, indent + 1, depth - 1, rng.randrange(1, 3))
            elif kind < 0.9:
                counter = f"i{indent}"
                out.append(f"{pad}for {counter} in range({rng.choice(('3', '5', '2, 9, 3', '6, 0, -2', '-2, 2'))}):")
                out += self.statements([names[0], names[1], counter, *names[3:]], indent + 1, depth - 1, rng.randrange(1, 3))
                if rng.random() < 0.3:
                    out += [f"{pad}    if {self.condition(names, 1)}:", f"{pad}        {rng.choice(('break', 'continue'))}"]
            else:
                out.append(f"{pad}match {rng.choice(names)} % 4:")
                for case in ("0", "1 | 2", "_"):
                    out.append(f"{pad}    case {case}:")
                    out += self.statements(names, indent + 2, depth - 1, 1)
        return out


def _narrowed(line: str, kinds: dict[str, str]) -> str:
    """An assignment to an annotated variable with its narrowing written out."""
    match = STORE.fullmatch(line)
    if match is None:
        return line
    pad, name, operator, value = match.groups()
    value = f"{name} {operator[:-1]} ({value})" if operator != "=" else value
    return f"{pad}{name} = {kinds[name]}({value})"
