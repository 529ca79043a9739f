"""Sizes and alignments of types as C has them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from purebpf.btf.errors import BtfError
from purebpf.btf.types import Array, Composite, Enum, Enum64, Float, Int, Kind, Member, Ptr, Struct, Union, Var

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

DEEPEST = 64  # arrays in arrays, structs in structs
LARGEST = 1 << 32  # bytes; no size in BTF has more than 32 bits
SIZED = frozenset({Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT, Kind.DATASEC})
LONGS = ("long unsigned int", "unsigned long", "long int", "long")


class Layout:
    """What `Btf` knows of sizes and alignments."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self._alignments: dict[int, int] = {}

    @cached_property
    def pointer_size(self) -> int:
        """Bytes of a pointer: as many as a `long` has, 8 where the BTF knows no long."""
        for name in LONGS:
            for number in self.btf.types_named(name, Kind.INT):
                size = self.btf.third_word(number)
                if size in (4, 8):
                    return size
        return 8

    def size_of(self, number: int) -> int:
        """Bytes that a value takes."""
        btf, count, start = self.btf, 1, number
        for _ in range(DEEPEST):
            number = btf.resolve(number)
            kind = btf.kind(number)
            if kind in SIZED or kind == Kind.PTR:
                return self._bounded(start, count * (self.pointer_size if kind == Kind.PTR else btf.third_word(number)))
            found = btf.type(number)
            if isinstance(found, Array):
                count = self._bounded(start, count * found.length)
            elif not isinstance(found, Var):
                raise BtfError(f"{btf.origin}: type {start} has no size: it is a {kind.name.lower()}")
            number = found.type
        raise BtfError(f"{btf.origin}: type {start} is an array of more than {DEEPEST} dimensions; it refers to itself")

    def _bounded(self, number: int, size: int) -> int:
        if size >= LARGEST:
            raise BtfError(f"{self.btf.origin}: type {number} is an array of {size} bytes or more; the most is {LARGEST - 1}")
        return size

    def align_of(self, number: int, depth: int = 0) -> int:
        """What an address of a value is a multiple of."""
        btf = self.btf
        if number in self._alignments:
            return self._alignments[number]
        if depth > DEEPEST:
            raise BtfError(f"{btf.origin}: type {number} is inside of more than {DEEPEST} others; it contains itself")
        found = btf.type(btf.resolve(number))
        match found:
            case Int() | Enum() | Enum64() | Float():
                align = min(found.size & -found.size, 2 * self.pointer_size)
            case Ptr():
                align = self.pointer_size
            case Array() | Var():
                align = self.align_of(found.type, depth + 1)
            case Struct() | Union():
                align = self._natural(found, depth + 1)
            case _:
                raise BtfError(f"{btf.origin}: type {number} has no alignment: it is a {found.kind.name.lower()}")
        self._alignments[number] = align
        return align

    def _natural(self, composite: Composite, depth: int) -> int:
        """The largest alignment of a member; 1 where a member, or the size, is no multiple of it: a packed one."""
        largest = 1
        for member in composite.members:
            align = self.align_of(member.type, depth)
            if not self._bit_field(member) and member.bit_offset % (8 * align):
                return 1
            largest = max(largest, align)
        return 1 if composite.size % largest else largest

    def _bit_field(self, member: Member) -> bool:
        """Also in the old encoding, where an integer of the width stands for the member's type."""
        found = self.btf.type(self.btf.resolve(member.type))
        return member.bit_size > 0 or (isinstance(found, Int) and found.bits != 8 * found.size and not found.bool)
