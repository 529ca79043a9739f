"""The header of BTF, and the scan that finds where each type begins."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from struct import unpack
from typing import Literal

from purebpf.btf.encoding import FIXED_WORDS, HEADER, KINDS, MAGIC, MEMBER_WORDS, VERSION
from purebpf.btf.errors import BtfError
from purebpf.btf.types import Kind
from purebpf.data import data

BEYOND = 1 << 40  # words of a type of an unknown kind: moves the scan behind the end, where it is noticed


@data
class Header:
    """Where the sections are: bytes from the start of the BTF."""

    byteorder: Literal["little", "big"]
    types: slice
    strings: slice


@data
class Index:
    """What a scan finds, by type: the word it begins at, and the offset of its name. `sums` and `sorted` are there once the
    names were sorted: the CRCs of all of them, lowest first, and for each the type, counted from 0."""

    places: Sequence[int]
    names: Sequence[int]
    sums: Sequence[int] = ()
    sorted: Sequence[int] = ()


def header_of(raw: memoryview, origin: str, *, split: bool = False) -> Header:
    """Raises BtfError for what is no BTF of version 1. The string section of `split` BTF need not begin with a NUL."""
    if len(raw) < HEADER:
        raise BtfError(f"{origin}: {len(raw)} bytes are no BTF; its header alone has {HEADER}")
    order: Literal["little", "big"] = "little" if raw[0] == MAGIC & 0xFF else "big"
    mark = "<" if order == "little" else ">"
    magic, version, flags, header, types_at, types_size, strings_at, strings_size = unpack(mark + "HBBIIIII", raw[:HEADER])
    if magic != MAGIC:
        start = bytes(raw[:2]).hex()
        raise BtfError(f"{origin}: the bytes are no BTF: they begin with {start}, not with 9feb (or eb9f, big-endian)", 0)
    if version != VERSION:
        raise BtfError(f"{origin}: this is BTF version {version}; only version {VERSION} is known", 2)
    if flags:
        raise BtfError(f"{origin}: the header has the flags {flags:#x}; none are known", 3)
    if header < HEADER or header % 4 or types_at % 4 or types_size % 4:
        raise BtfError(f"{origin}: the header gives sizes that cannot be ({header}, types {types_size} at {types_at})", 4)
    for what, field, at, size in (("type", 8, types_at, types_size), ("string", 16, strings_at, strings_size)):
        if header + at + size > len(raw):
            end = header + at + size
            raise BtfError(f"{origin}: the {what} section ends at byte {end}, but there are {len(raw)}; cut off", field)
    if types_at < strings_at + strings_size and strings_at < types_at + types_size:
        raise BtfError(f"{origin}: the type section and the string section overlap", 8)
    strings = slice(header + strings_at, header + strings_at + strings_size)
    if not split and (not strings_size or raw[strings.start]):
        raise BtfError(f"{origin}: the string section does not begin with the empty string, as BTF requires", strings.start)
    if strings_size and raw[strings.stop - 1]:
        raise BtfError(f"{origin}: the string section does not end with a NUL; it is damaged or cut off", strings.stop - 1)
    return Header(order, slice(header + types_at, header + types_at + types_size), strings)


def words_of(raw: memoryview, header: Header) -> Sequence[int]:
    """The type section as 32-bit numbers; not copied if they are in this machine's byte order."""
    section = raw[header.types]
    if header.byteorder == sys.byteorder:
        return section.cast("I")
    swapped = array("I", bytes(section))
    swapped.byteswap()
    return swapped


class Steps(dict[int, int]):
    """Info word -> words that the type takes."""

    def __missing__(self, info: int) -> int:
        kind, count = info >> 24 & 31, info & 0xFFFF
        self[info] = FIXED_WORDS[kind] + MEMBER_WORDS[kind] * count if 0 < kind < KINDS else BEYOND
        return self[info]


def scan(words: Sequence[int], header: Header, first: int, origin: str) -> Index:
    """Find all types; `first` is the number of the first one. Raises BtfError where a type is of no known kind or cut off."""
    steps, end = Steps(), len(words)
    places: list[int] = []
    note = places.append
    position = 0
    try:
        while position < end:
            note(position)
            position += steps[words[position + 1]]
    except IndexError:
        position = end + 1
    if position != end:
        number, last = first + len(places) - 1, places[-1]
        kind = words[last + 1] >> 24 & 31 if last + 1 < end else Kind.INT
        at = header.types.start + 4 * last
        if not 0 < kind < KINDS:
            known = f"{Kind.INT} to {Kind.ENUM64}"
            raise BtfError(f"{origin}: type {number} is of kind {kind}, which is not known here ({known})", at + 4)
        raise BtfError(f"{origin}: type {number} reaches beyond the end of the type section; the bytes are cut off", at)
    return Index(array("I", places), array("I", [words[place] for place in places]))
