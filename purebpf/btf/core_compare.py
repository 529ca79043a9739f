"""When a type of the program and one of the kernel are the same for CO-RE: three relations, from lax to strict.

A field's types must be compatible for the field to be the same one; a type exists when a compatible one is there; it matches
when all that the program knows of it is there as well. Rules as in libbpf (tools/lib/bpf/relo_core.c).
"""

from __future__ import annotations

from purebpf.btf.errors import BtfError
from purebpf.btf.names import essential_name
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import ANYTHING
from purebpf.btf.types import AnyEnum, Array, Composite, Enum, Enum64, FuncProto, Fwd, Int, Kind, Ptr, Struct, Type, Union, Void

DEEPEST = 32  # types inside of types, and pointers in a row
ENUMS = frozenset({Kind.ENUM, Kind.ENUM64})
COMPOSITES = frozenset({Kind.STRUCT, Kind.UNION})


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same but for their flavours."""
    return one == other or essential_name(one) == essential_name(other)


def same_kind(one: Kind, other: Kind) -> bool:
    """Enums of 32 and of 64 bits are one kind."""
    return one == other or (one in ENUMS and other in ENUMS)


def is_anything(local: Btf, number: int) -> bool:
    """Whether the program knows nothing of the type, but perhaps a name."""
    for _ in range(DEEPEST):
        if local.kind(number) is not Kind.TYPEDEF:
            return False
        if local.name(number) == ANYTHING:
            return True
        number = local.third_word(number)
    return False


def fields_compatible(local: Btf, one: int, target: Btf, other: int) -> bool:
    """Whether fields of these types can be the same field: pointers always, integers of any size and sign, structs and unions
    of any name, enums and declared structs of the same name or none, arrays of such elements."""
    if is_anything(local, one):
        return True
    for _ in range(DEEPEST):
        here, there = local.type(local.resolve(one)), target.type(target.resolve(other))
        if here.kind in COMPOSITES and there.kind in COMPOSITES:
            return True
        if not same_kind(here.kind, there.kind):
            return False
        if isinstance(here, Array) and isinstance(there, Array):
            one, other = here.type, there.type
            continue
        if isinstance(here, Int) and isinstance(there, Int):
            return not here.offset and not there.offset  # bit fields as they were told before 2018
        if isinstance(here, Enum | Enum64 | Fwd) and isinstance(there, Enum | Enum64 | Fwd):
            return not here.name or not there.name or same_name(here.name, there.name)
        return here.kind in (Kind.PTR, Kind.FLOAT)
    raise BtfError(f"{target.origin}: type {other} is inside of more than {DEEPEST} arrays")


def types_compatible(local: Btf, one: int, target: Btf, other: int, depth: int = DEEPEST) -> bool:
    """Whether the one type stands for the other, whose name is the same: kinds, and what pointers, arrays and functions lead
    to, but not what is inside of structs."""
    if is_anything(local, one):
        return True
    if depth <= 0:
        raise BtfError(f"{target.origin}: type {other} has more than {DEEPEST} functions inside of one another")
    for _ in range(DEEPEST):
        here, there = local.type(local.resolve(one)), target.type(target.resolve(other))
        if not same_kind(here.kind, there.kind):
            return False
        match here, there:
            case (Ptr() | Array(), Ptr() | Array()):
                one, other = here.type, there.type
            case (FuncProto(), FuncProto()):
                if len(here.parameters) != len(there.parameters):
                    return False
                for mine, its in zip(here.parameters, there.parameters, strict=True):
                    if not types_compatible(local, mine.type, target, its.type, depth - 1):
                        return False
                one, other = here.returns, there.returns
            case (Int(), Int()):
                return not here.offset and not there.offset
            case _:
                return isinstance(here, Void | Struct | Union | Enum | Enum64 | Fwd)
    raise BtfError(f"{target.origin}: type {other} is behind more than {DEEPEST} pointers")


def types_match(local: Btf, one: int, target: Btf, other: int) -> bool:
    """Whether all that the program says of a type holds for the target's: every field and constant it names is there, of a
    type that matches; integers have the same size and sign, arrays the same length. What is behind a pointer is compared by
    name and kind only."""
    return _Matching(local, target).types(one, other, False, DEEPEST)


class _Matching:
    """Of two BTFs. Pairs are compared once: structs that have one another inside in many ways are no trouble."""

    def __init__(self, local: Btf, target: Btf) -> None:
        self.local, self.target = local, target
        self.known: dict[tuple[int, int, bool], bool] = {}

    def types(self, one: int, other: int, behind: bool, depth: int) -> bool:
        key = (one, other, behind)
        if key not in self.known:
            if depth <= 0:
                raise BtfError(f"{self.target.origin}: type {other} has more than {DEEPEST} types inside of one another")
            self.known[key] = self.compare(one, other, behind, depth)
        return self.known[key]

    def compare(self, one: int, other: int, behind: bool, depth: int) -> bool:
        here, there = self.local.type(self.local.resolve(one)), self.target.type(self.target.resolve(other))
        name, its_name = getattr(here, "name", ""), getattr(there, "name", "")
        if bool(name) != bool(its_name) or not same_name(name, its_name):
            return False
        match here, there:
            case (Fwd() | Struct() | Union(), Fwd() | Struct() | Union()) if behind or isinstance(here, Fwd):
                return _is_union(here) == _is_union(there) and (behind or isinstance(there, Fwd))
            case (Enum() | Enum64(), Enum() | Enum64()):
                return _enums_match(here, there)
            case (Struct() | Union(), Struct() | Union()):
                return here.kind == there.kind and self.members(here, there, behind, depth)
            case (Int(), Int()):
                return (here.size, here.signed) == (there.size, there.signed)
            case (Ptr(), Ptr()):
                return self.types(here.type, there.type, True, depth - 1)
            case (Array(), Array()):
                return here.length == there.length and self.types(here.type, there.type, behind, depth - 1)
            case (FuncProto(), FuncProto()):
                pairs = [*zip(here.parameters, there.parameters, strict=False)]
                if len(here.parameters) != len(there.parameters):
                    return False
                if not all(self.types(mine.type, its.type, behind, depth - 1) for mine, its in pairs):
                    return False
                return self.types(here.returns, there.returns, behind, depth - 1)
        return isinstance(here, Void) and isinstance(there, Void)

    def members(self, here: Composite, there: Composite, behind: bool, depth: int) -> bool:
        return len(here.members) <= len(there.members) and all(
            any(
                bool(its.name) == bool(mine.name)
                and same_name(mine.name, its.name)
                and self.types(mine.type, its.type, behind, depth - 1)
                for its in there.members
            )
            for mine in here.members
        )


def _is_union(type: Type) -> bool:
    return type.union if isinstance(type, Fwd) else isinstance(type, Union)


def _enums_match(here: AnyEnum, there: AnyEnum) -> bool:
    names = {essential_name(name) for name, _ in there.values}
    if here.size != there.size or len(here.values) > len(there.values):
        return False
    return all(essential_name(name) in names for name, _ in here.values)
