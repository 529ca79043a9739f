"""Rules that make an op simpler, used while ops are made and again when passes have changed their operands.

A rule looks at one op and the few behind its operands, and gives what to put in its place: a value that is there, a constant,
or a `Make` of other ops. It gives None when it knows nothing better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from purebpf.compiler.ir.fold import evaluate, identity, swap_bytes
from purebpf.compiler.ir.ops import BOOL, I32, I64, OPS, Flag, Op, Ptr, Type
from purebpf.compiler.ir.ranges import highest
from purebpf.data import data


@data
class Make:
    """An op to be made; its arguments may be numbers and further ops to be made."""

    kind: str
    type: Type
    args: tuple[Any, ...]
    imm: tuple[Any, ...] = ()


Result = Op | int | Make | None
SHIFTS = ("shl", "lshr", "ashr")


def rewrite(kind: str, type: Type, args: list[Op], imm: tuple[Any, ...], big_endian: bool, told: bool = False) -> Result:
    """The simplest form of a pure op, or None if it is the one given. With `told` a mask stays that tells the verifier what
    only the compiler knows: once a program is lowered somebody may rely on it."""
    if args and all(a.is_const and not isinstance(a.type, Ptr) for a in args):
        value = evaluate(kind, type, [a.value for a in args], imm, big_endian)
        if value is not None:
            return value
    if len(args) == 2:
        if OPS[kind].flags & Flag.COMMUTATIVE and args[0].is_const and not isinstance(args[1].type, Ptr):
            args = [args[1], args[0]]
        if args[0] is args[1]:
            return _twice(kind, type, args[0])
        if kind in SHIFTS and args[0].is_const and not args[0].value:
            return 0
        if args[1].is_const and args[1].type != BOOL and not isinstance(args[1].type, Ptr):
            found = _with_constant(kind, type, args[0], args[1].value, big_endian, told)
            if found is not None:
                return found
    rule = RULES.get(kind)
    return rule(type, args, imm, big_endian) if rule is not None else None


def _twice(kind: str, type: Type, x: Op) -> Result:
    """The same value on both sides."""
    if isinstance(x.type, Ptr):
        return int(kind in ("eq", "ule", "sle")) if type == BOOL else None
    if kind in ("sub", "xor", "ne", "ult", "slt"):
        return 0
    if kind in ("eq", "ule", "sle"):
        return 1
    if kind in ("and", "or") and (type == I64 or x.type == I32):
        return x
    return None


def _with_constant(kind: str, type: Type, x: Op, c: int, big_endian: bool, told: bool) -> Result:
    """A constant on the right."""
    same = identity(kind, type if x.type != I32 else I64, c)
    if same == "x" and type != BOOL:
        return x
    if same == "0":
        return 0
    if kind == "add" and x.kind == "add" and x.args[1].is_const and (type == x.type or isinstance(type, Ptr)):
        return Make("add", type, (x.args[0], x.args[1].value + c))
    if kind == "and" and x.kind == "and" and x.args[1].is_const and type == x.type:
        return Make("and", type, (x.args[0], x.args[1].value & c))
    if kind == "or" and x.kind == "or" and x.args[1].is_const and type == x.type:
        return Make("or", type, (x.args[0], x.args[1].value | c))
    if kind == "and" and x.kind == "or" and x.args[1].is_const and type == x.type:
        found = _and_or(type, x, c)
        if found is not None:
            return found
    whole = kind == "and" and c >= 0 and c & (c + 1) == 0 and (type == I64 or x.type in (I32, BOOL))
    if whole and highest(x, told=told) <= c:
        return x
    flipped = x.args[1].value if x.kind == "xor" and x.args[1].is_const else 0
    if kind == "and" and type == I32 and c >= 0 and flipped & c == c != flipped:  # ~x & mask: flip the bits that stay
        return Make("xor", I32, (Make("and", I32, (x.args[0], c)), c))
    if kind in ("eq", "ne"):
        found = _unshifted(kind, x, c)
        return _unswapped(kind, x, c) if found is None and not big_endian else found
    return None


def _and_or(type: Type, x: Op, c: int) -> Result:
    """`(y | set) & c`, where nothing of `set` is left, or y is masked too."""
    y, bits = x.args[0], x.args[1].value
    if bits & c == 0:
        return Make("and", type, (y, c))
    if y.kind == "and" and y.args[1].is_const and y.type == type:
        return Make("or", type, (Make("and", type, (y.args[0], y.args[1].value & c)), bits & c))
    return None


def _unshifted(kind: str, x: Op, c: int) -> Result:
    """`(y >> n) & m == c`: the constants shifted instead. A jump that tests bits then needs no copy of y."""
    if x.kind != "and" or not x.args[1].is_const or x.args[0].kind != "lshr" or not x.args[0].args[1].is_const:
        return None
    shift, mask = x.args[0], x.args[1].value
    count = shift.args[1].value
    if shift.type != x.type or mask < 0 or c & ~mask or mask << count > 0x7FFF_FFFF or count > 31:
        return None
    return Make(kind, BOOL, (Make("and", x.type, (shift.args[0], mask << count)), c << count))


def _unswapped(kind: str, x: Op, c: int) -> Result:
    """`tobe(x) == c` and `tobe(x) & m == c`: the constants swapped instead, once and for all."""
    mask = None
    if x.kind == "and" and x.args[1].is_const:
        x, mask = x.args[0], x.args[1].value
    if x.kind != "tobe" or highest(x.args[0]) >= 1 << x.imm[0] or not 0 <= c < 1 << x.imm[0]:
        return None
    bits, source = x.imm[0], x.args[0]
    if mask is None:
        return Make(kind, BOOL, (source, swap_bytes(c, bits)))
    if not 0 <= mask < 1 << bits:
        return None
    width = I64 if bits == 64 else I32
    return Make(kind, BOOL, (Make("and", width, (source, swap_bytes(mask, bits))), swap_bytes(c, bits)))


def _low32(type: Type, args: list[Op], imm: tuple[Any, ...], big_endian: bool) -> Result:
    return args[0] if args[0].type in (I32, BOOL) else None


def _tobe(type: Type, args: list[Op], imm: tuple[Any, ...], big_endian: bool) -> Result:
    """Swapping twice is swapping not at all."""
    inner = args[0]
    if inner.kind != "tobe" or inner.imm != imm or highest(inner.args[0]) >= 1 << imm[0]:
        return None
    source = inner.args[0]
    return source if type == I64 or source.type in (I32, BOOL) else None


def _equality(kind: str) -> Callable[[Type, list[Op], tuple[Any, ...], bool], Result]:
    def rule(type: Type, args: list[Op], imm: tuple[Any, ...], big_endian: bool) -> Result:
        a, b = args
        if isinstance(a.type, Ptr):
            never = not a.type.nullable and b.is_const and b.value == 0
            return int(kind == "ne") if never else None
        if kind == "ne" and a.type == BOOL and b.is_const and b.value == 0:
            return a
        swapped = a.kind == b.kind == "tobe" and a.imm == b.imm
        if swapped and all(highest(x.args[0]) < 1 << x.imm[0] for x in (a, b)):
            return Make(kind, BOOL, (a.args[0], b.args[0]))
        return None

    return rule


def _guard(type: Type, args: list[Op], imm: tuple[Any, ...], big_endian: bool) -> Result:
    if args[0].is_const:
        return args[0]
    if imm[0] == "nonnull" and args[0].type == type:
        return args[0]  # the test that came with it was threaded away: the operand is a plain pointer now
    return None


RULES: dict[str, Callable[[Type, list[Op], tuple[Any, ...], bool], Result]] = {
    "low32": _low32, "tobe": _tobe, "eq": _equality("eq"), "ne": _equality("ne"), "guard": _guard,
}  # fmt: skip
