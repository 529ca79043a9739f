"""The part of a BTF that some types need, as BTF of its own: what a program ships for kernels that offer none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.core import types_like
from purebpf.btf.errors import BtfError
from purebpf.btf.graph import references, renumbered
from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    Array,
    Composite,
    DataSec,
    DeclTag,
    FuncProto,
    Fwd,
    Kind,
    Ptr,
    Struct,
    Type,
    Union,
    Var,
)
from purebpf.data import replace

Members = Mapping[int, Collection[str]]
NAMED = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF, Kind.FUNC, Kind.VAR)


def minimal(
    btf: Btf, types: Iterable[int], *, members: Members | None = None, pointers: bool = False
) -> tuple[bytes, dict[int, int]]:
    """BTF with these types and what they need, and their numbers in it: (bytes, old number -> new number).

    A struct or union that is needed only behind a pointer is declared and not defined, unless `pointers` asks for it. `members`
    gives, by number of a struct or union, the only members to keep; anonymous ones stay where they lead to one of them. Raises
    BtfError for a name there.
    """
    for number in members or ():
        if not isinstance(number, int):
            raise BtfError(f"members are given by the number of their struct, `btf.find({number!r})`, not by its name")
    kept = _Needed(btf, members or {}, pointers)
    for number in types:
        kept.need(number)
    numbers = {old: new for new, old in enumerate(sorted(kept.complete), 1)}
    builder = BtfBuilder(btf.byteorder)
    for old in numbers:
        builder.define(builder.reserve(), renumbered(kept.shape(old), lambda number: numbers.get(number, 0)))
    for tag in _tags(btf, kept, numbers):
        builder.add(tag)
    return builder.encode(), numbers


def minimal_for(btf: Btf, program: Btf) -> tuple[bytes, dict[int, int]]:
    """The part of a kernel's BTF that a program's types speak of: the types of the same names, in any flavour.

    Structs and unions have only the members that the program knows."""
    roots: list[int] = []
    members: dict[int, set[str]] = {}
    for number in program.numbers(*NAMED):
        type = program.type(number)
        wanted = _member_names(program, type) if isinstance(type, Composite) else set()
        for found in types_like(btf, program.name(number), type.kind):
            roots.append(found)
            members.setdefault(found, set()).update(wanted)
    return minimal(btf, roots, members=members)


def _member_names(btf: Btf, composite: Composite) -> set[str]:
    """The names of all members, those of anonymous ones among them."""
    names: set[str] = set()
    waiting, seen = [composite], set[int]()
    while waiting:
        for member in waiting.pop().members:
            inner = btf.resolve(member.type)
            names.add(member.name)
            found = btf.type(inner)
            if not member.name and isinstance(found, Composite) and inner not in seen:
                seen.add(inner)
                waiting.append(found)
    return names - {""}


class _Needed:
    """Which types are needed, and whether with their members (`complete`: number -> that)."""

    def __init__(self, btf: Btf, members: Members, pointers: bool) -> None:
        self.btf, self.members, self.pointers = btf, members, pointers
        self.complete: dict[int, bool] = {}

    def need(self, number: int) -> None:
        waiting = [(number, True)]
        while waiting:
            number, complete = waiting.pop()
            if number and (number not in self.complete or (complete and not self.complete[number])):
                self.complete[number] = complete
                waiting += self._next(self.btf.type(number), number, complete)

    def _next(self, type: Type, number: int, complete: bool) -> Iterator[tuple[int, bool]]:
        match type:
            case Struct() | Union():
                if self._defined(type, complete):
                    yield from ((inner, True) for inner in references(self._with(type, number)))
            case Ptr() | FuncProto():
                yield from ((inner, self.pointers) for inner in references(type))
            case Array() | Var() | DataSec():
                yield from ((inner, True) for inner in references(type))
            case _:
                yield from ((inner, complete) for inner in references(type))

    @staticmethod
    def _defined(type: Composite, complete: bool) -> bool:
        return complete or not type.name

    def _with(self, type: Composite, number: int) -> Composite:
        """The struct with the members that are wanted."""
        wanted = self.members.get(number)
        if wanted is None:
            return type
        return replace(type, members=tuple(m for m in type.members if self._leads_to(m.name, m.type, wanted)))

    def _leads_to(self, name: str, number: int, wanted: Collection[str]) -> bool:
        if name:
            return name in wanted
        found = self.btf.type(self.btf.resolve(number))
        return isinstance(found, Composite) and not _member_names(self.btf, found).isdisjoint(wanted)

    def shape(self, number: int) -> Type:
        """What a needed type looks like in the result."""
        type = self.btf.type(number)
        if not isinstance(type, Composite):
            return type
        if not self._defined(type, self.complete[number]):
            return Fwd(type.name, isinstance(type, Union))
        return self._with(type, number)


def _tags(btf: Btf, kept: _Needed, numbers: Mapping[int, int]) -> Iterator[DeclTag]:
    """The declaration tags on what is kept whole."""
    for number in btf.numbers(Kind.DECL_TAG):
        tag = btf.type(number)
        assert isinstance(tag, DeclTag)
        if tag.type in numbers and (tag.component < 0 or kept.shape(tag.type) == btf.type(tag.type)):
            yield replace(tag, type=numbers[tag.type])
