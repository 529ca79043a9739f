"""The types that CO-RE relocations need, cut down to the members they name.

A kernel struct has hundreds of members and refers to thousands of types; a relocation compares names and kinds along one way.
So a struct keeps the members that some access names, at their places, and a pointer points to nothing:

    struct sock { ...; struct sock_common { ...; __be16 skc_dport; ... } __sk_common; ...; }     access 0:0:3:0
    struct sock { struct sock_common { __be16 skc_dport; } __sk_common; }                        access 0:0:0:0
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from purebpf.btf.reader import Btf
from purebpf.btf.relocation import ANYTHING
from purebpf.btf.types import Array, Enum, Enum64, Float, Int, Member, Ptr, Struct, Type, Typedef, Union

MISSING = "?"  # before the name of a member or enumerator, or of a type, that the BTF does not have and the target may
UNKNOWN = ("struct", "union", "enum", "typedef")  # what a type may be of which a program knows the name alone
UNKNOWN = ("struct", "union", "enum", "typedef")  # what a type may be of which a program knows the name alone


class Trimmer:
    """First everything is noted that is wanted, then types and accesses are asked for. An access is the way from a root type
    in steps: an index into an array of it, then members and indexes; a member that is MISSING is the last."""

    def __init__(self, btf: Btf, add: Callable[[Type], int]) -> None:
        """`add` gives a type the number it has among those of the program."""
        self.btf = btf
        self.add = add
        self.members: dict[int, dict[str, None]] = {}  # by struct: the steps
        self.values: dict[int, dict[str, None]] = {}  # by enum: indexes of enumerators
        self.made: dict[int, int] = {}

    def note(self, root: int, access: Sequence[str]) -> None:
        """Keep what an access names."""
        here = self.btf.resolve(root)
        for step in access[1:]:
            if not isinstance(self.btf.type(here), Array):
                self.members.setdefault(here, {})[step] = None
            here = self._next(here, step)

    def note_enumerator(self, enum: int, index: str) -> None:
        self.values.setdefault(self.btf.resolve(enum), {})[index] = None

    def _next(self, here: int, step: str) -> int:
        """The type that one step of an access leads to."""
        found = self.btf.type(here)
        if isinstance(found, Array):
            return self.btf.resolve(found.type)
        assert isinstance(found, Struct | Union)
        return 0 if step.startswith(MISSING) else self.btf.resolve(found.members[int(step)].type)

    def access(self, root: int, access: Sequence[str]) -> str:
        """The access as the trimmed types have it, in the notation of BTF.ext."""
        here, path = self.btf.resolve(root), [access[0]]
        for step in access[1:]:
            path.append(str(_sorted(self.members[here]).index(step)) if here in self.members else step)
            here = self._next(here, step)
        return ":".join(path)

    def enumerator(self, enum: int, index: str) -> str:
        return str(_sorted(self.values[self.btf.resolve(enum)]).index(index))

    def unknown(self, what: str) -> int:
        """The number of a type of which nothing is known but kind and name, as in "union sigval"; kinds are UNKNOWN."""
        kind, _, name = what.partition(" ")
        match kind:
            case "struct":
                return self.add(Struct(name, 0, ()))
            case "union":
                return self.add(Union(name, 0, ()))
            case "enum":
                return self.add(Enum(name, 4, False, ()))
        return self.add(Typedef(name, self._anything()))

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
                members = tuple(self._member(found, step) for step in _sorted(self.members.get(here, ())))
                return self.add(type(found)(found.name, found.size, members))
            case Array():
                return self.add(Array(self.number(found.type), self._plain_int(), found.length))
            case Enum() | Enum64():
                values = tuple(_value(found, index) for index in _sorted(self.values.get(here, ())))
                return self.add(type(found)(found.name, found.size, found.signed, values))
            case Int() | Float():
                return self.add(found)
            case Ptr():
                return self.add(Ptr(0))
        return 0

    def _member(self, found: Struct | Union, step: str) -> Member:
        if step.startswith(MISSING):
            return Member(step.removeprefix(MISSING), self._anything(), 0)
        member = found.members[int(step)]
        return Member(member.name, self.number(member.type), member.bit_offset, member.bit_size)

    def _anything(self) -> int:
        return self.add(Typedef(ANYTHING, self._plain_int()))

    def _plain_int(self) -> int:
        return self.add(Int("int", 4, 32, signed=True))


def _value(found: Enum | Enum64, index: str) -> tuple[str, int]:
    return (index.removeprefix(MISSING), 0) if index.startswith(MISSING) else found.values[int(index)]


def _sorted(steps: Iterable[str]) -> list[str]:
    """By number; those that are MISSING, which lie at 0, before them, as the kernel wants members in order of their places."""
    return sorted(steps, key=lambda step: (not step.startswith(MISSING), len(step), step))
