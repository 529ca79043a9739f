"""Whether two types are the same, in one BTF or in two, and if not, where they differ, in words.

Types are followed to the end, circles included. Behind a pointer a struct that one side only declares is taken for the other
side's of that name.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from purebpf.btf.errors import BtfError
from purebpf.btf.graph import references
from purebpf.btf.reader import Btf
from purebpf.btf.types import AnyEnum, Array, Composite, DataSec, Enum, Enum64, Func, FuncProto, Fwd, Kind, Struct, Type, Union
from purebpf.data import data

MOST_PAIRS = 1 << 20
NAMESAKES = 8  # of several types with one name so many are tried with each of the other side's
NAMED = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF, Kind.FUNC, Kind.VAR, Kind.INT, Kind.FLOAT)


@data
class Difference:
    """`path` leads from the type that was compared to the place, by names of members; `what` says what is different there."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def same(left: Btf, number: int, right: Btf, other: int) -> bool:
    """Whether two types are equal, with all that they refer to."""
    return next(differences(left, number, right, other), None) is None


def differences(left: Btf, number: int, right: Btf, other: int) -> Iterator[Difference]:
    """Where two types differ; what lies behind a difference is not compared. Each pair of types is looked at once."""
    start = left.name(number) or right.name(other) or f"type {number}"
    waiting, seen = [(number, other, start)], {(number, other)}
    while waiting:
        first, second, path = waiting.pop()
        a, b = left.type(first), right.type(second)
        if _declared(a, b):
            continue
        found = list(_here(a, b))
        yield from (Difference(path, what) for what in found)
        if found:
            continue
        for step, x, y in zip(_steps(a), references(a), references(b), strict=True):
            if (x, y) not in seen:
                seen.add((x, y))
                waiting.append((x, y, path + step))
        _bounded(left, right, seen)


def _bounded(left: Btf, right: Btf, seen: set[tuple[int, int]]) -> None:
    if len(seen) > MOST_PAIRS:
        raise BtfError(f"{left.origin} and {right.origin}: there are more than {MOST_PAIRS} pairs of types to compare")


def compare(left: Btf, right: Btf) -> Iterator[Difference]:
    """What is different between two BTFs by name: types that only one has, and named types that are no longer the same."""
    for kind in NAMED:
        ours, theirs = _names(left, kind), _names(right, kind)
        for name in sorted(ours.keys() | theirs.keys()):
            path = f"{kind.name.lower()} {name}"
            if name not in theirs or name not in ours:
                yield Difference(path, f"only in {(right if name in theirs else left).origin}")
            elif not any(_alike(left, x, right, y) for x in ours[name][:NAMESAKES] for y in theirs[name][:NAMESAKES]):
                found = _own(left, ours[name][0], right, theirs[name][0])
                yield from (Difference(f"{kind.name.lower()} {each.path}", each.what) for each in found)


def _names(btf: Btf, kind: Kind) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number in btf.numbers(kind):
        found.setdefault(btf.name(number), []).append(number)
    found.pop("", None)
    return found


def _alike(left: Btf, number: int, right: Btf, other: int) -> bool:
    return next(_own(left, number, right, other), None) is None


def _own(left: Btf, number: int, right: Btf, other: int) -> Iterator[Difference]:
    """The differences of two types themselves: what they refer to by name is compared under its own name."""
    waiting, seen = [(number, other, left.name(number))], {(number, other)}
    while waiting:
        first, second, path = waiting.pop()
        a, b = left.type(first), right.type(second)
        if _declared(a, b) or (first != number and a.kind == b.kind and _name(a) and _name(a) == _name(b)):
            continue
        found = list(_here(a, b))
        yield from (Difference(path, what) for what in found)
        if not found:
            pairs = zip(_steps(a), references(a), references(b), strict=True)
            fresh = [(x, y, path + step) for step, x, y in pairs if (x, y) not in seen]
            seen |= {(x, y) for x, y, _ in fresh}
            _bounded(left, right, seen)
            waiting += fresh


