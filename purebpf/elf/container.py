"""An ELF object file as plain data: its sections, symbols and relocations (gABI, "Object Files"; for eBPF RFC 9669 names none).

Tables of names, of symbols and of relocations are no sections here: they are read into `symbols` and `relocations`, and
`written` makes them anew. A symbol names its section, and a relocation its symbol, by their places in the lists. pyelftools
reads the headers; the tables, which may have tens of thousands of entries, are unpacked here.

Whatever is wrong with a file raises ElfError.
"""

from __future__ import annotations

from io import BytesIO
from struct import Struct

from purebpf.data import data
from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NULL, PROGBITS, SYMTAB, STRTAB, RELA, NOBITS, REL, GROUP, SYMTAB_SHNDX = 0, 1, 2, 3, 4, 8, 9, 17, 18
WRITE, ALLOC, EXECUTE, MERGE, STRINGS, COMPRESSED = 1, 2, 4, 0x10, 0x20, 0x800
LOCAL, GLOBAL, WEAK = 0, 1, 2
NOTYPE, OBJECT, FUNCTION, SECTION, FILE = 0, 1, 2, 3, 4
DEFAULT, INTERNAL, HIDDEN = 0, 1, 2
UNDEFINED, ABSOLUTE, COMMON = -1, -2, -3  # in place of a symbol's section
SPECIAL = {0: UNDEFINED, 0xFFF1: ABSOLUTE, 0xFFF2: COMMON}
EXTENDED = 0xFFFF  # the number of a symbol's section is in a table beside
R_BPF_64_64, R_BPF_64_ABS64, R_BPF_64_ABS32, R_BPF_64_NODYLD32, R_BPF_64_32 = 1, 2, 3, 4, 10
EM_BPF, OLD_EM_BPF = 247, 0  # before 2016 compilers wrote EM_NONE

SYMBOL, REL_ENTRY, RELA_ENTRY = "IBBHQQ", "QQ", "QQq"
SECTION_HEADER, FILE_HEADER = "IIQQQQIIQQ", "4sBBBB8xHHIQQQIHHHHHH"
MOST_SECTIONS = 100_000


class ElfError(Error):
    """The file is no ELF object file for eBPF, or damaged."""


@data
class Section:
    """`size` is bytes: those of `data`, but for a section that is only reserved (NOBITS) and has none."""

    name: str
    type: int = PROGBITS
    flags: int = 0
    data: bytes = b""
    size: int = 0
    align: int = 1
    entry_size: int = 0


@data
class Symbol:
    """`section` is a place in the list of sections, or UNDEFINED, ABSOLUTE, COMMON; `value` the byte in that section."""

    name: str
    value: int = 0
    size: int = 0
    binding: int = LOCAL
    kind: int = NOTYPE
    section: int = UNDEFINED
    visibility: int = DEFAULT


@data
class Relocation:
    """The bytes at `offset` in its section are to hold what `symbol`, a place in the list of symbols, turns out to be.
    `addend` is None where the bytes themselves hold what is added."""

    offset: int
    type: int
    symbol: int
    addend: int | None = None


@data
class ElfObject:
    """`relocations` by the place of the section that they are for."""

    byte_order: str
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: dict[int, tuple[Relocation, ...]]
    machine: int = EM_BPF

    def section(self, name: str) -> int | None:
        """The place of the first section of a name."""
        return next((place for place, section in enumerate(self.sections) if section.name == name), None)


