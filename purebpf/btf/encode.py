"""From types to bytes: what `decode.py` reads. Values that the format has no room for are a `BtfError`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct as Packer
from typing import Literal

from purebpf.btf.encoding import BOOL, CHAR, FLAG, HEADER, MAGIC, MOST_MEMBERS, SIGNED, VERSION
from purebpf.btf.errors import BtfError
from purebpf.btf.types import (
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

WIDEST_FIELD, FARTHEST_FIELD = 0xFF, 0xFFFFFF  # bits, once a struct has bit fields
Names = Callable[[str], int]


def words_of(type: Type, name: Names) -> list[int]:
    """A type as 32-bit words; `name` gives the offset of a string. Raises BtfError."""
    words = _words(type, name)
    if any(word >> 32 for word in words):
        raise BtfError(f"BTF has no room for {type!r}: numbers there have 32 bits")
    return words


def _words(type: Type, name: Names) -> list[int]:
    match type:
        case Int():
            flags = SIGNED * type.signed | CHAR * type.char | BOOL * type.bool
            return [name(type.name), _info(type), type.size, flags << 24 | type.offset << 16 | type.bits]
        case Ptr() | Volatile() | Const() | Restrict():
            return [0, _info(type), type.type]
        case Array():
            return [0, _info(type), 0, type.type, type.index, type.length]
        case Struct() | Union():
            return _composite(type, name)
        case Enum():
            words = [name(type.name), _info(type, len(type.values), type.signed), type.size]
            for each, value in type.values:
                words += [name(each), _value(type, value, 32)]
            return words
        case Enum64():
            words = [name(type.name), _info(type, len(type.values), type.signed), type.size]
            for each, value in type.values:
                number = _value(type, value, 64)
                words += [name(each), number & 0xFFFF_FFFF, number >> 32]
            return words
        case Fwd():
            return [name(type.name), _info(type, flag=type.union), 0]
        case Typedef():
            return [name(type.name), _info(type), type.type]
        case TypeTag():
            return [name(type.name), _info(type, flag=type.attribute), type.type]
        case Func():
            return [name(type.name), _info(type, type.linkage), type.type]
        case FuncProto():
            words = [0, _info(type, len(type.parameters)), type.returns]
            for parameter in type.parameters:
                words += [name(parameter.name), parameter.type]
            return words
        case Var():
            return [name(type.name), _info(type), type.type, type.linkage]
        case DataSec():
            words = [name(type.name), _info(type, len(type.variables)), type.size]
            for section in type.variables:
                words += [section.type, section.offset, section.size]
            return words
        case Float():
            return [name(type.name), _info(type), type.size]
        case DeclTag():
            return [name(type.name), _info(type, flag=type.attribute), type.type, type.component & 0xFFFF_FFFF]
    raise BtfError("void has the number 0 in every BTF; it is not written down")


def _info(type: Type, count: int = 0, flag: bool = False) -> int:
    if count > MOST_MEMBERS:
        raise BtfError(f"{type.__class__.__name__} {type!r:.60} has {count} members; BTF has room for {MOST_MEMBERS}")
    return FLAG * flag | type.kind << 24 | count


def _composite(type: Composite, name: Names) -> list[int]:
    bits = any(member.bit_size for member in type.members)
    words = [name(type.name), _info(type, len(type.members), bits), type.size]
    for member in type.members:
        if bits and (member.bit_size > WIDEST_FIELD or member.bit_offset > FARTHEST_FIELD):
            raise BtfError(f"BTF has no room for the member {member.name!r} at bit {member.bit_offset}, beside bit fields")
        words += [name(member.name), member.type, member.bit_size << 24 | member.bit_offset]
    return words


def _value(type: Enum | Enum64, value: int, bits: int) -> int:
    low = -(1 << bits - 1) if type.signed else 0
    high = 1 << bits - 1 if type.signed else 1 << bits
    if not low <= value < high:
        raise BtfError(f"the value {value} of enum {type.name!r} does not fit into {bits} bits")
    return value & (1 << bits) - 1


def blob(words: Iterable[int], strings: bytes, byteorder: Literal["little", "big"]) -> bytes:
    """Header, type section and string section."""
    order, numbers = "<" if byteorder == "little" else ">", list(words)
    types = Packer(f"{order}{len(numbers)}I").pack(*numbers)
    header = Packer(f"{order}HBBIIIII").pack(MAGIC, VERSION, 0, HEADER, 0, len(types), len(types), len(strings))
    return header + types + strings
