"""Random, well-typed programs: `Generator(seed).source()`.

A program reads a record in the packet, computes with annotated variables of all widths, local arrays, records in maps, tables
and functions, and leaves what it found in the packet, in maps and in its result. The type of a name is its suffix: `v3_s16`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.fuzz.features import DECLARATIONS, Features
from tests.fuzz.values import Expr, alike, cast, divided, limits, number, operate, typed

SCALARS = ("u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64")
FIELDS = (*SCALARS, *SCALARS, "be16", "be32", "be64", "bool")
MAX_TRIPS = 60


@dataclass(slots=True)
class Scope:
    """What code at a place can use. `stores` are places that may be assigned, with their types; `steady` names are not
    assigned here."""

    reads: list[Expr] = field(default_factory=list)
    stores: list[tuple[str, str]] = field(default_factory=list)
    arrays: list[tuple[str, str, int]] = field(default_factory=list)  # place, element type, count
    divisors: list[Expr] = field(default_factory=list)  # never constant
    busy: frozenset[str] = frozenset()  # maps that a live reference points into
    trips: int = 1
    looping: bool = False
    calls: bool = True

    def inner(self, **changes: object) -> Scope:
        made = Scope(
            list(self.reads), list(self.stores), list(self.arrays), list(self.divisors), self.busy, self.trips, self.looping
        )
        made.calls = self.calls
        for name, value in changes.items():
            setattr(made, name, value)
        return made


@dataclass(frozen=True, slots=True)
class Layout:
    """A record: scalar fields (name, type), array fields (name, element, count), byte fields of six."""

    name: str
    scalars: tuple[tuple[str, str], ...]
    arrays: tuple[tuple[str, str, int], ...]
    macs: tuple[str, ...]

    def source(self) -> str:
        lines = [f"@bpf.struct\nclass {self.name}:"]
        rows = [(name, f"    {name}: {type} = 0") for name, type in self.scalars]
        rows = [(n, line.replace("= 0", f"= bpf.bits({n[1:].split('_')[0]})") if "_bits" in n else line) for n, line in rows]
        rows += [(name, f"    {name}: list[{e}] = bpf.array({e}, {n})") for name, e, n in self.arrays]
        rows += [(name, f"    {name}: bytes = bpf.bytes(6)") for name in self.macs]
        random.Random(self.name + str(len(rows))).shuffle(rows)
        return "\n".join([*lines, *(line for _, line in rows), ""])

    def reads(self, name: str) -> list[Expr]:
        return [self._read(f"{name}.{f}", f, t) for f, t in self.scalars]

    @staticmethod
    def _read(text: str, field: str, type: str) -> Expr:
        if "_bits" in field:
            return Expr(text, 0, (1 << int(field[1:].split("_")[0])) - 1, False, True)
        return typed(text, type, live=True)


class Generator(Features):
    """`scale` is about how many statements there are: 1 gives some hundred lines."""

    def __init__(self, seed: int, scale: float = 1) -> None:
        super().__init__(random.Random(seed))
        self.marks = random.Random(f"marks {seed}")
        self.scale = scale
        self.counts: dict[str, int] = {}
        self.scope = Scope()

    def source(self) -> str:
        """One program. Its packet record is `In`; every map's name starts with `m`."""
        rng = self.rng
        self.head = self._layout("In", rng.randrange(4, 9), 2)
        self.record = self._layout("Rec", rng.randrange(2, 6), 0)
        self.key = Layout("Key", (("k0_u32", "u32"), ("k1_u8", "u8"), ("k2_u16", "u16")), (), ())
        self.tables = [self._table() for _ in range(rng.randrange(3))]
        self.maps = {
            "mout": ("Array", "s64", 8),
            "marr": ("Array", rng.choice(SCALARS), rng.choice((1, 4, 7))),
            "mhash": ("Hash", rng.choice(SCALARS), 64),
            "mrec": ("Hash", "Rec", 64),
            "mrecs": ("Array", "Rec", 3),
            "mkey": ("Hash", rng.choice(SCALARS), 300),
        }
        functions = [self._function(i) for i in range(rng.randrange(round(1 + 3 * self.scale)))]
        functions += self._record_functions()
        body = self._program()
        keys = {"mhash": rng.choice(("u32", "u8", "s16", "u64", "be16")), "mrec": "u16", "mkey": "Key"}
        maps = [
            f"{name} = bpf.{kind}[{value}](max_entries={n})"
            if kind == "Array"
            else f"{name} = bpf.{kind}[{keys[name]}, {value}](max_entries={n})"
            for name, (kind, value, n) in self.maps.items()
        ]
        maps += ["mring = bpf.RingBuf[Rec](size=1 << 17)", "mboth = bpf.Array[Both](max_entries=2)"]
        tables = [f"{name} = {values}" for name, values in self.tables]
        names = ", ".join(("be16", "be32", "be64", *SCALARS))
        heads = ["import purebpf as bpf", f"from purebpf import {names}", *tables]
        text = "\n".join(
            [*heads, DECLARATIONS, *(s.source() for s in (self.head, self.record, self.key)), *maps, *functions, body]
        )
        return text + "\n"

    # -- declarations

    def _layout(self, name: str, scalars: int, macs: int) -> Layout:
        rng = self.rng
        types = [rng.choice(FIELDS) for _ in range(scalars)]
        fields = [(f"f{i}_{t}", t) for i, t in enumerate(types)]
        if rng.random() < 0.4:
            unit = rng.choice(("u8", "u16", "u32"))
            fields += [(f"b{n}_bits{i}", unit) for i, n in enumerate(rng.choice(((3, 5), (1, 2, 4), (7, 1))) if unit else ())]
        arrays = tuple((f"a{i}", rng.choice((*SCALARS, "be16")), rng.choice((2, 3, 4, 8))) for i in range(rng.randrange(3)))
        return Layout(name, tuple(fields), arrays, tuple(f"mac{i}" for i in range(macs)))

    def _table(self) -> tuple[str, tuple[int, ...]]:
        rng = self.rng
        low, high = limits(rng.choice(SCALARS))
        return f"TABLE{rng.randrange(1000)}", tuple(rng.choice((low, high, 0, 1, rng.randint(low, high))) for _ in range(4))

    def _function(self, index: int) -> str:
        rng = self.rng
        types = [rng.choice(SCALARS) for _ in range(rng.randrange(1, 6))]
        parameters = [f"p{i}_{t}" for i, t in enumerate(types)]
        result = rng.choice(SCALARS)
        scope = Scope(reads=[typed(p, t) for p, t in zip(parameters, types, strict=True)], calls=False)
        scope.stores = list(zip(parameters, types, strict=True))
        scope.divisors = [Expr(f"({p} & 7 | 1)", 1, 7, None) for p in parameters[:2] if p.endswith(("u8", "u32"))]
        self.scope = scope
        lines = self._variables(rng.randrange(2))
        lines += self._block(1, rng.randrange(1, 3) if rng.random() < 0.5 else round(rng.randrange(4, 9) * self.scale), 2)
        if rng.random() < 0.5:
            lines += [f"    if {self.condition(2)}:", f"        return {cast(result, self.expression(2)).text}"]
        lines.append(f"    return {cast(result, self.expression(3)).text}")
        name = f"fn{index}_{result}"
        header = ", ".join(f"{p}: {t}" for p, t in zip(parameters, types, strict=True))
        note = f" -> {result}" if rng.random() < 0.7 else ""
        self.functions.append((name, result, list(zip(parameters, types, strict=True))))
        return "\n".join([*self.decorators(), f"def {name}({header}){note}:", *lines, ""])

    # -- the program

    def _program(self) -> str:
        rng = self.rng
        scope = self.scope = Scope()
        scope.reads = self.head.reads("head")
        scope.divisors = [r for r in scope.reads if not r.text.endswith("bool")]
        scope.stores = [(r.text, t) for r, (n, t) in zip(scope.reads, self.head.scalars, strict=True) if "bits" not in n]
        scope.arrays = [(f"head.{n}", e, c) for n, e, c in self.head.arrays]
        scope.reads += [Expr("len(ctx.packet)", 0, 0xFFFF_FFFF, None, True)]
        lines = ["@bpf.xdp", "def program(ctx):", "    head = ctx.packet.at(0, In)", "    if head is None:", "        return 9"]
        lines += self._variables(rng.randrange(2, 6))
        lines += self._block(1, max(1, round(rng.randrange(3, 9) * self.scale)), 3 if self.scale > 0.5 else 2)
        for i, value in enumerate(rng.sample(scope.reads, min(3, len(scope.reads)))):
            lines.append(f"    mout[{i}] = {cast('s64', value).text}")
        lines.append(f"    mout[7] = {cast('s64', self.expression(3)).text}")
        return "\n".join([*lines, f"    return {cast('u32', self.expression(2)).text}"])

    def fresh(self, letter: str) -> str:
        self.counts[letter] = self.counts.get(letter, -1) + 1
        return f"{letter}{self.counts[letter]}"

    def _variables(self, count: int) -> list[str]:
        """Annotated variables at the start of a function, and sometimes a local array."""
        rng, lines = self.rng, []
        for _ in range(count):
            type = rng.choice(SCALARS)
            name = f"{self.fresh('v')}_{type}"
            lines.append(f"    {name}: {type} = {self.stored(type, 2)}")
            self.scope.reads.append(typed(name, type))
            self.scope.stores.append((name, type))
        if rng.random() < 0.25:
            name, element, count = (
                self.fresh("w"),
                rng.choice(SCALARS),
                rng.choice((2, 4, 5, 8, 100 if self.scope.calls else 4)),
            )
            lines.append(f"    {name} = bpf.array({element}, {count})")
            self.scope.arrays.append((name, element, count))
        return lines

    def stored(self, type: str, depth: int) -> str:
        """An expression for a place of this type: a value the compiler might know is cast, since it must fit."""
        value = self.expression(depth)
        low, high = limits(type)
        if (low <= value.low and value.high <= high) or (value.live and self.rng.random() < 0.7 and type != "bool"):
            return value.text
        return self.comparison(1) if type == "bool" else cast(type.replace("be", "u"), value).text

    # -- statements

    def _block(self, indent: int, count: int, depth: int) -> list[str]:
        scope, lines = self.scope, []
        self.scope = scope.inner()
        for _ in range(count):
            lines += self._statement(indent, depth)
        self.scope = scope
        return lines or ["    " * indent + "pass"]

    def _statement(self, indent: int, depth: int) -> list[str]:
        rng = self.rng
        shapes = [(self._assign, 5), (self._augment, 4), (self._swap, 0.6), (self._let, 1.2), (self._array_store, 1.2)]
        if depth > 0:
            shapes += [(self._if, 4), (self._match, 1), (self._choice, 0.8)]
            if self.scope.trips < MAX_TRIPS:
                shapes += [(self._for, 2), (self._while, 1.2), (self._accumulate, 0.6)]
        if self.scope.calls:
            shapes += [(self._map_store, 2), (self._mac_swap, 0.3), (self._lookup, 1.5), (self._packet_at, 0.6)]
            shapes += [
                (self._emit, 0.5),
                (self._atomic, 0.4),
                (self._globals, 0.5),
                (self._union, 0.4),
                (self._bytes_store, 0.3),
            ]
            shapes += [(self._call_records, 0.6), (self._items, 0.15)]
            shapes += [(self._match_record, 0.5), (self._either_record, 0.4)] if depth > 0 else []
        if depth > 0 and self.scope.trips < MAX_TRIPS:
            shapes += [(self._over_array, 1.2)]
        shapes += [(self._divmod, 0.4)]
        if self.scope.looping and depth < 3:
            shapes += [(self._leave, 0.6)]
        make = rng.choices([s for s, _ in shapes], [w for _, w in shapes])[0]
        pad = "    " * indent
        return make(indent, depth) if make in self._nesting else [pad + line for line in make(indent, depth)]

    @property
    def _nesting(self) -> tuple[object, ...]:
        return (self._if, self._match, self._for, self._while, self._lookup, self._choice, self._leave, self._packet_at,
                self._accumulate, self._emit, self._atomic, self._globals, self._union, self._bytes_store, self._call_records,
                self._items, self._match_record, self._either_record, self._over_array, self._divmod)  # fmt: skip

    def _assign(self, indent: int, depth: int) -> list[str]:
        rng = self.rng
        if not self.scope.stores:
            return ["pass"]
        place, type = rng.choice(self.scope.stores)
        other = [p for p, t in self.scope.stores if t == type and p != place]
        if other and rng.random() < 0.15:
            return [f"{place} = {rng.choice(other)} = {self.stored(type, 2)}"]
        return [f"{place} = {self.stored(type, 3)}"]

    def _augment(self, indent: int, depth: int) -> list[str]:
        rng = self.rng
        places = [(p, t) for p, t in self.scope.stores if t != "bool"]
        if not places:
            return ["pass"]
        place, type = rng.choice(places)
        return [self._augmented(place, typed(place, type.replace("be", "u"), live=True), rng.choice("+-*&|^+-"))]

    def _augmented(self, place: str, old: Expr, symbol: str) -> str:
        """`place += value`, with a value that makes the result legal."""
        rng = self.rng
        if rng.random() < 0.12:
            return f"{place} {rng.choice(('//', '%'))}= {number(rng.choice((1, 3, 7, 16, 100))).text}"
        if rng.random() < 0.1:
            return f"{place} {rng.choice(('>>', '>>', '<<'))}= {rng.choice((0, 1, 3, 7))}"
        value = self.expression(2)
        made = operate(old, symbol, value)
        kept = {operate(old, symbol, v).text: v for v in (cast("u64", value), cast("s64", value), cast("u8", value))}
        plain = f"({place} {symbol} {value.text})"
        if made.text in (plain, f"u64({plain[1:-1]})", f"s64({plain[1:-1]})"):
            return f"{place} {symbol}= {value.text}"
        for v in kept.values():
            inner = f"{place} {symbol} {v.text}"
            if operate(old, symbol, v).text in (f"({inner})", f"u64({inner})", f"s64({inner})"):
                return f"{place} {symbol}= {v.text}"
        return f"{place} {symbol}= 1"

    def _swap(self, indent: int, depth: int) -> list[str]:
        rng = self.rng
        names = [(p, t) for p, t in self.scope.stores if t != "bool"]
        for place, type in names:
            alike = [p for p, t in names if t == type and p != place]
            if alike:
                other = rng.choice(alike)
                return [
                    f"{place}, {other} = {other}, {self.stored(type, 1)}"
                    if rng.random() < 0.4
                    else f"{place}, {other} = {other}, {place}"
                ]
        return ["pass"]

    def _let(self, indent: int, depth: int) -> list[str]:
        """A name without annotation, assigned once."""
        value = self.expression(3)
        type = next((t for t in SCALARS if limits(t)[0] <= value.low and value.high <= limits(t)[1]), None)
        if type is None:
            value, type = cast("s64", value), "s64"
        name = f"{self.fresh('t')}_{type}"
        self.scope.reads.append(Expr(name, value.low, value.high, None, value.live))
        return [f"{name} = {value.text}"]

    def _array_store(self, indent: int, depth: int) -> list[str]:
        if not self.scope.arrays:
            return ["pass"]
        place, element, count = self.rng.choice(self.scope.arrays)
        where = f"{place}[{self.index(count, 1)}]"
        if self.rng.random() < 0.4:
            return [self._augmented(where, typed(where, element.replace("be", "u"), live=True), self.rng.choice("+-&|^*"))]
        return [f"{where} = {self.stored(element, 2)}"]

    def _map_store(self, indent: int, depth: int) -> list[str]:
        rng = self.rng
        name = rng.choice([m for m in self.maps if m != "mout"])
        kind, value, count = self.maps[name]
        where = f"{name}[{self.index(count, 1) if kind == 'Array' else self.map_key(name)}]"
        if value == "Rec":
            return [f"{where} = {self._new_record()}"] if name not in self.scope.busy else ["pass"]
        if kind == "Hash" and name in self.scope.busy:
            return ["pass"]
        if kind == "Hash" and rng.random() < 0.2:
            return [f"del {where}"]
        if rng.random() < 0.6:
            return [self._augmented(where, typed(where, value, live=True), rng.choice("+-+|^&*"))]
        return [f"{where} = {self.stored(value, 2)}"]

    def _new_record(self) -> str:
        scalars = self.record.scalars
        chosen = self.rng.sample(scalars, self.rng.randrange(1, len(scalars) + 1))
        given = []
        for name, type in chosen:
            if "bits" in name:
                width = int(name[1:].split("_")[0])
                given.append(f"{name}={operate(self.expression(1), '&', number((1 << width) - 1)).text}")
            else:
                given.append(f"{name}={self.stored(type, 2)}")
        return f"Rec({', '.join(given)})"

    def _mac_swap(self, indent: int, depth: int) -> list[str]:
        return [self.rng.choice(("head.mac0, head.mac1 = head.mac1, head.mac0", "head.mac1 = head.mac0"))]

    def _lookup(self, indent: int, depth: int) -> list[str]:
        """A reference into a map, used where it is there."""
        rng, pad = self.rng, "    " * indent
        name = rng.choice(("mrec", "mrecs", "mhash", "mkey"))
        _kind, value, count = self.maps[name]
        if name in self.scope.busy:
            return [pad + "pass"]
        ref = self.fresh("r")
        scope = self.scope
        self.scope = scope.inner(busy=scope.busy | {name})
        if value == "Rec":
            reads = self.record.reads(ref)
            self.scope.reads += reads
            self.scope.stores += [(r.text, t) for r, (n, t) in zip(reads, self.record.scalars, strict=True) if "bits" not in n]
            self.scope.arrays += [(f"{ref}.{n}", e, c) for n, e, c in self.record.arrays]
        else:
            self.scope.reads.append(typed(ref, value, live=True))
        inner = self._block(indent + (name != "mrecs"), rng.randrange(1, 4), depth - 1)
        self.scope = scope
        if name == "mrecs":
            return [f"{pad}{ref} = mrecs[{self.index(count, 1)}]", *inner]
        key = self.map_key(name)
        if rng.random() < 0.3:
            return [f"{pad}if ({ref} := {name}.get({key})) is not None:", *inner]
        if rng.random() < 0.3:
            leave = f"{pad}else:\n{pad}    {name}[{key}] = {self._new_record() if value == 'Rec' else self.stored(value, 1)}"
            return [f"{pad}{ref} = {name}.get({key})", f"{pad}if {ref} is not None:", *inner, leave]
        return [f"{pad}{ref} = {name}.get({key})", f"{pad}if {ref} is not None:", *inner]

    def _packet_at(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        type = rng.choice(("u8", "u16", "u32", "be16", "be32", "s8", "u64", "s32"))
        offset = rng.choice((str(rng.randrange(70)), self.index(64, 1), self.index(200, 1)))
        ref = f"{self.fresh('q')}_{type}"
        scope, self.scope = self.scope, self.scope.inner()
        self.scope.reads.append(typed(ref, type, live=True))
        inner = self._block(indent + 1, rng.randrange(1, 3), depth - 1)
        self.scope = scope
        return [f"{pad}{ref} = ctx.packet.at({offset}, {type})", f"{pad}if {ref} is not None:", *inner]

    def _if(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        lines = [f"{pad}if {self.condition(2)}:", *self._block(indent + 1, rng.randrange(1, 3), depth - 1)]
        if rng.random() < 0.25:
            lines += [f"{pad}elif {self.condition(2)}:", *self._block(indent + 1, rng.randrange(1, 3), depth - 1)]
        if rng.random() < 0.5:
            lines += [f"{pad}else:", *self._block(indent + 1, rng.randrange(1, 3), depth - 1)]
        return lines

    def _choice(self, indent: int, depth: int) -> list[str]:
        """A name without annotation that gets a value on either way."""
        pad = "    " * indent
        a, b = alike(self.expression(2), self.expression(2))
        low, high = min(a.low, b.low), max(a.high, b.high)
        name = f"{self.fresh('c')}_x"
        lines = [f"{pad}if {self.condition(2)}:", f"{pad}    {name} = {a.text}", f"{pad}else:", f"{pad}    {name} = {b.text}"]
        self.scope.reads.append(Expr(name, low, high, None))
        return lines

    def _match(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        subject = divided(self.expression(1), "%", number(rng.choice((3, 5, 8))))
        capture = f"{self.fresh('g')}_u8"
        if rng.random() < 0.3:
            other = self.expression(1)
            patterns = ["(0, _)", "(1 | 2, 0)", f"(_, {capture})"]
            lines = [f"{pad}match {subject.text}, {other.text}:"]
            captured = Expr(capture, other.low, other.high, None, other.live)
        else:
            patterns = ["0", "1 | 2", f"{capture} if {self.condition(1)}", "_"]
            lines = [f"{pad}match {subject.text}:"]
            captured = Expr(capture, subject.low, subject.high, None, subject.live)
        for pattern in patterns:
            scope, self.scope = self.scope, self.scope.inner()
            if capture in pattern:
                self.scope.reads.append(captured)
            lines += [f"{pad}    case {pattern}:", *self._block(indent + 2, 1, depth - 1)]
            self.scope = scope
        return lines

    def _loop_body(self, indent: int, depth: int, trips: int, counter: Expr | None) -> list[str]:
        scope, rng = self.scope, self.rng
        self.scope = scope.inner(trips=scope.trips * trips, looping=True)
        if counter is not None:
            self.scope.reads += [counter, counter]
        lines = self._block(indent + 1, rng.randrange(1, 4), depth - 1)
        if rng.random() < 0.3:
            lines += ["    " * (indent + 1) + f"if {self.condition(2)}:"]
            lines += ["    " * (indent + 2) + rng.choice(("break", "continue"))]
        self.scope = scope
        return lines

    def _for(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        name, kind = self.fresh("i"), rng.random()
        if kind < 0.5:
            bounds = rng.choice(
                ((0, 3, 1), (0, 10, 1), (2, 9, 3), (6, 0, -2), (-2, 3, 1), (5, -6, -5), (250, 260, 4), (3, 3, 1))
            )
            values = range(*bounds)
            text = f"range({', '.join(map(str, bounds))})" if bounds[2] != 1 or bounds[0] else f"range({bounds[1]})"
            counter = Expr(name, min(values, default=bounds[0]), max(values, default=bounds[0]), None, True)
            trips = max(len(values), 1)
        elif kind < 0.75:
            stop = operate(self.expression(1), "&", number(7))
            text, counter, trips = f"range({stop.text})", Expr(name, 0, 7, None, True), 8
            if rng.random() < 0.4:
                text = f"range({operate(self.expression(1), '&', number(3)).text}, {stop.text}, {rng.choice((1, 2))})"
            elif rng.random() < 0.3:
                text = f"range({stop.text}, -3, -1)"
                counter, trips = Expr(name, -3, 7, None, True), 11
        else:
            items = (
                [self.expression(1) for _ in range(rng.randrange(1, 4))]
                if rng.random() < 0.5
                else [number(rng.choice((0, 5, 300, -9))) for _ in range(3)]
            )
            items = alike(*items)
            text = f"({', '.join(i.text for i in items)},)"
            counter = Expr(name, min(i.low for i in items), max(i.high for i in items), None)
            trips = len(items)
        lines = [f"{pad}for {name} in {text}:", *self._loop_body(indent, depth, trips, counter)]
        if rng.random() < 0.2:
            lines += [f"{pad}else:", *self._block(indent + 1, 1, depth - 1)]
        return lines

    def _while(self, indent: int, depth: int) -> list[str]:
        rng, pad = self.rng, "    " * indent
        name = f"{self.fresh('n')}_u8"
        limit = rng.choice((2, 5, 9))
        test = f"{name} < {limit}" + (f" and {self.condition(1)}" if rng.random() < 0.4 else "")
        counter = Expr(name, 0, limit, None)
        step = f"{pad}    {name} += 1"
        lines = [f"{pad}{name}{': u8' if rng.random() < 0.5 else ''} = 0", f"{pad}while {test}:", step]
        lines += self._loop_body(indent, depth, limit, counter)
        if rng.random() < 0.2:
            lines += [f"{pad}else:", *self._block(indent + 1, 1, depth - 1)]
        return lines

    def _accumulate(self, indent: int, depth: int) -> list[str]:
        """A total without annotation: its range grows with the loop."""
        rng, pad = self.rng, "    " * indent
        total, i, trips = self.fresh("s"), self.fresh("i"), rng.choice((3, 7))
        scope, self.scope = self.scope, self.scope.inner(trips=self.scope.trips * trips, looping=True)
        self.scope.reads.append(Expr(i, 0, trips - 1, None, True))
        value = cast("u16", self.expression(2))
        lines = [
            f"{pad}{total} = {rng.choice((0, 1))}",
            f"{pad}for {i} in range({trips}):",
            f"{pad}    {total} += {value.text}",
        ]
        if rng.random() < 0.5:
            lines += [f"{pad}    if {total} > {rng.choice((10, 1000))}:", f"{pad}        {rng.choice(('break', 'continue'))}"]
        self.scope = scope
        name = f"{self.fresh('t')}_u32"
        self.scope.reads.append(typed(name, "u32"))
        return [*lines, f"{pad}{name} = u32({total})"]

    def _leave(self, indent: int, depth: int) -> list[str]:
        pad = "    " * indent
        return [f"{pad}if {self.condition(2)}:", f"{pad}    {self.rng.choice(('break', 'continue'))}"]
