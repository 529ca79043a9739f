"""Layouts of the language as types of BTF."""

from __future__ import annotations

import re

from purebpf.btf import types as btf
from purebpf.lang.types import ArrayType, BoolType, BytesType, CharsType, Field, IntType, KernelType, StructType, Type

NO_C_NAME = re.compile(r"\W", re.ASCII)
NAMES = {8: "char", 16: "short", 32: "int", 64: "long long"}


class Collector:
    """Types in order of their numbers, each once."""

    def __init__(self) -> None:
        self.types: dict[btf.Type, int] = {}

    def add(self, type: btf.Type) -> int:
        return self.types.setdefault(type, len(self.types) + 1)

    def number(self, layout: Type) -> int:
        match layout:
            case IntType(bits=bits, big=True) if bits > 8:  # as the kernel calls it (linux/types.h)
                return self.add(btf.Typedef(f"__be{bits}", self.number(IntType(bits))))
            case IntType(bits=bits, signed=signed):
                return self.add(btf.Int(f"{'' if signed else 'unsigned '}{NAMES[bits]}", bits // 8, bits, signed=signed))
            case BoolType():
                return self.add(btf.Int("_Bool", 1, 8, bool=True))
            case CharsType(size=size):
                return self.array(self.add(btf.Int("char", 1, 8, signed=True)), size)
            case BytesType(size=size):
                return self.array(self.number(IntType(8)), size)
            case ArrayType(element=element, count=count):
                return self.array(self.number(element), count)
            case KernelType(name=name, size=size, align=align):
                unit = self.number(IntType(8 * align))
                inside = unit if size == align else self.array(unit, size // align)
                return self.add(btf.Struct(name, size, (btf.Member("opaque", inside, 0),)))
            case StructType(name=name, fields=fields, size=size, union=union):
                bits_used = any(field.bits for field in fields)
                members = tuple(self.member(field, bits_used) for field in fields)
                return self.add((btf.Union if union else btf.Struct)(NO_C_NAME.sub("_", name), size, members))

    def array(self, element: int, count: int) -> int:
        return self.add(btf.Array(element, self.number(IntType(32)), count))

    def member(self, field: Field, bits_used: bool) -> btf.Member:
        name = NO_C_NAME.sub("_", field.name)
        return btf.Member(name, self.number(field.type), 8 * field.offset + field.shift, field.bits if bits_used else 0)