def _name(type: Type) -> str:
    return getattr(type, "name", "")


def _declared(a: Type, b: Type) -> bool:
    """Whether one is only declared, and may be the other."""
    for fwd, whole in ((a, b), (b, a)):
        if isinstance(fwd, Fwd) and isinstance(whole, Composite):
            return fwd.name == whole.name and fwd.union == isinstance(whole, Union)
    return False


def _here(a: Type, b: Type) -> Iterator[str]:
    """What is different about two types themselves."""
    if a.kind != b.kind:
        yield f"{_words(a)} here, {_words(b)} there"
        return
    if isinstance(a, Struct | Union) and isinstance(b, Struct | Union):
        yield from _composites(a, b)
    elif isinstance(a, Enum | Enum64) and isinstance(b, Enum | Enum64):
        yield from _enums(a, b)
    elif len(references(a)) != len(references(b)):
        yield f"{len(references(a))} references here, {len(references(b))} there"
    else:
        yield from _fields(a, b, ("type", "index", "returns", "parameters", "variables"))
        if isinstance(a, FuncProto) and isinstance(b, FuncProto):
            for x, y in zip(a.parameters, b.parameters, strict=True):
                if x.name != y.name:
                    yield f"a parameter is called {x.name!r} here, {y.name!r} there"
        if isinstance(a, DataSec) and isinstance(b, DataSec):
            for one, two in zip(a.variables, b.variables, strict=True):
                if (one.offset, one.size) != (two.offset, two.size):
                    yield f"a variable is {one.size} bytes at {one.offset} here, {two.size} bytes at {two.offset} there"


def _fields(a: Type, b: Type, without: tuple[str, ...]) -> Iterator[str]:
    for name in a.__match_args__:
        mine, others = getattr(a, name), getattr(b, name)
        if name not in without and mine != others:
            yield f"{name} is {mine!r} here, {others!r} there"


def _composites(a: Composite, b: Composite) -> Iterator[str]:
    yield from _fields(a, b, ("members",))
    for x, y in zip_longest(a.members, b.members):
        if x is None or y is None or x.name != y.name:
            here, there = (f"member {m.name!r}" if m else "no member" for m in (x, y))
            yield f"{here} here, {there} there"
            return
        if (x.bit_offset, x.bit_size) != (y.bit_offset, y.bit_size):
            yield f"member {x.name!r} is {_place(x.bit_offset, x.bit_size)} here, {_place(y.bit_offset, y.bit_size)} there"


def _place(offset: int, bits: int) -> str:
    where = f"at byte {offset // 8}" if offset % 8 == 0 and not bits else f"at bit {offset}"
    return f"{where}, {bits} bits wide" if bits else where


def _enums(a: AnyEnum, b: AnyEnum) -> Iterator[str]:
    yield from _fields(a, b, ("values",))
    mine, others = dict(a.values), dict(b.values)
    for name in [*mine, *(name for name in others if name not in mine)]:
        if mine.get(name) != others.get(name):
            here, there = (f"{name} is {values[name]}" if name in values else f"no {name}" for values in (mine, others))
            yield f"{here} here, {there} there"
    if mine == others and a.values != b.values:
        yield "the values are in another order"


def _steps(type: Type) -> tuple[str, ...]:
    """What each reference of a type adds to a path."""
    if isinstance(type, Composite):
        return tuple(f".{member.name or '(anonymous)'}" for member in type.members)
    if isinstance(type, FuncProto):
        return ("()", *(f"({parameter.name or index})" for index, parameter in enumerate(type.parameters)))
    if isinstance(type, Array):
        return ("[]", "[] (index)")
    if isinstance(type, Func):
        return ("",)
    return ("*" if type.kind == Kind.PTR else "",) * len(references(type))


def _words(type: Type) -> str:
    return f"{type.kind.name.lower()} {_name(type)}".strip()
