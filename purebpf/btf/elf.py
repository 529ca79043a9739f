"""Finds a section of an ELF file (the System V ABI, gABI chapter 4): 32 and 64 bits, both byte orders. Nothing else is read.

The file is not trusted: whatever points outside of it is a `BtfError`.
"""

from __future__ import annotations

from struct import Struct as Packer
from struct import calcsize
from typing import Protocol

from purebpf.btf.errors import BtfError
from purebpf.data import data

MAGIC = b"\x7fELF"
MOST_SECTIONS = 1 << 20
NO_BITS, COMPRESSED, EXTENDED = 8, 0x800, 0xFFFF  # SHT_NOBITS, SHF_COMPRESSED, SHN_XINDEX


class Bytes(Protocol):
    """Bytes that are read where they are asked for: those of a file, or a `memoryview`."""

    def __len__(self) -> int: ...
    def __getitem__(self, where: slice, /) -> bytes | memoryview: ...


@data
class _Section:
    """A row of the section table: where its name is among the names, and where its bytes are in the file."""

    name: int
    type: int
    flags: int
    offset: int
    size: int
    link: int


def elf_sections(raw: Bytes, names: tuple[str, ...], origin: str) -> dict[str, bytes]:
    """The bytes of those of the named sections that the file has."""
    rows, strings = _table(raw, origin)
    found: dict[str, bytes] = {}
    sought = {name.encode() + b"\0": name for name in names}
    longest = max(map(len, sought))
    for row in rows:
        text = strings[row.name : row.name + longest]
        for name in (sought[key] for key in sought if text.startswith(key)):
            if row.flags & COMPRESSED:
                raise BtfError(f"{origin}: the section {name} is compressed; decompress it first (objcopy does)")
            if row.type != NO_BITS and name not in found:
                found[name] = _bytes(raw, row, origin)
    return found


def _table(raw: Bytes, origin: str) -> tuple[list[_Section], bytes]:
    """The section table, and the bytes of the section that holds the names."""
    start = bytes(raw[:64])
    if len(start) < 52 or start[4] not in (1, 2) or start[5] not in (1, 2):
        raise BtfError(f"{origin}: the ELF header is cut off or damaged", 4)
    mark, wide = "<>"[start[5] - 1], start[4] == 2
    head = Packer(mark + ("40xQ10xHHH" if wide else "32xI10xHHH"))
    if len(start) < head.size:
        raise BtfError(f"{origin}: the ELF header is cut off", len(start))
    table, each, count, names = head.unpack(start[: head.size])
    layout = mark + ("IIQ8xQQI" if wide else "III4xIII")
    if not table:
        raise BtfError(f"{origin}: the ELF file has no sections")
    if each < calcsize(layout) or table + each > len(raw):
        raise BtfError(f"{origin}: the ELF file's section table lies outside of it", table)
    first = _Section(*Packer(layout).unpack(raw[table : table + calcsize(layout)]))
    count = count or first.size  # more than 65,279 sections: the number is in the first row
    names = first.link if names == EXTENDED else names
    if table + each * count > len(raw) or names >= count:
        raise BtfError(f"{origin}: the ELF file's section table lies outside of it", table)
    if count > MOST_SECTIONS:
        raise BtfError(f"{origin}: the ELF file has {count} sections; more than {MOST_SECTIONS} are not read", table)
    whole = bytes(raw[table : table + each * count])
    if len(whole) < each * count:
        raise BtfError(f"{origin}: the ELF file was cut off while it was read", table)
    rows = _rows(whole, Packer(layout), each)
    return rows, _bytes(raw, rows[names], origin)


def _rows(table: bytes, packer: Packer, each: int) -> list[_Section]:
    return [_Section(*packer.unpack(table[at : at + packer.size])) for at in range(0, len(table), each)]


def _bytes(raw: Bytes, row: _Section, origin: str) -> bytes:
    if row.offset + row.size > len(raw):
        raise BtfError(f"{origin}: an ELF section of {row.size} bytes at {row.offset} reaches beyond the end", row.offset)
    return bytes(raw[row.offset : row.offset + row.size])
