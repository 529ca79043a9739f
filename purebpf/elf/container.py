"""An ELF object file as plain data: its sections, symbols and relocations (gABI, "Object Files"; for eBPF RFC 9669 names none).

Tables of names, of symbols and of relocations are no sections here: they are read into `symbols` and `relocations`, and
`written` makes them anew. A symbol names its section, and a relocation its symbol, by their places in the lists. A few headers
are all that is read of ELF itself, so no library is taken: importing one would take as long as loading thirty programs.

Whatever is wrong with a file raises ElfError. What a damaged one can claim is bounded by its size: sections that overlap and
names that are endless are refused before they are copied.
"""

from __future__ import annotations

from collections.abc import Iterator
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
ELF64, ORDERS, RELOCATABLE = 2, {1: "little", 2: "big"}, 1  # of the file header: class, data, type
KNOWN = frozenset({NULL, PROGBITS, SYMTAB, STRTAB, RELA, NOBITS, REL, GROUP, SYMTAB_SHNDX})  # all else is read as PROGBITS
TABLES = frozenset({NULL, SYMTAB, STRTAB, REL, RELA, SYMTAB_SHNDX})
MOST_SECTIONS = 100_000
LONGEST_NAME = 4096  # as in BTF


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


@data
class Header:
    """A section's header: `type` is one of KNOWN, `link` and `info` are numbers of other sections."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


HOW = "Objects for eBPF are made by `clang -g -O2 -target bpf -c x.c` and by `purebpf build x.py -o x.o`"


def read(raw: bytes, origin: str = "the object") -> ElfObject:
    """The object in these bytes. `origin` stands for it in errors."""
    if raw[:4] != b"\x7fELF":
        raise ElfError(f"{origin} is no ELF file: it begins with {raw[:4].hex(' ') or 'nothing'}, not with 7f 45 4c 46. {HOW}")
    if len(raw) < Struct("<" + FILE_HEADER).size:
        raise ElfError(f"{origin}: the ELF header is damaged: it has {len(raw)} bytes")
    if raw[4] != ELF64:
        raise ElfError(f"{origin}: it is a file for {32 * raw[4]}-bit machines; eBPF has 64 bits")
    if raw[5] not in ORDERS:
        raise ElfError(f"{origin}: the ELF header is damaged: {raw[5]} is no byte order")
    order = ORDERS[raw[5]]
    headers, machine, names = _headers(raw, "<" if order == "little" else ">", origin)
    return _Reader(raw, headers, order, machine, names, origin).object()


def _headers(raw: bytes, mark: str, origin: str) -> tuple[list[Header], int, int]:
    """(section headers, machine, the place of the section that holds the names)."""
    head = Struct(mark + FILE_HEADER).unpack_from(raw)
    type, machine, start, each, count, names = head[5], head[6], head[10], head[15], head[16], head[17]
    if machine not in (EM_BPF, OLD_EM_BPF):
        other = MACHINES.get(machine, f"machine {machine}")
        raise ElfError(f"{origin}: it is a file for {other}, not for eBPF (EM_BPF, {EM_BPF}). {HOW}")
    if type != RELOCATABLE:
        raise ElfError(f"{origin}: it is no relocatable object file, but {FILE_TYPES.get(type, f'of type {type}')}")
    layout = Struct(mark + SECTION_HEADER)
    if not start or each < layout.size:
        raise ElfError(f"{origin}: it has no sections")
    if start + each > len(raw):
        raise ElfError(f"{origin}: its table of sections lies outside of it")
    first = Header(*layout.unpack_from(raw, start))
    count = count or first.size  # when there are too many for the field
    if count > MOST_SECTIONS or start + each * count > len(raw):
        raise ElfError(f"{origin}: its table of {count} sections lies outside of it")
    headers = []
    for place in range(count):
        row = layout.unpack_from(raw, start + each * place)
        headers.append(Header(row[0], row[1] if row[1] in KNOWN else PROGBITS, *row[2:]))
    held = sum(header.size for header in headers if header.type not in (NOBITS, NULL))
    if held > 2 * len(raw):
        raise ElfError(f"{origin}: its sections overlap: they have {held} bytes together, but the file has {len(raw)}")
    return headers, machine, first.link if names == EXTENDED else names


class _Reader:
    """One file being read."""

    def __init__(self, raw: bytes, headers: list[Header], order: str, machine: int, names: int, origin: str) -> None:
        self.raw, self.headers, self.order, self.machine, self.origin = raw, headers, order, machine, origin
        self.mark = "<" if order == "little" else ">"
        if names >= len(headers):
            raise ElfError(f"{origin}: the section that holds the names, {names}, is not there")
        self.names = self.content(names)
        self.types = [header.type for header in headers]
        kept = [number for number, type in enumerate(self.types) if type not in TABLES]
        self.places = {number: place for place, number in enumerate(kept)}

    def object(self) -> ElfObject:
        sections = tuple(self.section(number) for number in self.places)
        tables = [number for number, type in enumerate(self.types) if type == SYMTAB]
        if len(tables) > 1:
            raise ElfError(f"{self.origin}: it has {len(tables)} symbol tables, not one")
        symbols = self.symbols(tables[0]) if tables else ()
        relocations: dict[int, list[Relocation]] = {}
        for number, header in enumerate(self.headers):
            if header.type not in (REL, RELA) or header.info not in self.places:
                continue
            if header.link not in tables:
                raise ElfError(f"{self.origin}: the relocations in section {number} name no symbol table")
            relocations.setdefault(self.places[header.info], []).extend(self.relocations(number, len(symbols)))
        found = {place: tuple(each) for place, each in relocations.items()}
        return ElfObject(self.order, sections, symbols, found, self.machine)

    def content(self, number: int) -> bytes:
        """The bytes of a section."""
        header = self.headers[number]
        start, size = header.offset, header.size
        if header.type in (NOBITS, NULL):
            return b""
        if start + size > len(self.raw):
            raise ElfError(f"{self.origin}: section {number} of {size} bytes at {start} reaches beyond the end")
        return self.raw[start : start + size]

    def text(self, names: bytes, at: int, what: str) -> str:
        end = names.find(b"\0", at, at + LONGEST_NAME)
        if end < 0:
            if not at and not names:
                return ""
            raise ElfError(f"{self.origin}: the name of {what} lies outside of the names, at {at}, or has no end")
        return names[at:end].decode("utf-8", "replace")

    def section(self, number: int) -> Section:
        header = self.headers[number]
        name = self.text(self.names, header.name, f"section {number}")
        if header.flags & COMPRESSED:
            raise ElfError(f"{self.origin}: the section {name} is compressed; decompress it first (objcopy does)")
        return Section(
            name,
            self.types[number],
            header.flags,
            self.content(number),
            header.size,
            header.align,
            header.entry_size,
        )

    def rows(self, number: int, layout: str, what: str) -> Any:
        entry, content = Struct(self.mark + layout), self.content(number)
        if len(content) % entry.size:
            raise ElfError(f"{self.origin}: the {what} of {len(content)} bytes has entries of {entry.size}")
        return entry.iter_unpack(content)

    def symbols(self, number: int) -> tuple[Symbol, ...]:
        link = self.headers[number].link
        if link >= len(self.headers) or self.types[link] != STRTAB:
            raise ElfError(f"{self.origin}: the symbol table has no table of names")
        names = self.content(link)
        far = next((n for n, t in enumerate(self.types) if t == SYMTAB_SHNDX and self.headers[n].link == number), None)
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

    def relocations(self, number: int, symbols: int) -> Iterator[Relocation]:
        added = self.types[number] == RELA
        for row in self.rows(number, RELA_ENTRY if added else REL_ENTRY, "relocations"):
            symbol = row[1] >> 32
            if symbol >= symbols:
                raise ElfError(f"{self.origin}: a relocation at {row[0]} is of symbol {symbol}; there are {symbols}")
            yield Relocation(row[0], row[1] & 0xFFFFFFFF, symbol, row[2] if added else None)


MACHINES = {3: "386", 40: "ARM", 62: "X86_64", 183: "AARCH64", 243: "RISCV"}
FILE_TYPES = {2: "EXEC", 3: "DYN", 4: "CORE"}


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
