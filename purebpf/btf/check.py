"""Whether a whole BTF makes sense: what the kernel asks of it when it is loaded (kernel/bpf/btf.c), told type by type.

The reader checks a type by itself when it is decoded. Here all are decoded, and what they refer to is checked: kinds, sizes,
names, and that nothing contains itself. Variables that are `extern` pass: the kernel refuses them, but loaders replace them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from purebpf.btf.errors import BtfError
from purebpf.btf.graph import references
from purebpf.btf.layout import bits_of
from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    AnyEnum,
    Array,
    Composite,
    Const,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Kind,
    Ptr,
    Restrict,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Var,
    Volatile,
)

IDENTIFIER = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]{0,510}")
NO_VALUE = frozenset({Kind.VOID, Kind.FUNC, Kind.FUNC_PROTO, Kind.FWD, Kind.DECL_TAG, Kind.DATASEC, Kind.VAR})
MUST_HAVE_NAME = Typedef | Fwd | Func | Var | Float | DeclTag | TypeTag
MAY_HAVE_NAME = Composite | AnyEnum
TAGGED = Composite | Func | Var | Typedef


def check(btf: Btf) -> None:
    """Raises BtfError, naming the type and the reason, for the first thing that the kernel would refuse."""
    if len(btf) == btf.first:
        raise BtfError(f"{btf.origin}: there are no types")
    for number, type in btf:
        for what in _wrong(btf, type):
            raise BtfError(f"{btf.origin}: type {number} ({type.kind.name.lower()}) {what}")
    _no_circles(btf, _inside, "contains itself")
    _no_circles(btf, _spelled, "refers to itself without a struct between")
    for number, type in btf:
        for what in _wrong_sizes(btf, number, type):
            raise BtfError(f"{btf.origin}: type {number} ({type.kind.name.lower()}) {what}")


def _wrong(btf: Btf, type: Type) -> Iterator[str]:
    """What is wrong about a type's names and the kinds of what it refers to."""
    name = getattr(type, "name", "")
    if isinstance(type, MUST_HAVE_NAME) and not name:
        yield "has no name"
    if isinstance(type, MUST_HAVE_NAME | MAY_HAVE_NAME) and not isinstance(type, DeclTag | TypeTag | Float) and name:
        yield from _name(name)
    match type:
        case Int():
            if type.signed + type.char + type.bool > 1:
                yield "has more than one encoding"
        case Enum() | Enum64():
            for each, _ in type.values:
                yield from _name(each)
        case Struct() | Union():
            last = 0
            for member in type.members:
                yield from _name(member.name) if member.name else ()
                if btf.kind(member.type) in NO_VALUE:
                    yield f"has the member {member.name!r}, which is a {btf.kind(member.type).name.lower()}"
                if member.bit_offset < (0 if isinstance(type, Union) else last) or (
                    isinstance(type, Union) and member.bit_offset
                ):
                    yield f"has the member {member.name!r} at bit {member.bit_offset}, which is not in order"
                last = member.bit_offset
        case Array():
            if btf.kind(type.type) in NO_VALUE:
                yield f"is of a {btf.kind(type.type).name.lower()}"
            if btf.kind(type.index) not in (Kind.INT, Kind.TYPEDEF, Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG):
                yield f"has an index that is a {btf.kind(type.index).name.lower()}"
        case Func():
            if btf.kind(type.type) != Kind.FUNC_PROTO:
                yield f"is described by a {btf.kind(type.type).name.lower()}, not by a func_proto"
        case FuncProto():
            yield from _prototype(btf, type)
        case Var():
            if btf.kind(type.type) in NO_VALUE:
                yield f"is of a {btf.kind(type.type).name.lower()}"
        case DataSec():
            yield from _section(btf, type)
        case DeclTag():
            yield from _tag(btf, type)
        case Ptr() | Typedef() | Volatile() | Const() | Restrict() | TypeTag():
            if btf.kind(type.type) in (Kind.DECL_TAG, Kind.DATASEC, Kind.VAR, Kind.FUNC):
                yield f"refers to a {btf.kind(type.type).name.lower()}"


def _name(name: str) -> Iterator[str]:
    if not IDENTIFIER.fullmatch(name):
        yield f"has the name {name!r}, which is no identifier"


