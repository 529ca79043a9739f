"""What a fuzzed program means: the same source, run by CPython on bytes.

Written from the language's description alone, so that it shares no code with the compiler or with `purebpf.lang`: types narrow
when they are stored, records lie in memory as C lays them out, maps hold bytes. `rewritten` puts into the syntax tree what
Python would not do by itself: narrowing of annotated variables, division by 0, shift counts modulo 64.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

S64_LOW, U64 = -(1 << 63), (1 << 64) - 1


class Overflow(Exception):
    """A result left 64 bits outside of a cast: the generator must not make such programs."""


class Scalar:
    """`u8` to `be64` and `bool`: narrows when called, reads and writes memory."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.boolean = name == "bool"
        self.bits = 8 if self.boolean else int(name.lstrip("usbe"))
        self.signed, self.big = name[0] == "s", name.startswith("be")
        self.size = self.align = self.bits // 8

    def __call__(self, value: Any = 0) -> int:
        if self.boolean:
            return bool(value)
        low = int(value) & ((1 << self.bits) - 1)
        return low - (1 << self.bits) if self.signed and low >> (self.bits - 1) else low

    def load(self, data: bytearray, at: int) -> int:
        raw = data[at : at + self.size]
        if self.boolean:
            return raw != b"\0"
        return int.from_bytes(raw, "big" if self.big else "little", signed=self.signed)

    def store(self, data: bytearray, at: int, value: Any) -> None:
        order = "big" if self.big else "little"
        data[at : at + self.size] = int(self(value)).to_bytes(self.size, order, signed=self.signed)  # type: ignore[arg-type]

    def zero(self) -> Any:
        return 0


