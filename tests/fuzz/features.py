"""What fuzzed programs do beside arithmetic: go over arrays, match records, send to rings, count atomically, keep globals."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.fuzz.expressions import Expressions
from tests.fuzz.values import Expr, alike, cast, divided, joined, limits, number, typed

if TYPE_CHECKING:
    from tests.fuzz.generate import Layout

GLOBALS = (("g0_u64", "u64", 5), ("g1_s32", "s32", -7), ("g2_u8", "u8", 250), ("g3_be16", "be16", 0))
SETTINGS = (("c0_u32", "u32", 77), ("c1_s16", "s16", -300), ("c2_bool", "bool", 1))
UNION = (("w_u64", "u64"), ("w_s32", "s32"), ("w_be16", "be16"), ("w_u8", "u8"))
ATOMICS = ("fetch_add", "fetch_sub", "fetch_or", "fetch_and", "fetch_xor", "exchange")
DECLARATIONS = "\n".join(
    [
        "@bpf.globals\nclass state:",
        *(f"    {name}: {type} = {value}" for name, type, value in GLOBALS),
        "@bpf.config\nclass settings:",
        *(f"    {name}: {type} = {value}" for name, type, value in SETTINGS),
        "@bpf.union\nclass Both:",
        *(f"    {name}: {type} = 0" for name, type in UNION),
        "PAIRS = ((1, 2), (300, 4), (-5, 60000))",
        "",
    ]
)


class Features(Expressions):
    """Statements and expressions; each statement gives its lines, padded."""

    head: Layout
    marks: random.Random

    def fresh(self, letter: str) -> str:
        raise NotImplementedError

    def stored(self, type: str, depth: int) -> str:
        raise NotImplementedError

    def _block(self, indent: int, count: int, depth: int) -> list[str]:
        raise NotImplementedError

    def _new_record(self) -> str:
        raise NotImplementedError

    def _loop_body(self, indent: int, depth: int, trips: int, counter: Expr | None) -> list[str]:
        raise NotImplementedError

    def _within(self, reads: list[Expr], indent: int, depth: int) -> list[str]:
        """A block that sees a few names more."""
        outside, self.scope = self.scope, self.scope.inner()
        self.scope.reads += reads
        lines = self._block(indent, self.rng.randrange(1, 3), depth - 1)
        self.scope = outside
        return lines

    # -- expressions

    def reduction(self, depth: int) -> Expr:
        """sum, min, max, any, all, len of an array, or of a generator over it."""
        rng = self.rng
        arrays = [(p, e, n) for p, e, n in self.scope.arrays if limits(e)[1] <= 0xFFFF_FFFF and n <= 8]
        if not arrays:
            return self.leaf()
        place, element, count = rng.choice(arrays)
        item = self.fresh("z")
        low, high = limits(element)
        kind = rng.randrange(6)
        if kind == 0:
            return cast(rng.choice(("u32", "s64")), Expr(f"sum({place})", low * count, high * count, None, True))
        if kind == 1:
            return Expr(f"{rng.choice(('min', 'max'))}({place})", low, high, None, True)
        if kind == 2:
            other = self.leaf().text
            return Expr(
                f"{rng.choice(('any', 'all'))}({item} {rng.choice(('<', '==', '>='))} {other} for {item} in {place})",
                0,
                1,
                None,
            )
        if kind == 3:
            text = f"sum({item} & 15 for {item} in {place} if {item} != {rng.choice((0, 1, 255))})"
            return cast("u16", Expr(text, 0, 15 * count, None, True))
        if kind == 4:
            return Expr(f"({self.leaf().text} in {place})", 0, 1, None)
        return Expr(f"{rng.choice(('min', 'max'))}(({item} % 9 for {item} in {place}), default=4)", 0, 8, None, True)

    def digest(self, depth: int) -> Expr:
        rng = self.rng
        a, b = cast("u32", self.expression(depth)), cast("u32", self.expression(depth))
        kind, live = rng.randrange(4), a.live or b.live  # of constants the compiler makes a constant
        if kind == 0:
            return Expr(f"bpf.jhash(({a.text}, {b.text}), {rng.choice((0, 7, 0xDEADBEEF))})", 0, 0xFFFF_FFFF, None, live)
        if kind == 1:
            old = cast("u16", self.expression(depth))
            live = live or old.live
            return Expr(f"bpf.checksum_update({old.text}, {a.text}, {b.text})", 0, 0xFFFF, None, live)
        if self.scope.calls:
            place = rng.choice(("head.mac0", "head.mac1", "head"))
            name, high = rng.choice((("jhash", 0xFFFF_FFFF), ("checksum", 0xFFFF)))
            return Expr(f"bpf.{name}({place})", 0, high, None, True)
        return self.leaf()

    def kept(self, depth: int) -> Expr:
        """A global, a setting, an item of a table of tuples, or of a hash where it is there."""
        rng, kind = self.rng, self.rng.random()
        if kind < 0.35:
            name, type, _ = rng.choice(GLOBALS)
            return typed(f"state.{name}", type, live=True)
        if kind < 0.5:
            name, type, _ = rng.choice(SETTINGS)
            return typed(f"settings.{name}", type, live=True)
        if kind < 0.7:
            return Expr(f"PAIRS[{self.index(3, depth)}][{self.index(2, depth)}]", -5, 60000, None)
        if not self.scope.calls:
            return self.leaf()
        name = rng.choice(("mhash", "mkey"))
        found = typed("", self.maps[name][1])
        other = cast(rng.choice(("u8", "s16", self.maps[name][1])), self.expression(depth))
        a, b = alike(found, other)
        if a is not found:
            return self.leaf()
        return Expr(f"({name}.get({self.map_key(name)}) or {b.text})", *joined(a, b), None, True)

    def same_bytes(self) -> str:
        """A comparison of bytes of the packet."""
        rng = self.rng
        a, b = rng.sample(("head.mac0", "head.mac1"), 2)
        symbol = rng.choice(("==", "!="))
        kind = rng.random()
        if kind < 0.4:
            return f"{a} {symbol} {b}"
        if kind < 0.7:
            i, j, n = rng.randrange(3), rng.randrange(3), rng.randrange(1, 4)
            return f"{a}[{i}:{i + n}] {symbol} {b}[{j}:{j + n}]"
        return f"{a} {symbol} {bytes(rng.choice((0, 255, 1)) for _ in range(6))!r}"

    # -- statements

    def _over_array(self, indent: int, depth: int) -> list[str]:
        """`for` over arrays and bytes, also with enumerate, zip and reversed."""
        rng, pad = self.rng, "    " * indent
        arrays = [(p, e, n) for p, e, n in self.scope.arrays if n <= 8] + ([("head.mac0", "u8", 6)] if self.scope.calls else [])
        if not arrays:
            return [pad + "pass"]
        place, element, count = rng.choice(arrays)
        x, i = f"{self.fresh('e')}_{element}", self.fresh("i")
        item = typed(x, element, live=True)
        kind = rng.random()
        if kind < 0.3:
            head, counter = f"for {x} in {place}", None
        elif kind < 0.5:
            head, counter = f"for {x} in reversed({place})", None
        elif kind < 0.8:
            start = rng.choice((0, 0, 3))
            head = f"for {i}, {x} in enumerate({place}{f', {start}' if start else ''})"
            counter = Expr(i, start, start + count - 1, None, True)
        else:
            second, other, n = rng.choice(arrays)
            y = f"{self.fresh('e')}_{other}"
            head, counter, count = f"for {x}, {y} in zip({place}, {second})", typed(y, other, live=True), min(count, n)
        outside, self.scope = self.scope, self.scope.inner()
        self.scope.reads += [item, item]
        body = self._loop_body(indent, depth, count, counter)
        self.scope = outside
        return [f"{pad}{head}:", *body]

    def _match_record(self, indent: int, depth: int) -> list[str]:
        """Patterns over the fields of a record of a map."""
        rng, pad = self.rng, "    " * indent
        fields = [(n, t) for n, t in self.record.scalars if "bits" not in n and t != "bool"]
        if not fields:
            return [pad + "pass"]
        (a, _), (b, type) = rng.choice(fields), rng.choice(fields)
        capture = f"{self.fresh('g')}_{type}"
        lines = [f"{pad}match mrecs[{self.index(3, 1)}]:"]
        if a != b:
            lines += [f"{pad}    case Rec({a}=0, {b}={capture}):"]
            lines += self._within([typed(capture, type, live=True)], indent + 2, depth)
        lines += [f"{pad}    case Rec({b}=1 | 2 | {rng.choice((0, 100, 127))}) if {self.condition(1)}:"]
        lines += self._within([], indent + 2, depth)
        return [*lines, f"{pad}    case _:", *self._within([], indent + 2, depth)]

    def _emit(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        if rng.random() < 0.5:
            return [f"{pad}mring.emit({self._new_record()})"]
        ref = self.fresh("y")
        fields = [(n, t) for n, t in self.record.scalars if "bits" not in n]
        if not fields:
            return [pad + "pass"]
        lines = [f"{pad}with mring.reserve() as {ref}:", f"{pad}    if {ref} is not None:"]
        for name, type in rng.sample(fields, rng.randrange(1, len(fields) + 1)):
            lines.append(f"{pad}        {ref}.{name} = {self.stored(type, 2)}")
        if rng.random() < 0.3:
            lines += [f"{pad}        if {self.condition(1)}:", f"{pad}            mring.discard({ref})"]
        return lines

    def _atomic(self, indent: int, depth: int) -> list[str]:
        """An atomic operation whose old value is used."""
        rng, pad = self.rng, "    " * indent
        name = rng.choice([m for m in ("mout", "marr") if self.maps[m][1][1:] in ("32", "64")])
        type, count = self.maps[name][1], self.maps[name][2]
        place = f"{name}[{self.index(count, 1)}]"
        old = f"{self.fresh('o')}_{type}"
        if rng.random() < 0.25:
            text = f"compare_exchange({place}, {cast(type, self.leaf()).text}, {cast(type, self.expression(1)).text})"
        else:
            text = f"{rng.choice(ATOMICS)}({place}, {cast(type, self.expression(1)).text})"
        self.scope.reads.append(typed(old, type, live=True))
        return [f"{pad}{old} = bpf.atomic.{text}"]

    def _globals(self, indent: int, depth: int) -> list[str]:
        name, type, _ = self.rng.choice(GLOBALS)
        pad = "    " * indent
        if self.rng.random() < 0.5:
            return [f"{pad}state.{name} = {self.stored(type, 2)}"]
        value = cast(type.replace("be", "u"), self.expression(1))
        return [f"{pad}state.{name} {self.rng.choice(('+', '-', '|', '^', '&'))}= {value.text}"]

    def _union(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        (a, type), (b, other) = rng.choice(UNION), rng.choice(UNION)
        name = f"{self.fresh('t')}_{other}"
        place = f"mboth[{self.index(2, 1)}]"
        ref = self.fresh("r")
        lines = [f"{pad}{ref} = {place}", f"{pad}{ref}.{a} = {self.stored(type, 2)}", f"{pad}{name} = {ref}.{b}"]
        self.scope.reads.append(typed(name, other, live=True))
        return lines

    def _divmod(self, indent: int, depth: int) -> list[str]:
        pad = "    " * indent
        a, b = self._named(2), number(self.rng.choice((1, 3, 7, 10, 16, 1000)))
        q, r = divided(a, "//", b), divided(a, "%", b)
        if q.text.startswith(("s64(", "u64(")) or r.text.startswith(("s64(", "u64(")):
            return [pad + "pass"]
        x, y = self.fresh("d"), self.fresh("d")
        self.scope.reads += [Expr(x, q.low, q.high, None, True), Expr(y, r.low, r.high, None, True)]
        return [f"{pad}{x}, {y} = divmod({q.text[1:].rsplit(' // ', 1)[0]}, {b.text})"]

    def _either_record(self, indent: int, depth: int) -> list[str]:
        """The first of two entries that is there."""
        rng, pad = self.rng, "    " * indent
        if "mrec" in self.scope.busy:
            return [pad + "pass"]
        ref = self.fresh("r")
        outside, self.scope = self.scope, self.scope.inner(busy=self.scope.busy | {"mrec"})
        self.scope.reads += self.record.reads(ref)
        body = self._block(indent + 1, rng.randrange(1, 3), depth - 1)
        self.scope = outside
        head = f"{pad}{ref} = mrec.get({self.map_key('mrec')}) or mrec.get({self.map_key('mrec')})"
        return [head, f"{pad}if {ref}:" if rng.random() < 0.5 else f"{pad}if {ref} is not None:", *body]

    def _items(self, indent: int, depth: int) -> list[str]:
        """A total over a map's entries, whose order differs from one machine to the other."""
        pad = "    " * indent
        if "mhash" in self.scope.busy or self.scope.looping:
            return [pad + "pass"]
        k, v, total, name = self.fresh("k"), self.fresh("v"), self.fresh("s"), f"{self.fresh('t')}_u32"
        self.scope.reads.append(typed(name, "u32"))  # nothing below reads it before it is there
        return [
            f"{pad}{total}: u32 = 0",
            f"{pad}for {k}, {v} in mhash.items():",
            f"{pad}    if {k} != {self.rng.randrange(8)}:",
            f"{pad}        {total} += u16({v}) + u8({k})",
            f"{pad}{name} = {total}",
        ]

    def _bytes_store(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        a, b = rng.sample(("head.mac0", "head.mac1"), 2)
        i, j, n = rng.randrange(3), rng.randrange(3), rng.randrange(1, 4)
        return [f"{pad}{a}[{i}:{i + n}] = {b}[{j}:{j + n}]"]

    def decorators(self) -> list[str]:
        """Of a function: every fourth is one that the kernel verifies by itself."""
        return ["@bpf.global_subprogram"] if self.marks.random() < 0.25 else []

    def _record_functions(self) -> list[str]:
        """One that makes a record, one that changes the record it is given."""
        rng = self.rng
        scope = self.scope
        from tests.fuzz.generate import Scope

        self.scope = Scope(reads=[typed("p_u32", "u32"), typed("q_s16", "s16")], calls=False)
        made = f"def make_record(p_u32: u32, q_s16: s16):\n    return {self._new_record()}\n"
        fields = [(f"rec.{n}", t) for n, t in self.record.scalars if "bits" not in n]
        self.scope = Scope(reads=[typed("p_u32", "u32"), *self.record.reads("rec")], stores=fields, calls=False)
        lines = self._block(1, rng.randrange(1, 4), 1)
        touch = "\n".join(
            [
                *self.decorators(),
                "def touch_record(rec: Rec, p_u32: u32) -> s64:",
                *lines,
                f"    return {cast('s64', self.expression(2)).text}",
                "",
            ]
        )
        self.scope = scope
        return [made, touch]

    def _call_records(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        number_ = cast("u32", self.expression(1)).text
        kind = rng.random()
        if kind < 0.4:
            name = f"{self.fresh('t')}_s64"
            line = f"{pad}{name} = touch_record(mrecs[{self.index(3, 1)}], {number_})"
            self.scope.reads.append(typed(name, "s64", live=True))
            return [line]
        made = f"make_record({number_}, {cast('s16', self.expression(1)).text})"
        if kind < 0.6:
            return [f"{pad}mrecs[{self.index(3, 1)}] = {made}"]
        ref = self.fresh("r")
        self.scope.reads += self.record.reads(ref)
        return [f"{pad}{ref} = {made}"]
