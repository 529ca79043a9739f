"""What an expression can be while a program is compiled.

Run-time values are made of IR ops; everything Python can know now is a `Const`. `parts` and `rebuilt` take a value apart into
ops and put it together again, which is how values pass through the parameters of blocks.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from purebpf.compiler.diagnostics import Place
from purebpf.compiler.ir.ops import Op, Ptr
from purebpf.data import data, replace
from purebpf.lang.types import CharsType, Type

EITHER = "either"  # the region of a place that lies in a map or in the function's own memory (see `meetings.py`)
U64, S64_LOW, S64_HIGH = (1 << 64) - 1, -(1 << 63), (1 << 63) - 1


class Value:
    """Anything an expression can give."""


@data
class Const(Value):
    """A Python object known at compile time: a number, a text, a class, a function, a module, a map ... An integer here is
    one that the source writes out (or computes from such); once a name holds it, it is an IntValue that happens to be known.
    """

    value: Any


@data
class IntValue(Value):
    """An integer in a register, exact: `low` <= value <= `high`. `signed` is the signedness of the types it came from,
    which decides how a result that fits no 64 bits wraps. A known one has a constant `op`."""

    op: Op
    low: int
    high: int
    signed: bool = False
    boolean: bool = False


@data
class Ref(Value):
    """A place in memory: `op` + `offset` holds a `type`. `region` is where: stack, map_value, packet, ctx, mem, either,
    slice (of a packet, or a copy of it). `shared` says that others may write it at the same time; `generation` which packet
    layout it belongs to."""

    op: Op
    offset: int
    type: Type
    region: str
    shared: bool = False
    generation: int = 0
    writable: bool = True
    owner: object = None  # the declaration of the map, of a map's value
    aligned: int = 0  # of memory of the function's own: what `op` is a multiple of, where the op does not tell; 0: as its type


@data
class MaybeRef(Value):
    """A reference or None: `op` is a nullable pointer. `why` tells when it is None."""

    op: Op
    ref: Ref
    why: str


@data
class MaybeInt(Value):
    """An integer or None; `present` is a bool op."""

    present: Op
    inner: IntValue
    why: str


@data
class TupleValue(Value):
    items: tuple[Value, ...]


@data
class ListValue(TupleValue):
    """`[a, b]` where it is written: to fill an array, compare with one, look into or go over. No name can hold it."""


@data
class Context(Value):
    """The program's context."""

    op: Op


@data
class KernelRef(Value):
    """A place in the kernel's memory: `op` is the address of a `root`, the place is reached from there by `path` (see
    `btf.trim.Access`), and holds a `type`; both are numbers of the kernel's BTF, the second behind typedefs. `name` is for
    messages. `direct` says that the verifier knows of what type `op` is, so that the program may load from it; `nullable` that
    `op` may be 0. `trust` is how far the verifier trusts that the object lives: "trusted", "rcu" (while RCU is held), or ""
    (not at all), which decides what kernel functions take it."""

    op: Op
    root: int
    path: tuple[int, ...]
    type: int
    name: str
    direct: bool
    nullable: bool
    trust: str = ""


@data
class Held(Value):
    """A reference that the program has to give back: `op` is the object, `shown` the call at `place` that gave it, `release`
    the kernel function that takes it back, `offset` where the object begins, from there;
    `scoped`: a `with` gives it back."""

    op: Op
    place: Place
    shown: str
    release: str
    offset: int = 0
    scoped: bool = False


@data
class Packet(Value):
    """`ctx.packet`."""

    context: Context


@data
class Bound(Value):
    """A method or attribute of something that lives at run time or in a declaration: `stats.get`, `ctx.packet.at`."""

    receiver: Value
    name: str


@data
class Dynptr(Value):
    """Bytes that only the kernel reaches: reserved in a ring, a packet's, or in a map's value; `op` is the stack memory that
    stands for them. `size` where it is known, `generation` the packet's layout, `shared` and `writable` as of a `Ref`."""

    op: Op
    source: str = "ring"  # or "packet", "memory"
    size: int | None = None
    generation: int = 0
    shared: bool = False
    writable: bool = True


@data
class LocalFunction(Value):
    """A function defined inside the program, for the kernel to call back."""

    node: ast.FunctionDef


