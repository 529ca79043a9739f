"""Control flow while lowering: where we are, what the names mean there, and how ways join.

A `Flow` is a position in the graph with the names' values. `join` makes block parameters for names that differ; it also
decides what two different kinds of values become (`None` and a reference: a reference or None).
"""

from __future__ import annotations

from collections.abc import Callable

from purebpf.compiler.frontend.bounds import verifier_range
from purebpf.compiler.frontend.values import (
    EITHER,
    NONE,
    S64_HIGH,
    S64_LOW,
    U64,
    Conflict,
    Const,
    IntValue,
    KernelRef,
    MaybeInt,
    MaybeRef,
    Ref,
    TupleValue,
    Unset,
    Value,
    base_alignment,
    conflict,
    kind_of_either,
    parts,
    rebuilt,
)
from purebpf.compiler.ir.build import Builder, Scope, common_scope
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Block, Op, Ptr, Target, Type
from purebpf.data import data, made, replace
from purebpf.lang.types import StructType, kept_fields

BOTH_KINDS = ({"stack", "map_value"}, {"stack", EITHER}, {"map_value", EITHER})


RESIZES = 1 << 20  # generations from one change of the packet's size to the next


def changed(generation: int, resized: bool) -> int:
    """The packet's layout after a change: of its size, or of its bytes only, which may have moved it too."""
    return (generation // RESIZES + 1) * RESIZES if resized else generation + 1


@data(frozen=False)
class Flow:
    """A place where code can be appended. `names` are the function's variables, `state` what the compiler keeps about memory;
    `dead` marks code that a constant switched off: it is checked, then dropped."""

    block: Block
    scope: Scope
    names: dict[str, Value] = made(dict)
    state: dict[object, Value] = made(dict)
    dead: bool = False

    @property
    def generation(self) -> int:
        """Which layout of the packet is in force; a reference made under another one cannot be used."""
        value = self.state.get("generation")
        return int(value.value) if isinstance(value, Const) else 0

    def fork(self, block: Block, dead: bool = False) -> Flow:
        """The same names at another block."""
        return Flow(block, Scope(self.scope), dict(self.names), dict(self.state), self.dead or dead)


def as_int(builder: Builder, value: Value) -> IntValue | None:
    """An integer or bool as a run-time value; None for anything else."""
    if isinstance(value, IntValue):
        return value
    if isinstance(value, Const) and isinstance(value.value, int):
        number = int(value.value)
        boolean = isinstance(value.value, bool)
        if -(1 << 63) <= number <= U64:
            return IntValue(builder.const(number, BOOL if boolean else None), number, number, number < 0, boolean)
    return None


def _items(value: Value) -> Value:
    """A constant tuple as one of values, so that it can meet another."""
    constant = isinstance(value, Const) and type(value.value) is tuple
    return TupleValue(tuple(_items(Const(item)) for item in value.value)) if constant else value  # type: ignore[attr-defined]


def unify(builder: Builder, name: str, a: Value, b: Value) -> tuple[Value, Value, Value]:
    """Bring two values of a name to one shape: (shape, a in that shape, b in that shape)."""
    if a == b:
        return a, a, b
    for value in (a, b):
        if isinstance(value, Unset | Conflict):
            return value, value, value
    a, b = (_items(value) for value in (a, b))
    x, y = as_int(builder, a), as_int(builder, b)
    if x is not None and y is not None:
        low, high = min(x.low, y.low), max(x.high, y.high)
        if low < 0 and high > S64_HIGH:
            bad = conflict(name, x, y)
            return bad, bad, bad
        shape = IntValue(x.op, low, high, (x.signed or y.signed or low < 0), x.boolean and y.boolean)
        return shape, x, y
    if (a == NONE and isinstance(b, KernelRef)) or (b == NONE and isinstance(a, KernelRef)):
        there = a if isinstance(a, KernelRef) else b
        assert isinstance(there, KernelRef)
        nothing = replace(there, op=builder.const(0), nullable=True)
        return replace(there, nullable=True), nothing if a == NONE else there, nothing if b == NONE else there
    maybe = _unify_maybe(builder, a, b, x, y)
    if maybe is not None:
        return maybe
    if isinstance(a, Ref) and isinstance(b, Ref) and (a.type, a.region, a.generation) == (b.type, b.region, b.generation):
        owner = a.owner if a.owner is b.owner else None
        shape_ref = replace(a, shared=a.shared or b.shared, writable=a.writable and b.writable, owner=owner)
        if a.offset == b.offset:
            return replace(shape_ref, aligned=_both_aligned(a, b)), a, b
        whole = replace(shape_ref, offset=0, aligned=_both_aligned(a, b, moved=True))
        return whole, replace(a, offset=0), replace(b, offset=0)
    if isinstance(a, Ref) and isinstance(b, Ref) and _can_be_either(a, b):
        return _either(a, b), a, b
    if isinstance(a, KernelRef) and isinstance(b, KernelRef) and (a.root, a.path) == (b.root, b.path):
        trust = a.trust if a.trust == b.trust else "rcu" if a.trust and b.trust else ""
        return replace(a, direct=a.direct and b.direct, nullable=a.nullable or b.nullable, trust=trust), a, b
    if isinstance(a, TupleValue) and isinstance(b, TupleValue) and len(a.items) == len(b.items):
        triples = [unify(builder, name, i, j) for i, j in zip(a.items, b.items, strict=True)]
        bad_item = next((t[0] for t in triples if isinstance(t[0], Unset | Conflict)), None)
        if bad_item is None:
            return (
                TupleValue(tuple(t[0] for t in triples)),
                TupleValue(tuple(t[1] for t in triples)),
                TupleValue(tuple(t[2] for t in triples)),
            )
    bad = conflict(name, a, b)
    return bad, bad, bad


def _can_be_either(a: Ref, b: Ref) -> bool:
    """Whether records lie in a map and in memory of the function's own, where a pointer can stand for both."""
    if a.type != b.type or not isinstance(a.type, StructType) or kept_fields(a.type):
        return False
    return {a.region, b.region} in BOTH_KINDS


def _both_aligned(a: Ref, b: Ref, moved: bool = False) -> int:
    """What pointers to both are multiples of; `moved`: once their offsets are inside. A map's value is one of 8."""
    found = []
    for ref in (a, b):
        if ref.region in ("stack", EITHER):
            base = base_alignment(ref)
            found.append(min(base, ref.offset & -ref.offset) if moved and ref.offset else base)
    return min(found, default=0)


def _either(a: Ref, b: Ref) -> Ref:
    """The shape of what is one of both."""
    op = Op("guard", kind_of_either(a.op), [a.op], ("mem", 0, 0), None)
    aligned = _both_aligned(a, b, moved=True)
    return Ref(op, 0, a.type, EITHER, a.shared or b.shared, a.generation, a.writable and b.writable, aligned=aligned)


def _unify_maybe(
    builder: Builder, a: Value, b: Value, x: IntValue | None, y: IntValue | None
) -> tuple[Value, Value, Value] | None:
    """`T` or `T | None` on one way, `T`, None or `T | None` on the other."""
    if not any(v == NONE or isinstance(v, MaybeRef | MaybeInt) for v in (a, b)):
        return None
    ref = next((v if isinstance(v, Ref) else v.ref for v in (a, b) if isinstance(v, Ref | MaybeRef)), None)
    if ref is not None:
        kind = Ptr(ref.op.type.kind, nullable=True) if isinstance(ref.op.type, Ptr) else ref.op.type

        def shaped(value: Value) -> MaybeRef | None:
            if value == NONE:
                return MaybeRef(
                    builder.const(0, kind),
                    replace(ref, op=builder.const(0, kind)),
                    "it is None on one of the ways that lead here",
                )
            if isinstance(value, Ref) and value.offset == ref.offset:
                return MaybeRef(value.op, value, "it is None on one of the ways that lead here")
            return value if isinstance(value, MaybeRef) else None

        p, q = shaped(a), shaped(b)
        if p is not None and q is not None and _can_be_either(p.ref, q.ref) and not p.ref.offset and not q.ref.offset:
            either = _either(p.ref, q.ref)
            return MaybeRef(either.op, either, p.why if a != NONE else q.why), p, q
        if (
            p is None
            or q is None
            or (p.ref.type, p.ref.region, p.ref.offset, p.ref.generation)
            != (q.ref.type, q.ref.region, q.ref.offset, q.ref.generation)
        ):
            return None
        owner = ref.owner if p.ref.owner is q.ref.owner else None
        shape_ref = replace(ref, shared=p.ref.shared or q.ref.shared, owner=owner)
        return MaybeRef(p.op, shape_ref, p.why if a != NONE else q.why), p, q
    inner = [v.inner if isinstance(v, MaybeInt) else i for v, i in ((a, x), (b, y))]
    if (inner[0] is None and a != NONE) or (inner[1] is None and b != NONE):
        return None
    known = [i for i in inner if i is not None]

    def whole(value: Value, number: IntValue | None) -> MaybeInt:
        if isinstance(value, MaybeInt):
            return value
        zero = IntValue(builder.const(0), known[0].low, known[0].low, known[0].signed, known[0].boolean)
        return MaybeInt(
            builder.const(int(number is not None), BOOL), number or zero, "it is None on one of the ways that lead here"
        )

    m, n = whole(a, inner[0]), whole(b, inner[1])
    low, high = min(i.low for i in known), max(i.high for i in known)
    shape = IntValue(known[0].op, low, high, any(i.signed for i in known), all(i.boolean for i in known))
    return MaybeInt(m.present, shape, m.why if isinstance(a, MaybeInt) else n.why), m, n


def _column_type(shape: Value, index: int, column: list[Op]) -> Type:
    """The type of the block parameter that takes these values."""
    types = [op.type for op in column]
    if isinstance(types[0], Ptr):
        nullable = any(isinstance(t, Ptr) and t.nullable for t in types) or any(op.is_const for op in column)
        return Ptr(types[0].kind, nullable)
    if all(t == BOOL for t in types):
        return BOOL
    return I32 if all(t in (I32, BOOL) for t in types) else I64


Bring = Callable[[Flow, Value, Value], Value]
Copied = Callable[[list[Flow], list[Value]], Value | None]


def join(builder: Builder, flows: list[Flow], bring: Bring, copied: Copied) -> Flow | None:
    """One flow where several meet; None if none arrives. Dead ones do not count while a live one is there. For `bring` and
    `copied` see `meetings.py`."""
    alive = [flow for flow in flows if not flow.dead] or flows
    if not alive:
        return None
    if len(alive) == 1:
        return alive[0]
    block = builder.new_block()
    scope = alive[0].scope
    for flow in alive[1:]:
        scope = common_scope(scope, flow.scope)
    result = Flow(block, Scope(scope), {}, {}, alive[0].dead)
    columns: list[list[Op]] = [[] for _ in alive]
    for table in ("names", "state"):
        tables = [getattr(flow, table) for flow in alive]
        out = getattr(result, table)
        if table == "names":
            keys = list(dict.fromkeys(key for t in tables for key in t))
        else:
            keys = [key for key in tables[0] if all(key in t for t in tables[1:])]
        for key in keys:
            values = [t.get(key, Unset(str(key))) for t in tables]
            merged = _merge(builder, str(key), values, alive, columns, block, bring, copied)
            if table == "names" or not isinstance(merged, Unset | Conflict):
                out[key] = merged
    layouts = {flow.generation for flow in alive}
    if len(layouts) > 1:  # some ways changed the packet: what was known of it holds no longer
        result.state["generation"] = Const(max(layouts) + 1)
        result.state.pop("bases", None)
    for flow, column in zip(alive, columns, strict=True):
        flow.block.ops.append(_jump(builder, flow.block, block, column))
    return result


def _jump(builder: Builder, source: Block, target: Block, args: list[Op]) -> Op:
    return Op("jump", VOID, [], (), builder.loc, [Target(target, args)], source)


def _one_number(builder: Builder, column: list[Op], block: Block) -> Op | None:
    """The number that these are, of which one way has told more than another; None if they are several."""
    numbers, known = [], []
    for op in column:
        low, high = S64_LOW, U64
        while op.kind == "guard" and op.imm[0] == "range":
            low, high = max(low, op.imm[1]), min(high, op.imm[2])
            op = op.args[0]
        numbers.append(op)
        known.append((low, high))
    number = numbers[0]
    if any(other is not number for other in numbers) or isinstance(number.type, Ptr):
        return None
    low, high = min(low for low, _ in known), max(high for _, high in known)
    if low <= S64_LOW or high >= U64 or low > high:  # the last where control never comes: a loop without trips
        return number
    guard = Op("guard", number.type, [number], ("range", low, high), builder.loc, block=block)
    block.ops.append(guard)
    return guard


def _merge(
    builder: Builder,
    name: str,
    values: list[Value],
    flows: list[Flow],
    columns: list[list[Op]],
    block: Block,
    bring: Bring,
    copied: Copied,
) -> Value:
    shape = values[0]
    if all(value == shape for value in values[1:]):
        return shape
    if (text := copied(flows, values)) is not None:
        return text
    for value in values[1:]:
        shape = unify(builder, name, shape, value)[0]
    if isinstance(shape, Unset | Conflict):
        return shape
    shaped: list[Value] = []
    for value, flow in zip(values, flows, strict=True):
        value = bring(flow, value, shape)
        shaped.append(unify(builder, name, shape, value)[2])
    rows = [parts(value) for value in shaped]
    ops: list[Op] = []
    for i in range(len(rows[0])):
        if all(row[i] is rows[0][i] for row in rows):
            ops.append(rows[0][i])
            continue
        same = _one_number(builder, [row[i] for row in rows], block)
        if same is not None:
            ops.append(same)
            continue
        param = builder.add_param(block, _column_type(shape, i, [row[i] for row in rows]))
        if not isinstance(param.type, Ptr):
            ranges = [verifier_range(row[i]) for row in rows]
            param.imm = min(low for low, _ in ranges), max(high for _, high in ranges)
        ops.append(param)
        for row, column in zip(rows, columns, strict=True):
            column.append(row[i])
    return rebuilt(shape, ops)
