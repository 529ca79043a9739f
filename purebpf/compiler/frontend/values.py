"""What an expression can be while a program is compiled.

Run-time values are made of IR ops; everything Python can know now is a `Const`. `parts` and `rebuilt` take a value apart into
ops and put it together again, which is how values pass through the parameters of blocks.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from purebpf.compiler.ir.ops import Op
from purebpf.data import data, replace
from purebpf.lang.types import Type

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
    """A place in memory: `op` + `offset` holds a `type`. `region` is where: stack, map_value, packet, ctx, mem.
    `shared` says that others may write it at the same time; `generation` which packet layout it belongs to."""

    op: Op
    offset: int
    type: Type
    region: str
    shared: bool = False
    generation: int = 0
    writable: bool = True
    owner: object = None  # the declaration of the map, of a map's value


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
    """Bytes of run-time size that were reserved in a ring; `op` is the stack memory that stands for them."""

    op: Op


@data
class LocalFunction(Value):
    """A function defined inside the program, for the kernel to call back."""

    node: ast.FunctionDef


@data
class Fill(Value):
    """Something that a helper writes into memory, such as `bpf.current.comm`: `write(destination)` does it in place.
    `leaves` says that it may leave bytes behind a text's NUL as they were."""

    type: Type
    write: Callable[[Ref], None]
    leaves: bool = False


@data
class Unset(Value):
    """A name that has no value on some way that leads here."""

    name: str


@data
class Conflict(Value):
    """A name that has different kinds of values on the ways that lead here."""

    name: str
    first: str
    second: str


NONE = Const(None)


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
        case Bound(name=n):
            return f"the method `{n}`"
        case Fill(type=t):
            return named(t)
        case Dynptr():
            return "reserved bytes"
        case LocalFunction(node=node):
            return f"the function `{node.name}`"
        case Unset(name=n):
            return f"`{n}`, which may be unset"
        case Conflict(first=a, second=b):
            return f"{a} on one way and {b} on another"
    return type(value).__name__


def parts(value: Value) -> list[Op]:
    """The ops a value is made of."""
    match value:
        case IntValue(op=op) | Ref(op=op) | MaybeRef(op=op) | Context(op=op) | Dynptr(op=op):
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
        case IntValue() | Context() | Dynptr():
            return replace(value, op=ops.pop(0))
        case Ref():
            return replace(value, op=ops.pop(0))
        case MaybeRef():
            op = ops.pop(0)
            return replace(value, op=op, ref=replace(value.ref, op=op))
        case MaybeInt():
            present = ops.pop(0)
            return replace(value, present=present, inner=replace(value.inner, op=ops.pop(0)))
        case TupleValue():
            return TupleValue(tuple(rebuilt(item, ops) for item in value.items))
        case Packet():
            return Packet(Context(ops.pop(0)))
    return value