@data
class Fill(Value):
    """Something that a helper writes into memory, such as `bpf.current.comm`: `write(destination)` does it in place.
    `leaves` says that it may leave bytes behind a text's NUL as they were, `stretches` that it fills a text of any size."""

    type: Type
    write: Callable[[Ref], None]
    leaves: bool = False
    stretches: bool = False


@data
class Unset(Value):
    """A name that has no value on some way that leads here; `why` where that way is not in the source."""

    name: str
    why: str = ""


@data
class Conflict(Value):
    """A name that has different kinds of values on the ways that lead here; `hint` says what to do."""

    name: str
    first: str
    second: str
    hint: str = ""


class Absent(int):
    """False, of what is not there at all: what is behind a test of it is not even looked at."""


NONE = Const(None)
ABSENT = Absent(0)


def kind_of_either(op: Op) -> Ptr:
    """The type of a pointer like this into memory of either kind."""
    assert isinstance(op.type, Ptr)
    return Ptr("mem", op.type.nullable)


def known(value: Value) -> int | None:
    """The integer that a value is for certain; None if it can be several or is none."""
    match value:
        case Const(int() as number):
            return number
        case IntValue(op=op, low=low, high=high) if op.is_const and low == high:
            return low
    return None


def exact(value: IntValue) -> IntValue:
    """The value with the range of its constant, if its op has been folded to one."""
    if not value.op.is_const or value.low == value.high:
        return value
    number = value.op.value if value.low < 0 else value.op.value & U64
    return replace(value, low=number, high=number)


def with_article(noun: str) -> str:
    """A noun with its article: "a `u8`", "an `array(u32, 4)`", "an XdpContext"."""
    word = noun.strip("`")
    said_with_a_vowel = word[:1].lower() in "aeio" or (word[:1] in "Xs" and not word[1:2].islower()) or word.startswith("Xdp")
    return f"{'an' if said_with_a_vowel or word.lower().startswith(('un', 'up')) else 'a'} {noun}"


def named(type: Type) -> str:
    """A type with its article: "a `u8`"."""
    return with_article(f"`{type}`")


def count(n: int, noun: str) -> str:
    """ "1 argument", "2 arguments"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def describe(value: Value) -> str:
    """What a value is, for messages."""
    match value:
        case Const(None):
            return "None"
        case Const(bool() as v):
            return f"the constant {v}"
        case Const(int() as v):
            return f"the constant {v}"
        case Const(str() as v):
            return f"the text {v!r}"
        case Const(bytes() as v):
            return f"the bytes {v!r}"
        case Const(type() as v):
            return f"the class `{v.__name__}`"
        case Const(v):
            return f"`{getattr(v, '__name__', type(v).__name__)}`" if callable(v) else with_article(type(v).__name__)
        case IntValue(boolean=True):
            return "a bool"
        case IntValue(op=op, low=low, high=high):
            return f"the integer {low}" if op.is_const and low == high else "an integer"
        case Ref(type=t):
            return named(t)
        case MaybeRef(ref=r):
            return f"{named(r.type)} or None"
        case MaybeInt():
            return "an integer or None"
        case ListValue():
            return "a list"
        case TupleValue():
            return "a tuple"
        case Context():
            return "the context"
        case Packet():
            return "the packet"
        case KernelRef(name=n):
            return f"the kernel's `{n}`"
        case Bound(name=n):
            return f"the method `{n}`"
        case Fill(type=t):
            return named(t)
        case Dynptr():
            return "a dynptr"
        case LocalFunction(node=node):
            return f"the function `{node.name}`"
        case Unset(name=n):
            return f"`{n}`, which may be unset"
        case Conflict(first=a, second=b):
            return f"{a} on one way and {b} on another"
    return type(value).__name__


def alignment_of(op: Op, start: int = 0) -> int:
    """Of a pointer to the stack: of its variable, less by the steps of an index; `start` when it is not known."""
    if op.kind == "alloca":
        return int(op.imm[1])
    if op.kind == "guard":
        return alignment_of(op.args[0], start)
    if op.kind != "add":
        return start
    step = op.args[1]
    factor = step.args[1].value if step.kind == "mul" and step.args[1].is_const else step.value if step.is_const else 1
    return min(alignment_of(op.args[0], start), factor & -factor)


def base_alignment(ref: Ref) -> int:
    """What the pointer of a place in the function's own memory is a multiple of; 0: as its type wants."""
    return alignment_of(ref.op, ref.aligned) if ref.region in ("stack", EITHER) else 0