def _prototype(btf: Btf, type: FuncProto) -> Iterator[str]:
    if btf.kind(type.returns) in NO_VALUE - {Kind.VOID, Kind.FWD}:
        yield f"returns a {btf.kind(type.returns).name.lower()}"
    for index, parameter in enumerate(type.parameters):
        last = index == len(type.parameters) - 1
        if not parameter.type and (not last or parameter.name):
            yield f"has the parameter {parameter.name!r} of type void"
        elif parameter.name:
            yield from _name(parameter.name)
        if btf.kind(parameter.type) in NO_VALUE - {Kind.VOID}:
            yield f"has a parameter that is a {btf.kind(parameter.type).name.lower()}"


def _section(btf: Btf, type: DataSec) -> Iterator[str]:
    end = 0
    for section in type.variables:
        if btf.kind(section.type) not in (Kind.VAR, Kind.FUNC):
            yield f"has a {btf.kind(section.type).name.lower()} where variables are"
        if section.offset < end or section.offset + section.size > type.size:
            yield f"has a variable of {section.size} bytes at {section.offset}, which does not fit there"
        end = section.offset + section.size


def _tag(btf: Btf, type: DeclTag) -> Iterator[str]:
    target = btf.type(type.type)
    if not isinstance(target, TAGGED):
        yield f"is on a {target.kind.name.lower()}"
        return
    most = 0
    if isinstance(target, Composite):
        most = len(target.members)
    elif isinstance(target, Func):
        prototype = btf.type(target.type)
        most = len(prototype.parameters) if isinstance(prototype, FuncProto) else 0
    if type.component >= most:
        yield f"is on the component {type.component}; there are {most}"


def _wrong_sizes(btf: Btf, number: int, type: Type) -> Iterator[str]:
    """What is wrong about sizes; by now nothing contains itself."""
    if isinstance(type, Array):
        btf.size_of(number)
        if not isinstance(btf.type(btf.resolve(type.index)), Int):
            yield "has an index that is no integer"
    elif isinstance(type, Composite):
        for member in type.members:
            start, bits = bits_of(btf, member)
            if start + (bits or 8 * btf.size_of(member.type)) > 8 * type.size:
                yield f"has the member {member.name!r}, which ends outside of its {type.size} bytes"
            base = btf.type(btf.resolve(member.type))
            if member.bit_size and not isinstance(base, Int | AnyEnum):
                yield f"has the bit field {member.name!r}, which is no integer"
            if member.bit_size > 8 * btf.size_of(member.type):
                yield f"has the bit field {member.name!r} of {member.bit_size} bits, more than its type has"
            if not bits and start % 8:
                yield f"has the member {member.name!r} at bit {start}, though it is no bit field"
    elif isinstance(type, Var):
        btf.size_of(number)
    elif isinstance(type, DataSec):
        for section in type.variables:
            if btf.kind(section.type) == Kind.VAR and section.size < btf.size_of(section.type):
                yield f"has {section.size} bytes for the variable {btf.name(section.type)!r}, which is larger"


def _inside(type: Type) -> tuple[int, ...]:
    """What a value of the type is made of."""
    return () if isinstance(type, Ptr | FuncProto | Func | DeclTag) else references(type)


def _spelled(type: Type) -> tuple[int, ...]:
    """What must be spelled out to write the type down: a struct is known by its name. That a function takes itself, which no C
    can say, is not for the kernel to mind."""
    return () if isinstance(type, Composite | FuncProto | DeclTag | DataSec) else references(type)


def _no_circles(btf: Btf, next_of: Callable[[Type], tuple[int, ...]], what: str) -> None:
    """Walks the types with a stack of its own, since a chain of them may be as long as the BTF. A base is checked by itself."""
    done = set(range(btf.first))
    for start in range(btf.first, len(btf)):
        if start in done:
            continue
        open_now, stack = {start}, [(start, iter(next_of(btf.type(start))))]
        while stack:
            number, rest = stack[-1]
            for inner in rest:
                if inner in open_now:
                    raise BtfError(f"{btf.origin}: type {inner} ({btf.kind(inner).name.lower()}) {what}")
                if inner not in done:
                    open_now.add(inner)
                    stack.append((inner, iter(next_of(btf.type(inner)))))
                    break
            else:
                stack.pop()
                open_now.discard(number)
                done.add(number)
