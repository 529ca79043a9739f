"""Where a C compiler puts members, and what to write so that it puts them where BTF says.

Members go to the next place that suits them; where BTF says a later one, padding goes before; where an earlier one, the struct
is packed. What alignment a type had by an attribute is not in BTF, so only sizes and offsets are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from purebpf.btf.errors import BtfError
from purebpf.btf.layout import bits_of
from purebpf.btf.reader import Btf
from purebpf.btf.types import Composite, Member, Union
from purebpf.data import data

# Padding is unnamed bit fields, which need no name; from so many bytes on, an array, which needs fewer lines.
LONG_GAP = 512
UNITS = ((64, "long long"), (32, "int"), (16, "short"), (8, "char"))


@data
class Place:
    """A line of a struct: a member with its width if it is a bit field (0: none), or the text of padding."""

    member: Member | None
    bits: int = 0
    padding: str = ""


def places(btf: Btf, number: int, composite: Composite) -> Iterator[Place]:
    """The lines that make a compiler lay the struct out as it is. Raises BtfError when no C can: members that overlap."""
    if isinstance(composite, Union):
        yield from _union(btf, number, composite)
        return
    packed = btf.is_packed(number)
    at, gaps = 0, 0
    for member in sorted(composite.members, key=lambda member: member.bit_offset):
        start, bits = bits_of(btf, member)
        size, align = btf.size_of(member.type), 1 if packed else btf.align_of(member.type)
        next_place = _next(at, bits, size, align, packed)
        if start != next_place:
            if start < at:
                raise BtfError(f"{btf.origin}: type {number} has members that overlap at bit {start}; C has no way to say so")
            for text in _gap(at, start, gaps):
                yield Place(None, padding=text)
                gaps += 1
            if _next(start, bits, size, align, packed) != start:
                raise BtfError(f"{btf.origin}: type {number} has the member {member.name!r} at bit {start}, where C puts none")
        yield Place(member, bits)
        at = start + (bits or 8 * size)
    end = 8 * composite.size
    if at > end:
        raise BtfError(f"{btf.origin}: the members of type {number} take {-(-at // 8)} bytes, but it has {composite.size}")
    align = btf.align_of(number)
    if -(-at // (8 * align)) * 8 * align < end:
        for text in _gap(at, end, gaps):
            yield Place(None, padding=text)


def _next(at: int, bits: int, size: int, align: int, packed: bool) -> int:
    """The bit that a compiler puts the next member at."""
    if not bits:
        return -(-at // (8 * align)) * 8 * align
    unit = 8 * size
    return at if packed or at % unit + bits <= unit else -(-at // unit) * unit


def _union(btf: Btf, number: int, composite: Composite) -> Iterator[Place]:
    largest = 0
    for member in composite.members:
        start, bits = bits_of(btf, member)
        if start:
            raise BtfError(f"{btf.origin}: type {number} is a union with the member {member.name!r} at bit {start}")
        largest = max(largest, -(-bits // 8) if bits else btf.size_of(member.type))
        yield Place(member, bits)
    if largest > composite.size:
        raise BtfError(f"{btf.origin}: the members of type {number} take {largest} bytes, but it has {composite.size}")
    align = btf.align_of(number)
    if -(-largest // align) * align < composite.size:
        yield Place(None, padding=f"unsigned char __padding[{composite.size}]")


def _gap(at: int, end: int, count: int) -> Iterator[str]:
    """Padding from one bit to another, none of which reaches beyond its type's unit."""
    if end - at >= 8 * LONG_GAP:
        if at % 8:
            yield f"char: {8 - at % 8}"
            at += 8 - at % 8
        yield f"unsigned char __padding_{count}[{(end - at) // 8}]"
        at = end - (end - at) % 8
    while at < end:
        for unit, name in UNITS:
            if at % unit == 0 and end - at >= unit:
                yield f"{name}: {unit}"
                at += unit
                break
        else:
            width = min(8 - at % 8, end - at)
            yield f"char: {width}"
            at += width