WHERE = {
    "stack": "of this function's own",
    "map_value": "in a map",
    "packet": "in the packet",
    "ctx": "in the context",
    "mem": "in a ring",
    "socket": "of a socket",
    "object": "of an object",
    "borrowed": "of an object in a list or tree",
    EITHER: "in a map or this function's own",
}


def text_size(value: Value) -> int | None:
    """The bytes that a text takes with its NUL; None if it is none."""
    match value:
        case Const(str() as text) if "\0" not in text:
            return len(text.encode("utf-8", "surrogateescape")) + 1
        case Ref(type=CharsType() as type) | Fill(type=CharsType() as type):
            return type.size
    return None


def conflict(name: str, a: Value, b: Value) -> Conflict:
    """Two values that no one name can stand for."""
    if isinstance(a, IntValue) and isinstance(b, IntValue):
        low, high = min(a.low, b.low), max(a.high, b.high)
        second = f"one down to {low}, which no 64 bits hold together"
        return Conflict(name, f"an integer up to {high}", second, "cast both to one type: `s64(...)` or `u64(...)`")
    x, y = (value.ref if isinstance(value, MaybeRef) else value for value in (a, b))
    sizes = [text_size(value) for value in (a, b)]
    if all(sizes):
        longest = max(size for size in sizes if size)
        return Conflict(name, describe(a), describe(b), f"start with a text that is long enough: `bpf.chars({longest})`")
    if NONE in (a, b) and any(sizes):
        return Conflict(name, describe(a), describe(b), 'an empty text stands for none: `""`')
    if isinstance(a, TupleValue) and isinstance(b, TupleValue):
        return Conflict(name, *_unlike(a, b))
    if not isinstance(x, Ref) or not isinstance(y, Ref) or x.type != y.type:
        return Conflict(name, describe(a), describe(b))
    hint = "read what you need into variables on each way: integers and texts can come from anywhere"
    if x.region == y.region:
        return Conflict(name, describe(a), f"{named(y.type)} elsewhere {WHERE[y.region]}", hint)
    return Conflict(name, f"{named(x.type)} {WHERE[x.region]}", f"{named(y.type)} {WHERE[y.region]}", hint)


def _unlike(a: TupleValue, b: TupleValue) -> tuple[str, str]:
    """Two tuples by what is different about them."""
    if len(a.items) != len(b.items):
        return f"a tuple of {len(a.items)}", f"one of {len(b.items)}"
    pairs = ((describe(x), describe(y)) for x, y in zip(a.items, b.items, strict=True) if not isinstance(x, IntValue))
    first, second = next(((x, y) for x, y in pairs if x != y), ("other things", "these"))
    return f"a tuple with {first}", f"one with {second}"


def parts(value: Value) -> list[Op]:
    """The ops a value is made of."""
    match value:
        case IntValue(op=op) | Ref(op=op) | MaybeRef(op=op) | Context(op=op) | Dynptr(op=op) | KernelRef(op=op):
            return [op]
        case MaybeInt(present=present, inner=inner):
            return [present, inner.op]
        case TupleValue(items=items):
            return [op for item in items for op in parts(item)]
        case Packet(context=context):
            return [context.op]
    return []


def rebuilt(value: Value, ops: list[Op]) -> Value:
    """The same value made of other ops (consumed from the front of `ops`)."""
    match value:
        case IntValue() | Context() | Dynptr() | KernelRef():
            return replace(value, op=ops.pop(0))
        case Ref():
            return replace(value, op=ops.pop(0), aligned=base_alignment(value))
        case MaybeRef():
            op = ops.pop(0)
            return replace(value, op=op, ref=replace(value.ref, op=op, aligned=base_alignment(value.ref)))
        case MaybeInt():
            present = ops.pop(0)
            return replace(value, present=present, inner=replace(value.inner, op=ops.pop(0)))
        case TupleValue():
            return TupleValue(tuple(rebuilt(item, ops) for item in value.items))
        case Packet():
            return Packet(Context(ops.pop(0)))
    return value
