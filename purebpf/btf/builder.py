"""Builds BTF for programs and maps: the types that the kernel wants to see, as bytes (Documentation/bpf/btf.rst).

`add` gives a type its number; one that is there already keeps its own. Covers what programs and map values need: integers,
pointers, arrays, structs and unions, typedefs, functions with their prototypes, variables and data sections.
"""

from __future__ import annotations

from struct import Struct as Packer
from typing import Literal

from purebpf.btf.types import (
    Array,
    DataSec,
    Func,
    FuncProto,
    Int,
    Kind,
    Ptr,
    Qualifier,
    Struct,
    Type,
    Typedef,
    Var,
)
from purebpf.errors import Error

MAGIC, VERSION, HEADER = 0xEB9F, 1, 24
SIGNED, CHAR, BOOL = 1, 2, 4
BIT_FIELDS = 1 << 31


class BtfBuilder:
    """Types by number from 1 on; 0 is void."""

    def __init__(self, byteorder: Literal["little", "big"]) -> None:
        self.byteorder = byteorder
        self._numbers: dict[Type, int] = {}
        self._strings = bytearray(b"\0")
        self._offsets: dict[str, int] = {"": 0}

    def add(self, type: Type) -> int:
        """The number of a type; those it refers to come first. Raises Error for a kind that is not covered."""
        if type not in self._numbers:
            _header(self, type)
            self._numbers[type] = len(self._numbers) + 1
        return self._numbers[type]

    def string(self, text: str) -> int:
        """Where a name lies in the string section."""
        if text not in self._offsets:
            self._offsets[text] = len(self._strings)
            self._strings += text.encode() + b"\0"
        return self._offsets[text]

    def encode(self) -> bytes:
        """The whole of it, for BPF_BTF_LOAD (Linux 4.18)."""
        words: list[int] = []
        for type in self._numbers:
            words += _header(self, type)
        order = "<" if self.byteorder == "little" else ">"
        types = Packer(f"{order}{len(words)}I").pack(*words)
        header = Packer(f"{order}HBBIIIII").pack(MAGIC, VERSION, 0, HEADER, 0, len(types), len(types), len(self._strings))
        return header + types + bytes(self._strings)


def _header(builder: BtfBuilder, type: Type) -> list[int]:
    """A type as 32-bit words: name, kind and count, size or type, and what follows for its kind."""
    name = builder.string
    match type:
        case Int():
            flags = SIGNED * type.signed | CHAR * type.char | BOOL * type.bool
            return [name(type.name), Kind.INT << 24, type.size, flags << 24 | type.offset << 16 | type.bits]
        case Ptr(type=to):
            return [0, Kind.PTR << 24, to]
        case Array():
            return [0, Kind.ARRAY << 24, 0, type.type, type.index, type.length]
        case Struct():
            bits = any(member.bit_size for member in type.members)
            words = [name(type.name), BIT_FIELDS * bits | type.kind << 24 | len(type.members), type.size]
            for member in type.members:
                words += [name(member.name), member.type, member.bit_size << 24 | member.bit_offset]
            return words
        case Typedef():
            return [name(type.name), Kind.TYPEDEF << 24, type.type]
        case Qualifier():
            return [0, type.kind << 24, type.type]
        case Func():
            return [name(type.name), Kind.FUNC << 24 | type.linkage, type.type]
        case FuncProto():
            words = [0, Kind.FUNC_PROTO << 24 | len(type.parameters), type.returns]
            for parameter in type.parameters:
                words += [name(parameter.name), parameter.type]
            return words
        case Var():
            return [name(type.name), Kind.VAR << 24, type.type, type.linkage]
        case DataSec():
            words = [name(type.name), Kind.DATASEC << 24 | len(type.variables), type.size]
            for section in type.variables:
                words += [section.type, section.offset, section.size]
            return words
    raise Error(f"BTF of a {type.__class__.__name__} cannot be built")
