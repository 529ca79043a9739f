"""The types that CO-RE relocations need, cut down to the members they name.

A kernel struct has hundreds of members and refers to thousands of types; a relocation compares names and kinds along one way.
So a struct keeps the members that some access names, at their places, and a pointer points to nothing:

    struct sock { ...; struct sock_common { ...; __be16 skc_dport; ... } __sk_common; ...; }     access 0:0:3:0
    struct sock { struct sock_common { __be16 skc_dport; } __sk_common; }                        access 0:0:0:0
"""

from __future__ import annotations

from collections.abc import Callable

from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, Enum, Enum64, Float, Int, Member, Ptr, Struct, Type, Typedef, Union

Access = tuple[int, ...]
"""From a root type: an index into an array of it, then members and indexes."""


class Trimmer:
    """First all accesses are noted, then types and accesses are asked for."""

    def __init__(self, btf: Btf, add: Callable[[Type], int]) -> None:
        """`add` gives a type the number it has among those of the program."""
        self.btf = btf
        self.add = add
        self.members: dict[int, dict[int, None]] = {}  # by struct: indexes of members, those beyond its own are `missing`
        self.values: dict[int, dict[int, None]] = {}  # by enum: indexes of enumerators
        self.missing: dict[int, list[str]] = {}
        self.made: dict[int, int] = {}

    def note(self, root: int, access: Access) -> None:
        """Keep what an access names."""
        here = self.btf.resolve(root)
        for index in access[1:]:
            here = self._step(here, index, keep=True)

    def note_enumerator(self, enum: int, index: int) -> None:
        self.values.setdefault(self.btf.resolve(enum), {})[index] = None

    def note_missing(self, struct: int, name: str) -> int:
        """Keep a member of this name that the struct does not have; gives the index by which an access names it."""
        here = self.btf.resolve(struct)
        found = self.btf.type(here)
        assert isinstance(found, Struct | Union)
        names = self.missing.setdefault(here, [])
        if name not in names:
            names.append(name)
        index = len(found.members) + names.index(name)
        self.members.setdefault(here, {})[index] = None
        return index

    def _step(self, here: int, index: int, keep: bool = False) -> int:
        """The type that one step of an access leads to."""
        found = self.btf.type(here)
        if isinstance(found, Array):
            return self.btf.resolve(found.type)
        assert isinstance(found, Struct | Union)
        if keep:
            self.members.setdefault(here, {})[index] = None
        return self.btf.resolve(found.members[index].type) if index < len(found.members) else 0

    def access(self, root: int, access: Access) -> str:
        """The access as the trimmed types have it, in the notation of BTF.ext."""
        here, path = self.btf.resolve(root), [access[0]]
        for index in access[1:]:
            kept = sorted(self.members.get(here, ()))
            path.append(kept.index(index) if here in self.members else index)
            here = self._step(here, index)
        return ":".join(map(str, path))

    def enumerator(self, enum: int, index: int) -> str:
        return str(sorted(self.values[self.btf.resolve(enum)]).index(index))

    def root(self, type: int) -> int:
        """The number of a trimmed root: a struct without a name is known by its typedef."""
        here, found = self.btf.resolve(type), self.btf.type(type)
        if isinstance(found, Typedef) and not self.btf.name(here):
            return self.add(Typedef(found.name, self.number(here)))
        return self.number(here)

    def number(self, type: int) -> int:
        """The number of a trimmed type."""
        here = self.btf.resolve(type)
        if here not in self.made:
            self.made[here] = self._trimmed(here)
        return self.made[here]

    def _trimmed(self, here: int) -> int:
        found = self.btf.type(here)
        match found:
            case Struct() | Union():
                kept = sorted(self.members.get(here, ()))
                members = tuple(self._member(here, found, index) for index in kept)
                return self.add(type(found)(found.name, found.size, members))
            case Array():
                return self.add(Array(self.number(found.type), self._plain_int(), found.length))
            case Enum() | Enum64():
                values = tuple(found.values[index] for index in sorted(self.values.get(here, ())))
                return self.add(type(found)(found.name, found.size, found.signed, values))
            case Int() | Float():
                return self.add(found)
            case Ptr():
                return self.add(Ptr(0))
        return 0

    def _member(self, struct: int, found: Struct | Union, index: int) -> Member:
        if index >= len(found.members):
            return Member(self.missing[struct][index - len(found.members)], self._plain_int(), 0)
        member = found.members[index]
        return Member(member.name, self.number(member.type), member.bit_offset, member.bit_size)

    def _plain_int(self) -> int:
        return self.add(Int("int", 4, 32, signed=True))