def read(raw: bytes, origin: str = "the object") -> ElfObject:
    """The object in these bytes. `origin` stands for it in errors."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    if raw[:4] != b"\x7fELF":
        raise ElfError(f"{origin} is no ELF file: it begins with {raw[:4].hex(' ') or 'nothing'}, not with 7f 45 4c 46")
    try:
        headers, order, machine, names = _headers(ELFFile(BytesIO(raw)), len(raw), origin)
    except (ELFError, ValueError, KeyError, AttributeError, AssertionError, UnicodeDecodeError, RecursionError) as error:
        raise ElfError(f"{origin}: the ELF header is damaged: {error or type(error).__name__}") from error
    return _Reader(raw, headers, order, machine, names, origin).object()


def _headers(elf: Any, size: int, origin: str) -> tuple[list[Any], str, int, int]:
    """(section headers, byte order, machine, the place of the section that holds the names)."""
    from elftools.common.utils import struct_parse

    if elf.elfclass != 64:
        raise ElfError(f"{origin}: it is a file for {elf.elfclass}-bit machines; eBPF has 64 bits")
    head, each = elf.header, elf.header["e_shentsize"]
    machine = {"EM_BPF": EM_BPF, "EM_NONE": OLD_EM_BPF}.get(head["e_machine"])
    if machine is None:
        raise ElfError(
            f"{origin}: it is a file for {str(head['e_machine']).removeprefix('EM_')}, not for eBPF (EM_BPF, {EM_BPF})"
        )
    if head["e_type"] != "ET_REL":
        raise ElfError(f"{origin}: it is no relocatable object file, but {str(head['e_type']).removeprefix('ET_')}")
    start = head["e_shoff"]
    if not start or each < Struct("<" + SECTION_HEADER).size:
        raise ElfError(f"{origin}: it has no sections")
    count = elf.num_sections()
    if count > MOST_SECTIONS or start + each * count > size:
        raise ElfError(f"{origin}: its table of {count} sections lies outside of it")
    headers = [struct_parse(elf.structs.Elf_Shdr, elf.stream, stream_pos=start + each * place) for place in range(count)]
    return headers, "little" if elf.little_endian else "big", machine, elf.get_shstrndx()


class _Reader:
    """One file being read."""

    def __init__(self, raw: bytes, headers: list[Any], order: str, machine: int, names: int, origin: str) -> None:
        self.raw, self.headers, self.order, self.machine, self.origin = raw, headers, order, machine, origin
        self.mark = "<" if order == "little" else ">"
        if names >= len(headers):
            raise ElfError(f"{origin}: the section that holds the names, {names}, is not there")
        self.names = self.content(names)
        self.types = [TYPES.get(header["sh_type"], PROGBITS) for header in headers]
        tables = (NULL, SYMTAB, STRTAB, REL, RELA, SYMTAB_SHNDX)
        kept = [number for number in range(len(headers)) if self.types[number] not in tables]
        self.places = {number: place for place, number in enumerate(kept)}

    def object(self) -> ElfObject:
        sections = tuple(self.section(number) for number in self.places)
        tables = [number for number, type in enumerate(self.types) if type == SYMTAB]
        if len(tables) > 1:
            raise ElfError(f"{self.origin}: it has {len(tables)} symbol tables, not one")
        symbols = self.symbols(tables[0]) if tables else ()
        relocations: dict[int, tuple[Relocation, ...]] = {}
        for number, type in enumerate(self.types):
            target = self.headers[number]["sh_info"]
            if type not in (REL, RELA) or target not in self.places:
                continue
            if self.headers[number]["sh_link"] not in tables:
                raise ElfError(f"{self.origin}: the relocations in section {number} name no symbol table")
            place = self.places[target]
            relocations[place] = relocations.get(place, ()) + self.relocations(number, type, len(symbols))
        return ElfObject(self.order, sections, symbols, relocations, self.machine)

    def content(self, number: int) -> bytes:
        """The bytes of a section."""
        header = self.headers[number]
        start, size = header["sh_offset"], header["sh_size"]
        if TYPES.get(header["sh_type"]) in (NOBITS, NULL):
            return b""
        if start + size > len(self.raw):
            raise ElfError(f"{self.origin}: section {number} of {size} bytes at {start} reaches beyond the end")
        return self.raw[start : start + size]

    def text(self, names: bytes, at: int, what: str) -> str:
        end = names.find(b"\0", at)
        if at >= len(names) or end < 0:
            if not at:
                return ""
            raise ElfError(f"{self.origin}: the name of {what} lies outside of the names, at {at}")
        return names[at:end].decode("utf-8", "replace")

    def section(self, number: int) -> Section:
        header = self.headers[number]
        name = self.text(self.names, header["sh_name"], f"section {number}")
        if header["sh_flags"] & COMPRESSED:
            raise ElfError(f"{self.origin}: the section {name} is compressed; decompress it first (objcopy does)")
        return Section(
            name,
            self.types[number],
            header["sh_flags"],
            self.content(number),
            header["sh_size"],
            header["sh_addralign"],
            header["sh_entsize"],
        )

    def rows(self, number: int, layout: str, what: str) -> Any:
        entry, content = Struct(self.mark + layout), self.content(number)
        if len(content) % entry.size:
            raise ElfError(f"{self.origin}: the {what} of {len(content)} bytes has entries of {entry.size}")
        return entry.iter_unpack(content)

    def symbols(self, number: int) -> tuple[Symbol, ...]:
        link = self.headers[number]["sh_link"]
        if link >= len(self.headers) or self.types[link] != STRTAB:
            raise ElfError(f"{self.origin}: the symbol table has no table of names")
        names = self.content(link)
        far = next((n for n, t in enumerate(self.types) if t == SYMTAB_SHNDX and self.headers[n]["sh_link"] == number), None)
        beside = [each for (each,) in self.rows(far, "I", "table of symbols' sections")] if far is not None else []
        found = []
        for at, (name, info, other, index, value, size) in enumerate(self.rows(number, SYMBOL, "symbol table")):
            text = self.text(names, name, f"symbol {at}")
            if index == EXTENDED and at < len(beside):
                place = self.places.get(beside[at])
            else:
                place = SPECIAL[index] if index in SPECIAL else self.places.get(index)
            if place is None:
                if index >= len(self.headers):
                    raise ElfError(f"{self.origin}: the symbol {text or at} is in section {index}, which is not there")
                place = ABSOLUTE  # in a table, of which nobody asks
            found.append(Symbol(text, value, size, info >> 4, info & 15, place, other & 3))
        return tuple(found)

    def relocations(self, number: int, type: int, symbols: int) -> tuple[Relocation, ...]:
        found = []
        for row in self.rows(number, RELA_ENTRY if type == RELA else REL_ENTRY, "relocations"):
            symbol = row[1] >> 32
            if symbol >= symbols:
                raise ElfError(f"{self.origin}: a relocation at {row[0]} is of symbol {symbol}; there are {symbols}")
            found.append(Relocation(row[0], row[1] & 0xFFFFFFFF, symbol, row[2] if type == RELA else None))
        return tuple(found)


TYPES: dict[Any, int] = {
    "SHT_NULL": NULL,
    "SHT_PROGBITS": PROGBITS,
    "SHT_SYMTAB": SYMTAB,
    "SHT_STRTAB": STRTAB,
    "SHT_RELA": RELA,
    "SHT_NOBITS": NOBITS,
    "SHT_REL": REL,
    "SHT_GROUP": GROUP,
    "SHT_SYMTAB_SHNDX": SYMTAB_SHNDX,
}


def written(elf: ElfObject) -> bytes:
    """The object as a file: the same for equal objects. Symbols that are local come first, as the gABI wants it."""
    order = sorted(range(len(elf.symbols)), key=lambda place: elf.symbols[place].binding != LOCAL)
    if not order or elf.symbols[order[0]] != Symbol(""):
        order.insert(0, -1)
    moved = {place: number for number, place in enumerate(order)}
    return _Writer(elf, order, moved).file()


class _Writer:
    """One file being written."""

    def __init__(self, elf: ElfObject, order: list[int], moved: dict[int, int]) -> None:
        self.elf, self.order, self.moved = elf, order, moved
        self.mark = "<" if elf.byte_order == "little" else ">"
        self.names, self.places = bytearray(b"\0"), {"": 0}
        self.body, self.headers = bytearray(64), [bytes(64)]

    def file(self) -> bytes:
        for section in self.elf.sections:
            size = section.size if section.type == NOBITS else len(section.data)
            self.add(section.name, section.type, section.flags, section.data, size, (0, 0), section.align, section.entry_size)
        table = len(self.elf.sections) + 1 + len(self.elf.relocations)
        for place, relocations in sorted(self.elf.relocations.items()):
            self.add_relocations(place, relocations, table)
        local = sum(place < 0 or self.elf.symbols[place].binding == LOCAL for place in self.order)
        symbols = b"".join(self.symbol(place) for place in self.order)
        self.add(".symtab", SYMTAB, 0, symbols, len(symbols), (table + 1, local), 8, 24)
        self.place(".strtab")  # holds the names of symbols and sections alike, its own among them
        self.add(".strtab", STRTAB, 0, bytes(self.names), len(self.names), (0, 0), 1, 0)
        self.align(8)
        magic, start, count = b"\x7fELF", len(self.body), len(self.headers)
        encoding = 1 if self.elf.byte_order == "little" else 2
        fields = (magic, 2, encoding, 1, 0, 1, self.elf.machine, 1, 0, 0, start, 0, 64, 0, 0, 64, count, count - 1)
        self.body[:64] = Struct(self.mark + FILE_HEADER).pack(*fields)
        return bytes(self.body) + b"".join(self.headers)

    def place(self, text: str) -> int:
        if text not in self.places:
            self.places[text] = len(self.names)
            self.names += text.encode() + b"\0"
        return self.places[text]

    def align(self, to: int) -> None:
        self.body += bytes(-len(self.body) % max(1, to))

    def add(
        self, name: str, type: int, flags: int, content: bytes, size: int, about: tuple[int, int], align: int, each: int
    ) -> None:
        self.align(align)
        row = (self.place(name), type, flags, 0, len(self.body), size, *about, align, each)
        self.headers.append(Struct(self.mark + SECTION_HEADER).pack(*row))
        self.body += content

    def add_relocations(self, place: int, relocations: tuple[Relocation, ...], table: int) -> None:
        added = any(each.addend is not None for each in relocations)
        layout = Struct(self.mark + (RELA_ENTRY if added else REL_ENTRY))
        rows = []
        for each in relocations:
            about = self.moved[each.symbol] << 32 | each.type
            rows.append(layout.pack(each.offset, about, each.addend or 0) if added else layout.pack(each.offset, about))
        name = (".rela" if added else ".rel") + self.elf.sections[place].name
        content = b"".join(rows)
        self.add(name, RELA if added else REL, 0, content, len(content), (table, place + 1), 8, layout.size)

    def symbol(self, place: int) -> bytes:
        if place < 0:
            return bytes(24)
        symbol = self.elf.symbols[place]
        numbers = {special: number for number, special in SPECIAL.items()}
        section = numbers[symbol.section] if symbol.section < 0 else symbol.section + 1
        info = symbol.binding << 4 | symbol.kind
        return Struct(self.mark + SYMBOL).pack(
            self.place(symbol.name), info, symbol.visibility, section, symbol.value, symbol.size
        )
