"""Types for the tests of CO-RE, laid out as a C compiler does."""

from __future__ import annotations

from typing import Literal

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, Enum, Enum64, Float, Fwd, Int, Member, Ptr, Struct, Type, Typedef, Union

Field = tuple[str, int] | tuple[str, int, int]  # name, type, and bits of a bit field


class Kit:
    """Makes one BTF. Methods give the numbers of its types. A pointer has `word` bytes."""

    def __init__(self, order: Literal["little", "big"] = "little", base: Btf | None = None, word: int = 8) -> None:
        self.word = word
        self.builder = BtfBuilder(order, base=base)
        self.base = base
        self.sizes: dict[int, tuple[int, int]] = {}  # size and alignment
        self.u8 = self.int("unsigned char", 1)
        self.u16 = self.int("unsigned short", 2)
        self.u32 = self.int("unsigned int", 4)
        self.u64 = self.int("unsigned long long", 8)
        self.long = self.int("unsigned long", word)
        self.s32 = self.int("int", 4, signed=True)
        self.s64 = self.int("long long", 8, signed=True)

    def add(self, type: Type, size: int = 0, align: int = 1, number: int = 0) -> int:
        number = number or self.builder.reserve()  # a new one, also for a type that is there already
        self.builder.define(number, type)
        self.sizes[number] = size, align
        return number

    def int(self, name: str, size: int, signed: bool = False) -> int:
        return self.add(Int(name, size, 8 * size, signed=signed), size, size)

    def float(self, name: str, size: int) -> int:
        return self.add(Float(name, size), size, size)

    def ptr(self, type: int = 0) -> int:
        return self.add(Ptr(type), self.word, self.word)

    def array(self, type: int, length: int) -> int:
        size, align = self.sizes[type]
        return self.add(Array(type, self.u32, length), size * length, align)

    def typedef(self, name: str, type: int) -> int:
        return self.add(Typedef(name, type), *self.sizes[type])

    def fwd(self, name: str, union: bool = False) -> int:
        return self.add(Fwd(name, union))

    def enum(self, name: str, size: int = 4, signed: bool = False, **values: int) -> int:
        make = Enum64 if size == 8 else Enum
        return self.add(make(name, size, signed, tuple(values.items())), size, size)

    def struct(self, name: str, *fields: Field, number: int = 0) -> int:
        """`number` is one that the builder has reserved, for structs that point to themselves."""
        at, largest, members = 0, 1, []
        for field in fields:
            size, align = self.sizes[field[1]]
            largest = max(largest, align)
            bits = field[2] if len(field) == 3 else 0
            if not bits or at // (8 * size) != (at + bits - 1) // (8 * size):
                at = -(-at // (8 * align)) * 8 * align
            members.append(Member(field[0], field[1], at, bits))
            at += bits or 8 * size
        size = -(-at // (8 * largest)) * largest
        return self.add(Struct(name, size, tuple(members)), size, largest, number)

    def union(self, name: str, *fields: Field) -> int:
        members = tuple(Member(field[0], field[1], 0, field[2] if len(field) == 3 else 0) for field in fields)
        align = max(self.sizes[field[1]][1] for field in fields)
        size = -(-max(self.sizes[field[1]][0] for field in fields) // align) * align
        return self.add(Union(name, size, members), size, align)

    def btf(self) -> Btf:
        return Btf(self.builder.encode(), base=self.base, origin="kit")
