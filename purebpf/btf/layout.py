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

    def __init__(self, btf: Btf, pointer_size: int = 0) -> None:
        self.btf, self._pointer_size = btf, pointer_size
        self._alignments: dict[int, int] = {}

    @cached_property
    def pointer_size(self) -> int:
        """Bytes of a pointer: as many as a `long` has, 8 where the BTF knows no long."""
        if self._pointer_size:
            return self._pointer_size
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
        """The largest alignment of a member; 1 for a packed struct."""
        largest = max((self.align_of(member.type, depth) for member in composite.members), default=1)
        return 1 if self._packed(composite, largest) else largest

    def _packed(self, composite: Composite, largest: int) -> bool:
        """Whether C puts a member there, or ends there, only in a struct with the attribute `packed`."""
        for member in composite.members:
            start, bits = bits_of(self.btf, member)
            if bits:
                unit = 8 * self.size_of(member.type)
                if start % unit + bits > unit:
                    return True
            elif start % (8 * self.align_of(member.type)):
                return True
        return composite.size % largest > 0

    def is_packed(self, number: int) -> bool:
        """Whether a struct or union cannot be written in C without the attribute `packed`."""
        found = self.btf.type(number)
        if not isinstance(found, Composite):
            return False
        return self._packed(found, max((self.align_of(member.type) for member in found.members), default=1))


def bits_of(btf: Btf, member: Member) -> tuple[int, int]:
    """(first bit, width) of a bit field; width 0 for any other member.

    Before the flag of structs that tells of bit fields (Linux 5.0), an integer type of the width stood for the member's.
    """
    if member.bit_size:
        return member.bit_offset, member.bit_size
    found = btf.type(btf.resolve(member.type))
    if isinstance(found, Int) and not found.bool and (found.bits != 8 * found.size or found.offset):
        return member.bit_offset + found.offset, found.bits
    return member.bit_offset, 0
