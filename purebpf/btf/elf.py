"""Finds a section of an ELF file (the System V ABI, gABI chapter 4): 32 and 64 bits, both byte orders. Nothing else is read.

The file is not trusted: whatever points outside of it is a `BtfError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct as Packer
from struct import calcsize

from purebpf.btf.errors import BtfError
from purebpf.data import data

MAGIC = b"\x7fELF"
NO_BITS, COMPRESSED, EXTENDED = 8, 0x800, 0xFFFF  # SHT_NOBITS, SHF_COMPRESSED, SHN_XINDEX


@data
class _Section:
    """A row of the section table: where its name is among the names, and where its bytes are in the file."""

    name: int
    type: int
    flags: int
    offset: int
    size: int
    link: int


def elf_sections(raw: memoryview, names: tuple[str, ...], origin: str) -> dict[str, memoryview]:
    """The bytes of those of the named sections that the file has."""
    rows, strings = _table(raw, origin)
    found: dict[str, memoryview] = {}
    sought = {name.encode() + b"\0": name for name in names}
    longest = max(map(len, sought))
    for row in rows:
        text = bytes(strings[row.name : row.name + longest])
        for name in (sought[key] for key in sought if text.startswith(key)):
            if row.flags & COMPRESSED:
                raise BtfError(f"{origin}: the section {name} is compressed; decompress it first (objcopy does)")
            if row.type != NO_BITS:
                found.setdefault(name, _bytes(raw, row, origin))
    return found


def _table(raw: memoryview, origin: str) -> tuple[list[_Section], memoryview]:
    """The section table, and the bytes of the section that holds the names."""
    if len(raw) < 52 or raw[4] not in (1, 2) or raw[5] not in (1, 2):
        raise BtfError(f"{origin}: the ELF header is cut off or damaged", 4)
    mark, wide = "<>"[raw[5] - 1], raw[4] == 2
    head = Packer(mark + ("40xQ10xHHH" if wide else "32xI10xHHH"))
    if len(raw) < head.size:
        raise BtfError(f"{origin}: the ELF header is cut off", len(raw))
    table, each, count, names = head.unpack(raw[: head.size])
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
    rows = list(_rows(raw, Packer(layout), table, each, count))
    return rows, _bytes(raw, rows[names], origin)


def _rows(raw: memoryview, packer: Packer, table: int, each: int, count: int) -> Iterator[_Section]:
    for at in range(table, table + each * count, each):
        yield _Section(*packer.unpack(raw[at : at + packer.size]))


def _bytes(raw: memoryview, row: _Section, origin: str) -> memoryview:
    if row.offset + row.size > len(raw):
        raise BtfError(f"{origin}: an ELF section of {row.size} bytes at {row.offset} reaches beyond the end", row.offset)
    return raw[row.offset : row.offset + row.size]
