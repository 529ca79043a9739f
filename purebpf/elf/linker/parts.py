"""The objects that are linked, each read and checked by itself, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence

from purebpf.btf.reader import Btf
from purebpf.btf.types import DataSec, Func, Linkage, Type, Var, Void
from purebpf.elf import container, ext
from purebpf.elf.container import (
    ALLOC,
    COMMON,
    DEFAULT,
    EXECUTE,
    GLOBAL,
    GROUP,
    HIDDEN,
    LOCAL,
    NOBITS,
    PROGBITS,
    R_BPF_64_32,
    R_BPF_64_64,
    R_BPF_64_ABS32,
    R_BPF_64_ABS64,
    R_BPF_64_NODYLD32,
    UNDEFINED,
    WEAK,
    ElfObject,
    Relocation,
    Section,
)
from purebpf.elf.container import SECTION as SECTION_SYMBOL
from purebpf.elf.ext import Ext
from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

EXCLUDE = 0x80000000
BTF, BTF_EXT = ".BTF", ".BTF.ext"
WIDTHS = {R_BPF_64_64: 16, R_BPF_64_ABS64: 8, R_BPF_64_ABS32: 4, R_BPF_64_NODYLD32: 4, R_BPF_64_32: 8}
SLOT = 8
LARGEST_ALIGNMENT = 1 << 12  # a page
LARGEST_SECTION = (1 << 32) - 1


class LinkError(Error):
    """Objects that cannot be linked: one of them is damaged, or they contradict each other."""


class Part:
    """One object: `name` stands for it in errors. `types` are those of its BTF, from number 1 on; `kept` the places of the
    sections that go into the result; `declared` and `homes` tell where global names are."""

    def __init__(self, name: str, elf: ElfObject) -> None:
        self.name, self.elf = name, elf
        self.order: Literal["little", "big"] = "little" if elf.byte_order == "little" else "big"
        self.btf = self._btf()
        self.types: list[Type] = [type for _, type in self.btf] if self.btf else []
        self.ext = self._ext()
        self.declared, self.homes = self._declared(), self._homes()
        self.kept = frozenset(place for place, section in enumerate(elf.sections) if is_kept(section))
        _check_sections(self)
        _check_symbols(self)
        for place in sorted(self.kept & elf.relocations.keys()):
            for relocation in elf.relocations[place]:
                _check_relocation(self, elf.sections[place], relocation)

    def _content(self, name: str) -> bytes | None:
        place = self.elf.section(name)
        return None if place is None else self.elf.sections[place].data

    def _btf(self) -> Btf | None:
        raw = self._content(BTF)
        if raw is None:
            return None
        found = Btf(raw, origin=f"{self.name}: {BTF}")
        if found.byteorder != self.elf.byte_order:
            raise LinkError(f"{self.name}: its .BTF is {found.byteorder}-endian, the file itself is not")
        return found

    def _ext(self) -> Ext:
        raw = self._content(BTF_EXT)
        if raw is None:
            return Ext()
        if self.btf is None:
            raise LinkError(f"{self.name}: it has a .BTF.ext, but no .BTF that tells what the numbers there are")
        return ext.read(raw, self.btf, f"{self.name}: {BTF_EXT}")

    def _declared(self) -> dict[str, int]:
        """The numbers of functions and variables that are not static, by name: those inside a data section before others."""
        found: dict[str, int] = {}
        inside = {row.type for type in self.types if isinstance(type, DataSec) for row in type.variables}
        for number, type in enumerate(self.types, 1):
            if isinstance(type, Func | Var) and type.linkage != Linkage.STATIC:
                if type.name in found and number in inside and found[type.name] in inside:
                    raise LinkError(f"{self.name}: its BTF has two types for {type.name!r}: {found[type.name]} and {number}")
                if type.name not in found or number in inside:
                    found[type.name] = number
        return found

    def _homes(self) -> dict[int, str]:
        """The data section that a variable or function is in, by its number."""
        found: dict[int, str] = {}
        for number, type in enumerate(self.types, 1):
            if isinstance(type, DataSec):
                for row in type.variables:
                    if not isinstance(self.type(row.type), Func | Var):
                        raise LinkError(f"{self.name}: type {number}, the data section {type.name}, holds what is no variable")
                    found[row.type] = type.name
        return found

    def type(self, number: int) -> Type:
        return self.types[number - 1] if number else Void()


def read(name: str, raw: bytes) -> Part:
    """The object in these bytes. Raises ElfError, BtfError or LinkError."""
    return Part(name, container.read(raw, name))


def check_together(parts: Sequence[Part]) -> None:
    """Raises LinkError for objects of different machines or byte orders."""
    first = parts[0]
    for part in parts[1:]:
        if part.elf.byte_order != first.elf.byte_order:
            orders = f"{first.name} is {first.elf.byte_order}-endian, {part.name} is {part.elf.byte_order}-endian"
            raise LinkError(f"{orders}; compile both for one byte order")
        if part.elf.machine != first.elf.machine:
            raise LinkError(f"{first.name} is for the machine {first.elf.machine}, {part.name} for {part.elf.machine}")


def is_kept(section: Section) -> bool:
    """Whether a section is a part of the result: what is not loaded (debug information, notes) is not, nor is the empty `.text`
    that compilers write always; BTF is made anew."""
    if section.name in (BTF, BTF_EXT) or (section.name == ".text" and not section.size):
        return False
    return bool(section.flags & ALLOC) and not section.flags & EXCLUDE


def _check_sections(part: Part) -> None:
    for section in part.elf.sections:
        if section.type == GROUP:
            raise LinkError(f"{part.name}: it has a group of sections (COMDAT), which is not linked; define it in one object")
    names: set[str] = set()
    for place in sorted(part.kept):
        section = part.elf.sections[place]
        where = f"{part.name}: the section {section.name!r}"
        if not section.name or section.type not in (PROGBITS, NOBITS):
            raise LinkError(f"{where} is of a kind that is not linked (number {place})")
        if section.align & (section.align - 1) or section.align > LARGEST_ALIGNMENT:
            raise LinkError(f"{where} is aligned to {section.align}; alignments are powers of two up to {LARGEST_ALIGNMENT}")
        if section.size > LARGEST_SECTION:
            raise LinkError(f"{where} has {section.size} bytes; the most that BTF can tell is {LARGEST_SECTION}")
        if section.flags & EXECUTE and (section.size % SLOT or section.type == NOBITS):
            raise LinkError(f"{where} of {section.size} bytes holds no whole instructions, which have {SLOT}")
        if section.name in names:
            raise LinkError(f"{where} is there twice; which one its BTF means cannot be told")
        names.add(section.name)


def _check_symbols(part: Part) -> None:
    for symbol in part.elf.symbols:
        what = f"{part.name}: the symbol {symbol.name!r}"
        if symbol.binding not in (LOCAL, GLOBAL, WEAK):
            raise LinkError(f"{what} has the binding {symbol.binding}; there are local (0), global (1) and weak (2)")
        if symbol.visibility not in (DEFAULT, HIDDEN):
            raise LinkError(f"{what} has the visibility {symbol.visibility}; default (0) and hidden (2) are linked")
        if symbol.kind == SECTION_SYMBOL and symbol.binding != LOCAL:
            raise LinkError(f"{what} stands for a section, but is not local")
        if symbol.section == COMMON:
            raise LinkError(f"{what} has no section of its own; compile with -fno-common")
        if symbol.section in part.kept:
            section = part.elf.sections[symbol.section]
            if symbol.value + (0 if symbol.kind == SECTION_SYMBOL else symbol.size) > section.size:
                end = symbol.value + symbol.size
                raise LinkError(f"{what} ends at byte {end} of {section.name!r}, which has {section.size}")
            if symbol.kind == SECTION_SYMBOL and symbol.value:
                raise LinkError(f"{what} stands for a section, but is at its byte {symbol.value}")


def _check_relocation(part: Part, section: Section, relocation: Relocation) -> None:
    where = f"{part.name}: the relocation at byte {relocation.offset} of {section.name!r}"
    if relocation.type not in WIDTHS:
        raise LinkError(f"{where} is of type {relocation.type}, which is not known; known are {sorted(WIDTHS)}")
    if relocation.addend is not None:
        raise LinkError(f"{where} has its addend in the table (RELA); eBPF has it in the instruction (REL)")
    if section.type == NOBITS or relocation.offset + WIDTHS[relocation.type] > section.size:
        raise LinkError(f"{where} lies outside of its {section.size} bytes")
    if section.flags & EXECUTE and relocation.offset % SLOT:
        raise LinkError(f"{where} is inside of an instruction")
    symbol = part.elf.symbols[relocation.symbol]
    if (symbol.section == UNDEFINED and (symbol.binding == LOCAL or not symbol.name)) or (
        symbol.section < 0 and symbol.kind == SECTION_SYMBOL
    ):
        raise LinkError(f"{where} is of no symbol")
    if symbol.section >= 0 and symbol.section not in part.kept:
        name = part.elf.sections[symbol.section].name
        raise LinkError(f"{where} is of {symbol.name or name!r} in {name!r}, which is not loaded")
