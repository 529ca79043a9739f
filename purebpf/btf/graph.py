"""Types as a graph: what a type refers to, and the same type with other numbers there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from purebpf.btf.types import (
    Array,
    Const,
    DataSec,
    DeclTag,
    Func,
    FuncProto,
    Member,
    Parameter,
    Ptr,
    Restrict,
    Section,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Var,
    Volatile,
)
from purebpf.data import replace

Single = Ptr | Typedef | Volatile | Const | Restrict | TypeTag | Func | Var | DeclTag


def references(type: Type) -> tuple[int, ...]:
    """The numbers of the types that a type refers to, in the order of the format; void's 0 among them."""
    match type:
        case Struct() | Union():
            return tuple([member.type for member in type.members])
        case Array():
            return (type.type, type.index)
        case FuncProto():
            return (type.returns, *[parameter.type for parameter in type.parameters])
        case DataSec():
            return tuple([section.type for section in type.variables])
        case Ptr() | Typedef() | Volatile() | Const() | Restrict() | TypeTag() | Func() | Var() | DeclTag():
            return (type.type,)
    return ()


def renumbered(type: Type, number: Callable[[int], int]) -> Type:
    """The type with `number` of every number that it refers to."""
    match type:
        case Struct() | Union():
            members = [Member(m.name, number(m.type), m.bit_offset, m.bit_size) for m in type.members]
            return type.__class__(type.name, type.size, tuple(members))
        case Array():
            return Array(number(type.type), number(type.index), type.length)
        case FuncProto():
            parameters = [Parameter(parameter.name, number(parameter.type)) for parameter in type.parameters]
            return FuncProto(number(type.returns), tuple(parameters))
        case DataSec():
            variables = [Section(number(section.type), section.offset, section.size) for section in type.variables]
            return DataSec(type.name, type.size, tuple(variables))
        case Ptr() | Volatile() | Const() | Restrict():
            return type.__class__(number(type.type))
        case Typedef() | TypeTag() | Func() | Var() | DeclTag():
            return replace(type, type=number(type.type))
    return type


def reachable(type: Callable[[int], Type], roots: Iterable[int]) -> Iterator[int]:
    """Every type that can be got to from these, they among them, each once; not void."""
    seen, waiting = {0}, list(roots)
    while waiting:
        number = waiting.pop()
        if number not in seen:
            seen.add(number)
            yield number
            waiting += references(type(number))
