"""Whether two objects mean the same by a name: functions' prototypes, variables' types, maps' definitions, told by BTF.

What C takes for one type is one here: typedefs are what they stand for, qualifiers and the names of parameters do not count,
and behind a pointer a struct is known by its name. Integers are compared by size, so `int` and `unsigned int` agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from purebpf.btf.c_header import c_type
from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    Array,
    Composite,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Ptr,
    Struct,
    Type,
    Union,
    Var,
    Void,
)
from purebpf.data import data
from purebpf.errors import Error

MAPS = ".maps"
NUMBERS = ("type", "max_entries", "map_flags", "key_size", "value_size", "numa_node", "pinning", "map_extra")
DEEPEST = 64  # types in types


@data
class Side:
    """A function or variable, by its number in the BTF of an object of that name."""

    name: str
    btf: Btf
    number: int


def disagreement(left: Side, right: Side, is_map: bool) -> str:
    """Why the two are not the same, in words; "" if they are."""
    one, two = left.btf.type(left.number), right.btf.type(right.number)
    assert isinstance(one, Func | Var) and isinstance(two, Func | Var)
    comparison = _Comparison(left, right)
    if one.kind != two.kind:
        return comparison.told(_words(one), _words(two))
    if is_map:
        return next(comparison.maps(one.type, two.type), "")
    why = comparison.types(one.type, two.type)
    if not why:
        return ""
    return f"{comparison.told(_declared(left), _declared(right))} ({why})"


def _declared(side: Side) -> str:
    """The declaration in C."""
    found = side.btf.type(side.number)
    assert isinstance(found, Func | Var)
    try:
        return f"`{' '.join(c_type(side.btf, found.type, found.name).split())}`"
    except Error:
        return _words(found)


class _Comparison:
    def __init__(self, left: Side, right: Side) -> None:
        self.names = left.name, right.name
        self.left, self.right = left.btf, right.btf
        self.seen: set[tuple[int, int, bool]] = set()

    def told(self, here: object, there: object) -> str:
        return f"{here} in {self.names[0]}, {there} in {self.names[1]}"

    def types(self, number: int, other: int, whole: bool = True, depth: int = 0) -> str:
        """Why two types differ, or "". What is not looked at as a `whole` stands behind a pointer."""
        number, other = self.left.resolve(number), self.right.resolve(other)
        if (number, other, whole) in self.seen:
            return ""
        self.seen.add((number, other, whole))
        if depth > DEEPEST:
            return f"there are more than {DEEPEST} types inside of each other"
        one, two = self.left.type(number), self.right.type(other)
        if not whole and isinstance(one, Composite | Fwd) and isinstance(two, Composite | Fwd):
            return "" if _tag(one) == _tag(two) else self.told(_words(one), _words(two))
        if one.kind != two.kind:
            return self.told(_words(one), _words(two))
        if isinstance(one, Int | Float | Enum | Enum64):
            same = one.size == getattr(two, "size", 0) and (isinstance(one, Int | Float) or _tag(one) == _tag(two))
            return "" if same else self.told(_words(one), _words(two))
        if isinstance(one, Ptr) and isinstance(two, Ptr):
            return self.types(one.type, two.type, False, depth + 1)
        if isinstance(one, Array) and isinstance(two, Array):
            if one.length != two.length and one.length and two.length:
                return self.told(f"{one.length} elements", f"{two.length} elements")
            return self.types(one.type, two.type, whole, depth + 1)
        if isinstance(one, FuncProto) and isinstance(two, FuncProto):
            return self.prototypes(one, two, depth)
        if isinstance(one, Composite) and isinstance(two, Composite):
            return self.composites(one, two, depth)
        if isinstance(one, Fwd | Void):
            return "" if _tag(one) == _tag(two) else self.told(_words(one), _words(two))
        return f"a {one.kind.name.lower()} is no type that a value has"

    def prototypes(self, one: FuncProto, two: FuncProto, depth: int) -> str:
        counts = len(one.parameters), len(two.parameters)
        if counts[0] != counts[1]:
            return self.told(*(f"{count} parameter{'s' * (count != 1)}" for count in counts))
        for at, (here, there) in enumerate(zip(one.parameters, two.parameters, strict=True), 1):
            if why := self.types(here.type, there.type, True, depth + 1):
                return f"parameter {at}: {why}"
        why = self.types(one.returns, two.returns, True, depth + 1)
        return f"what it returns: {why}" if why else ""

    def composites(self, one: Composite, two: Composite, depth: int) -> str:
        if _tag(one) != _tag(two) or one.size != two.size:
            return self.told(f"{_words(one)} of {one.size} bytes", f"{_words(two)} of {two.size} bytes")
        for here, there in zip_longest(one.members, two.members):
            if here is None or there is None or here.name != there.name:
                told = (f"member {each.name!r}" if each else "no member" for each in (here, there))
                return f"{_words(one)}: {self.told(*told)}"
            where = f"member {here.name!r} of {_words(one)}"
            if (here.bit_offset, here.bit_size) != (there.bit_offset, there.bit_size):
                bits = (f"at bit {each.bit_offset}{f', {each.bit_size} wide' * bool(each.bit_size)}" for each in (here, there))
                return f"{where}: {self.told(*bits)}"
            if why := self.types(here.type, there.type, True, depth + 1):
                return f"{where}: {why}"
        return ""

    def maps(self, number: int, other: int, inner: str = "") -> Iterator[str]:
        """How two definitions of a map differ, attribute by attribute."""
        here, there = _attributes(self.left, number), _attributes(self.right, other)
        if here is None or there is None:
            yield self.types(number, other)
            return
        for name in NUMBERS:
            one, two = _number(self.left, here.pop(name, 0)), _number(self.right, there.pop(name, 0))
            if one != two:
                yield f"{inner}{name} is {self.told(one, two)}"
        for name in dict.fromkeys([*here, *there]):
            if name not in here or name not in there:
                yield f"{inner}{name} is told only in {self.names[name in there]}"
            elif name == "values":
                yield from self.values(here[name], there[name])
            elif why := self.types(_behind(self.left, here[name]), _behind(self.right, there[name])):
                yield f"{inner}{name}: {why}"

    def values(self, number: int, other: int) -> Iterator[str]:
        """What the maps hold: maps, which are compared as such, or programs."""
        one, two = (_element(btf, each) for btf, each in ((self.left, number), (self.right, other)))
        if (one, two, True) in self.seen:
            return
        if isinstance(self.left.type(one), Struct) and isinstance(self.right.type(two), Struct):
            self.seen.add((one, two, True))
            yield from self.maps(one, two, "the inner map's ")
        elif why := self.types(one, two):
            yield f"values: {why}"


def _attributes(btf: Btf, number: int) -> dict[str, int] | None:
    """The members of a definition by name, with their types; None for what is no definition."""
    found = btf.type(btf.resolve(number))
    return {member.name: member.type for member in found.members} if isinstance(found, Struct) else None


def _number(btf: Btf, number: int) -> int:
    """What an attribute says: `__uint` is a pointer to an array of that length, `__ulong` an enum with that one value."""
    found = btf.type(btf.resolve(number))
    if isinstance(found, Enum | Enum64) and found.values:
        return found.values[0][1]
    target = btf.type(btf.resolve(found.type)) if isinstance(found, Ptr) else found
    return target.length if isinstance(target, Array) else 0


def _behind(btf: Btf, number: int) -> int:
    found = btf.type(btf.resolve(number))
    return found.type if isinstance(found, Ptr) else number


def _element(btf: Btf, number: int) -> int:
    """What the elements of an array of pointers point to."""
    found = btf.type(btf.resolve(number))
    return btf.resolve(_behind(btf, found.type if isinstance(found, Array) else number))


def _tag(type: Type) -> tuple[bool, str]:
    return isinstance(type, Union) or (isinstance(type, Fwd) and type.union), getattr(type, "name", "")


def _words(type: Type) -> str:
    """A type in short."""
    match type:
        case Void():
            return "void"
        case Int() | Float():
            return f"{type.name} of {type.size} bytes"
        case Ptr():
            return "a pointer"
        case Array():
            return "an array"
        case FuncProto() | Func():
            return "a function"
        case Var():
            return "a variable"
        case Fwd():
            return f"{'union' if type.union else 'struct'} {type.name}"
    return f"{type.kind.name.lower()} {getattr(type, 'name', '') or 'without a name'}"