SCALARS = {
    name: Scalar(name) for name in ["u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "be16", "be32", "be64", "bool"]
}


class Span:
    """A part of memory that is no integer: `bpf.bytes(n)`, `bpf.array(T, n)`. A reference; storing it copies."""

    def __init__(self, data: bytearray, at: int, element: Any, count: int) -> None:
        self.data, self.at, self.element, self.count = data, at, element, count

    def _place(self, index: int) -> int:
        assert -self.count <= index < self.count
        return self.at + index % self.count * self.element.size  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self.count))

    def __eq__(self, other: object) -> bool:
        return bytes(self) == bytes(other)  # type: ignore[call-overload, no-any-return]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            first, last, _ = index.indices(self.count)
            return Span(self.data, self.at + first * self.element.size, self.element, last - first)
        return self.element.load(self.data, self._place(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            first, last, _ = index.indices(self.count)
            self.data[self.at + first * self.element.size : self.at + last * self.element.size] = bytes(value)
        else:
            self.element.store(self.data, self._place(index), value)

    def __bytes__(self) -> bytes:
        return bytes(self.data[self.at : self.at + self.count * self.element.size])


class Sequence:
    """The type of a `Span`."""

    def __init__(self, element: Any, count: int) -> None:
        self.element, self.count = element, count
        self.size, self.align = element.size * count, element.align

    def load(self, data: bytearray, at: int) -> Span:
        return Span(data, at, self.element, self.count)

    def store(self, data: bytearray, at: int, value: Any) -> None:
        data[at : at + self.size] = bytes(value)

    def zero(self) -> Any:
        return bytes(self.size)


class Bits:
    """`bpf.bits(n)`: the annotation says in which integer."""

    def __init__(self, count: int) -> None:
        self.count = count


class BitField:
    def __init__(self, unit: Scalar, shift: int, count: int) -> None:
        self.unit, self.shift, self.mask = unit, shift, (1 << count) - 1
        self.size = unit.size

    def load(self, data: bytearray, at: int) -> int:
        return self.unit.load(data, at) >> self.shift & self.mask

    def store(self, data: bytearray, at: int, value: Any) -> None:
        kept = self.unit.load(data, at) & ~(self.mask << self.shift)
        self.unit.store(data, at, kept | (int(value) & self.mask) << self.shift)

    def zero(self) -> Any:
        return 0


class Record:
    """A record in memory, its own or a map's or the packet's. Reading an integer gives a value, the rest references."""

    layout: dict[str, tuple[Any, int, Any]]
    size = align = 0

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(data=bytearray(self.size), at=0)
        for name, (_, _, default) in self.layout.items():
            setattr(self, name, values.get(name, default))

    @classmethod
    def load(cls, data: bytearray, at: int) -> Record:
        made = object.__new__(cls)
        made.__dict__.update(data=data, at=at)
        return made

    @classmethod
    def store(cls, data: bytearray, at: int, value: Record) -> None:
        data[at : at + cls.size] = bytes(value)

    def __bytes__(self) -> bytes:
        return bytes(self.data[self.at : self.at + self.size])

    def __getattr__(self, name: str) -> Any:
        kind, offset, _ = type(self).layout[name]
        return kind.load(self.data, self.at + offset)

    def __setattr__(self, name: str, value: Any) -> None:
        kind, offset, _ = self.layout[name]
        kind.store(self.data, self.at + offset, value)


def struct(cls: Any) -> Any:
    """C's layout: natural alignment; bit fields from the low bits on, none across two integers."""
    layout: dict[str, tuple[Any, int, Any]] = {}
    end = align = 0  # end in bits
    for name, kind in cls.__annotations__.items():
        default = vars(cls).get(name, 0)
        if isinstance(default, Bits):
            unit = kind.bits
            if end // unit != (end + default.count - 1) // unit:
                end = -(-end // unit) * unit
            layout[name] = BitField(kind, end % unit, default.count), end // unit * kind.size, 0
            end += default.count
        else:
            if isinstance(default, Sequence):
                kind, default = default, default.zero()
            elif isinstance(kind, type):  # a record inside
                default = bytes(kind.size)  # type: ignore[attr-defined]
            end = -(-end // (8 * kind.align)) * 8 * kind.align
            layout[name] = kind, end // 8, default
            end += kind.size * 8
        align = max(align, kind.align)
    size = -(-end // (8 * align)) * align
    return type(cls.__name__, (Record,), {"layout": layout, "size": size, "align": align})


def union(cls: Any) -> Any:
    """All fields at offset 0."""
    kinds = cls.__annotations__
    align = max(kind.align for kind in kinds.values())
    size = -(-max(kind.size for kind in kinds.values()) // align) * align
    return type(cls.__name__, (Record,), {"layout": {n: (k, 0, 0) for n, k in kinds.items()}, "size": size, "align": align})


class Ring:
    """What was sent, in order."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.sent: list[bytes] = []

    def emit(self, record: Record) -> bool:
        self.sent.append(bytes(record))
        return True

    @contextmanager
    def reserve(self) -> Iterator[Any]:
        self.record: Record | None = self.kind.load(bytearray(self.kind.size), 0)
        yield self.record
        if self.record is not None:
            self.sent.append(bytes(self.record))

    def discard(self, record: Record) -> None:
        self.record = None


class _Ring:
    def __getitem__(self, kind: Any) -> Callable[..., Ring]:
        return lambda size: Ring(kind)


def checksum(data: Any) -> int:
    """RFC 1071 over 16-bit words in network order."""
    octets = bytes(data)
    octets += bytes(len(octets) % 2)
    total = sum(int.from_bytes(octets[i : i + 2], "big") for i in range(0, len(octets), 2))
    while total > 0xFFFF:
        total = total % 0x10000 + total // 0x10000
    return 0xFFFF - total


def checksum_update(check: int, old: int, new: int) -> int:
    """RFC 1624, equation 3: HC' = ~(~HC + ~m + m'), for each half of 32 bits."""
    total = 0xFFFF - check
    for half in (0, 16):
        total += 0xFFFF - (old >> half & 0xFFFF) + (new >> half & 0xFFFF)
    while total > 0xFFFF:
        total = total % 0x10000 + total // 0x10000
    return 0xFFFF - total


def jhash(data: Any, seed: int = 0) -> int:
    """lookup3 as in include/linux/jhash.h, bytes in little-endian words; a tuple is 32-bit words."""
    octets = b"".join(n.to_bytes(4, "little") for n in data) if isinstance(data, tuple) else bytes(data)
    m = 0xFFFF_FFFF

    def rol(x: int, n: int) -> int:
        return (x << n | x >> (32 - n)) & m

    a = b = c = (0xDEADBEEF + len(octets) + seed) & m
    while len(octets) > 12:
        x, y, z = (int.from_bytes(octets[i : i + 4], "little") for i in (0, 4, 8))
        a, b, c = (a + x) & m, (b + y) & m, (c + z) & m
        for n, k in enumerate((4, 6, 8, 16, 19, 4)):
            if n % 3 == 0:
                a, c = (a - c) & m ^ rol(c, k), (c + b) & m
            elif n % 3 == 1:
                b, a = (b - a) & m ^ rol(a, k), (a + c) & m
            else:
                c, b = (c - b) & m ^ rol(b, k), (b + a) & m
        octets = octets[12:]
    if not octets:
        return c
    octets += bytes(12 - len(octets))
    x, y, z = (int.from_bytes(octets[i : i + 4], "little") for i in (0, 4, 8))
    a, b, c = (a + x) & m, (b + y) & m, (c + z) & m
    c = ((c ^ b) - rol(b, 14)) & m
    a = ((a ^ c) - rol(c, 11)) & m
    b = ((b ^ a) - rol(a, 25)) & m
    c = ((c ^ b) - rol(b, 16)) & m
    a = ((a ^ c) - rol(c, 4)) & m
    b = ((b ^ a) - rol(a, 14)) & m
    return ((c ^ b) - rol(b, 24)) & m


ATOMICS: dict[str, Callable[[int, int], int]] = {
    "fetch_add": lambda old, n: old + n,
    "fetch_sub": lambda old, n: old - n,
    "fetch_or": lambda old, n: old | n,
    "fetch_and": lambda old, n: old & n,
    "fetch_xor": lambda old, n: old ^ n,
    "exchange": lambda old, n: n,
}


def _atomic(name: str, holder: Any, where: Any, *operands: int) -> Any:
    """An atomic operation on `holder[where]`."""
    old = holder[where]
    if name != "compare_exchange":
        holder[where] = ATOMICS[name](old, operands[0])
    elif old == operands[0]:
        holder[where] = operands[1]
    return old


class Map:
    """Keys and values as bytes. `entries` of an array exist from the start."""

    def __init__(self, key: Any, value: Any, count: int, full: bool) -> None:
        self.key, self.value, self.full = key, value, full
        self.entries: dict[bytes, bytearray] = {}
        if full:
            self.entries = {i.to_bytes(4, "little"): bytearray(value.size) for i in range(count)}

    def _key(self, key: Any) -> bytes:
        data = bytearray(self.key.size)
        self.key.store(data, 0, key)
        return bytes(data)

    def get(self, key: Any, default: Any = None) -> Any:
        found = self.entries.get(self._key(key))
        return default if found is None else self.value.load(found, 0)

    def __contains__(self, key: Any) -> bool:
        return self._key(key) in self.entries

    def __getitem__(self, key: Any) -> Any:
        return self.get(key, 0)

    def items(self) -> list[tuple[Any, Any]]:
        return [(self.key.load(bytearray(k), 0), self.value.load(v, 0)) for k, v in self.entries.items()]

    def __setitem__(self, key: Any, value: Any) -> None:
        data = bytearray(self.value.size)
        self.value.store(data, 0, value)
        if self.full:
            self.entries[self._key(key)][:] = data
        else:
            self.entries[self._key(key)] = data

    def __delitem__(self, key: Any) -> None:
        self.entries.pop(self._key(key), None)


class _Hash:
    def __getitem__(self, types: tuple[Any, Any]) -> Callable[..., Map]:
        return lambda max_entries: Map(*types, max_entries, False)


class _Array:
    def __getitem__(self, value: Any) -> Callable[..., Map]:
        return lambda max_entries: Map(SCALARS["u32"], value, max_entries, True)


class Packet:
    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def __len__(self) -> int:
        return len(self.data)

    def at(self, offset: int, kind: Any) -> Any:
        return kind.load(self.data, offset) if 0 <= offset <= len(self.data) - kind.size else None


def _watch(value: int) -> int:
    if not S64_LOW <= value <= U64:
        raise Overflow(value)
    return value


def _suspect(value: int) -> int:
    """Half of what `_watch` lets through: a result that no 64-bit type of other sign could hold is left to the generator."""
    if not -(1 << 62) <= value < 1 << 62:
        raise Overflow(value)
    return value


def _value(item: Any) -> Any:
    """Bytes and arrays are values when they are assigned."""
    return bytes(item) if isinstance(item, Span) else item


OPERATIONS: dict[type[ast.operator], tuple[str, Callable[[int, int], int]]] = {
    ast.FloorDiv: ("_div", lambda a, b: a // b if b else 0),
    ast.Mod: ("_mod", lambda a, b: a % b if b else a),
    ast.LShift: ("_shl", lambda a, b: a << (b & 63)),
    ast.RShift: ("_shr", lambda a, b: a >> (b & 63)),
}


def namespace() -> dict[str, Any]:
    """The names a program sees."""

    def local(kind: Sequence) -> Any:
        return kind.load(bytearray(kind.size), 0)

    bpf = SimpleNamespace(
        global_subprogram=lambda function: function,
        xdp=lambda function: function,
        struct=struct,
        Hash=_Hash(),
        Array=_Array(),
        array=Sequence,
        bytes=lambda n: Sequence(SCALARS["u8"], n),
        bits=Bits,
        union=union,
        globals=lambda cls: struct(cls)(),
        config=lambda cls: struct(cls)(),
        RingBuf=_Ring(),
        checksum=checksum,
        checksum_update=checksum_update,
        jhash=jhash,
    )
    names: dict[str, Any] = {"bpf": bpf, "_watch": _watch, "_local": local, "_value": _value, "_atomic": _atomic}
    names |= SCALARS
    return names | dict(OPERATIONS.values())


_TICK = ast.Expr(ast.Call(ast.Name("_tick", ast.Load()), [], []))
MAX_TRIPS = 100_000


class Endless(Exception):
    """A loop does not end: shrinking takes steps out of loops, too."""


class _Meaning(ast.NodeTransformer):
    """Puts the language's meaning into a program's syntax tree."""

    def __init__(self) -> None:
        self.annotations: dict[str, ast.expr] = {}
        self.inside = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.annotations = {a.arg: a.annotation for a in node.args.args if a.annotation is not None}
        for inner in ast.walk(node):
            if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                self.annotations[inner.target.id] = inner.annotation
        self.annotations = {name: note for name, note in self.annotations.items() if ast.unparse(note) in SCALARS}
        parameters = [self._narrow(a.arg) for a in node.args.args if a.arg in self.annotations]
        self.inside = True
        self.generic_visit(node)
        node.body = [*parameters, *node.body]
        self.annotations, self.inside = {}, False
        return node

    def _narrow(self, name: str) -> ast.stmt:
        return ast.Assign([ast.Name(name, ast.Store())], ast.Call(self.annotations[name], [ast.Name(name, ast.Load())], []))

    def _stored(self, node: ast.stmt, *targets: ast.expr) -> list[ast.stmt]:
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        return [node, *(self._narrow(name) for name in names if name in self.annotations)]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if not isinstance(node.target, ast.Name) or not self.annotations:
            return node  # a record's field
        assert node.value is not None
        return self._stored(ast.Assign([node.target], self._loose(node.value)), node.target)

    def visit_Assign(self, node: ast.Assign) -> Any:
        node.value = self._loose(node.value)
        if isinstance(node.value, ast.Tuple):
            node.value.elts = [ast.Call(ast.Name("_value", ast.Load()), [item], []) for item in node.value.elts]
        node.targets = [self.visit(target) for target in node.targets]
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "bpf.array" and self.inside:
            node.value = ast.Call(ast.Name("_local", ast.Load()), [node.value], [])
        return self._stored(node, *node.targets)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        old = ast.parse(ast.unparse(node.target), mode="eval").body
        whole = ast.Assign([node.target], self._loose(ast.BinOp(old, node.op, node.value)))
        node.target = self.visit(node.target)
        return self._stored(whole, node.target)

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.body = [*self._stored(_TICK, node.target), *node.body]
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        node.body = [_TICK, *node.body]
        return node

    def _loose(self, node: ast.expr) -> Any:
        """What is narrowed at once: its outermost operation may leave 64 bits."""
        made = self.visit(node)
        if isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and made.func.id == "_watch":
            return made.args[0]
        return made

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in SCALARS and len(node.args) == 1:
            return ast.Call(node.func, [self._loose(node.args[0])], [])
        self.generic_visit(node)
        place = node.args[0] if node.args else None
        if (
            isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "bpf.atomic"
            and isinstance(place, ast.Subscript)
        ):
            return ast.Call(
                ast.Name("_atomic", ast.Load()), [ast.Constant(node.func.attr), place.value, place.slice, *node.args[1:]], []
            )
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        special = OPERATIONS.get(type(node.op))
        made: ast.expr = node
        if special is not None:
            made = ast.Call(ast.Name(special[0], ast.Load()), [node.left, node.right], [])
        return ast.Call(ast.Name("_watch", ast.Load()), [made], [])


def rewritten(source: str) -> ast.Module:
    """The program's syntax tree without its imports, with the language's meaning in it."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.fix_missing_locations(_Meaning().visit(tree))  # type: ignore[no-any-return]


class Model:
    """A program on CPython. Maps keep what runs put into them."""

    def __init__(self, source: str, strict: bool = False) -> None:
        self.names = namespace()
        if strict:
            self.names["_watch"] = _suspect
        self.trips = 0
        self.names["_tick"] = self._tick
        exec(compile(rewritten(source), "<model>", "exec", dont_inherit=True), self.names)
        self.maps = {name: value for name, value in self.names.items() if isinstance(value, Map)}

    def _tick(self) -> None:
        self.trips += 1
        if self.trips > MAX_TRIPS:
            raise Endless

    def run(self, packet: bytes) -> tuple[int, bytes]:
        """The result as 32 unsigned bits, and the packet afterwards. Raises Overflow and Endless."""
        ctx = SimpleNamespace(packet=Packet(packet))
        value = self.names["program"](ctx)
        return int(value) & 0xFFFF_FFFF, bytes(ctx.packet.data)

    def contents(self) -> dict[str, dict[bytes, bytes]]:
        """Entries of maps and globals, records of rings by number."""
        rings = {name: ring.sent for name, ring in self.names.items() if isinstance(ring, Ring)}
        held = {name: {bytes(4): bytes(value)} for name, value in self.names.items() if isinstance(value, Record)}
        sent = {name: {i.to_bytes(4, "little"): record for i, record in enumerate(records)} for name, records in rings.items()}
        return held | sent | {name: {k: bytes(v) for k, v in m.entries.items()} for name, m in self.maps.items()}
