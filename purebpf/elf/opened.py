"""An object file whose parts are known: its sections and symbols, its BTF, and what `.BTF.ext` tells of its instructions.

Compilers leave holes in the types of data sections (their sizes, and where global variables are), which symbols fill; functions
and variables that are hidden become static. What other loaders tell the kernel is the same.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from functools import cached_property

from purebpf.btf.reader import Btf
from purebpf.btf.types import DataSec, DeclTag, Func, Linkage, Section, Type, Var
from purebpf.data import replace
from purebpf.elf.container import (
    EXECUTE,
    FUNCTION,
    GLOBAL,
    HIDDEN,
    INTERNAL,
    NOTYPE,
    OBJECT,
    PROGBITS,
    WEAK,
    ElfError,
    ElfObject,
    Relocation,
    Symbol,
)
from purebpf.elf.ext import Ext
from purebpf.elf.ext import read as read_ext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder

CONCEALED = (HIDDEN, INTERNAL)
LABELS = ("LBB", ".L")  # how compilers begin the names of places within functions
OF_THE_KERNEL = (".kconfig", ".ksyms")  # sections of variables that the object does not have itself


class Opened:
    """One object file. `types` are its BTF's, the first one at 0, with the holes filled; `btf` is the BTF as it is."""

    def __init__(self, elf: ElfObject, origin: str) -> None:
        self.elf, self.origin = elf, origin
        self.sections = elf.sections
        self.order: ByteOrder = "little" if elf.byte_order == "little" else "big"
        self.btf = self._btf()
        self.types = self._types()

    def wrong(self, what: str, place: int | None = None, offset: int | None = None) -> ElfError:
        """The error that something is wrong, in a section and at a byte of it."""
        where = "" if place is None else f": section {self.sections[place].name}"
        at = "" if offset is None else f" at {offset:#x}"
        return ElfError(f"{self.origin}{where}{at}: {what}")

    def number(self, data: bytes) -> int:
        return int.from_bytes(data, self.order)

    def bytes_of(self, number: int, size: int = 4) -> bytes:
        return number.to_bytes(size, self.order)

    def _content(self, name: str) -> bytes:
        place = self.elf.section(name)
        return b"" if place is None else self.sections[place].data

    def _btf(self) -> Btf | None:
        raw = self._content(".BTF")
        if not raw:
            return None
        btf = Btf(raw, origin=f"{self.origin}: .BTF")
        if btf.byteorder != self.order:
            raise self.wrong(f"it is {btf.byteorder}-endian, and the file is {self.order}-endian", self.elf.section(".BTF"))
        return btf

    @cached_property
    def ext(self) -> Ext:
        """What is known of instructions."""
        raw = self._content(".BTF.ext")
        return read_ext(raw, self.btf, f"{self.origin}: .BTF.ext") if raw and self.btf is not None else Ext()

    @cached_property
    def symbols(self) -> dict[int, list[Symbol]]:
        """The named symbols of each section, by the byte they are at; of the same byte in the order of the table."""
        found: dict[int, list[Symbol]] = defaultdict(list)
        for symbol in self.elf.symbols:
            if symbol.name and symbol.section >= 0:
                found[symbol.section].append(symbol)
        for each in found.values():
            each.sort(key=lambda symbol: symbol.value)
        return dict(found)

    def functions(self, place: int) -> list[Symbol]:
        """The symbols of functions in a section; where none is marked as one (old compilers), all that are no labels."""
        symbols = [symbol for symbol in self.symbols.get(place, ()) if symbol.kind in (FUNCTION, NOTYPE)]
        marked = [symbol for symbol in symbols if symbol.kind == FUNCTION]
        return marked or [symbol for symbol in symbols if not symbol.name.startswith(LABELS)]

    def relocations(self, place: int) -> tuple[Relocation, ...]:
        """Those of a section, by their bytes."""
        return tuple(sorted(self.elf.relocations.get(place, ()), key=lambda each: each.offset))

    def code_sections(self) -> list[int]:
        """The sections with instructions."""
        return [
            place
            for place, section in enumerate(self.sections)
            if section.type == PROGBITS and section.flags & EXECUTE and section.data
        ]

    @cached_property
    def datasecs(self) -> dict[str, int]:
        """The numbers of the types of data sections by their names."""
        return {type.name: number for number, type in enumerate(self.types, 1) if isinstance(type, DataSec)}

    def variables(self, section: str) -> list[tuple[Var | Func, int, Section]]:
        """(variable, its number, its place) of a data section, by their bytes. Functions are in `.ksyms`."""
        found: list[tuple[Var | Func, int, Section]] = []
        whole = self.types[self.datasecs[section] - 1] if section in self.datasecs else None
        for each in whole.variables if isinstance(whole, DataSec) else ():
            type = self.types[each.type - 1] if each.type else None
            if not isinstance(type, Var | Func):
                raise self.wrong(f"the types of {section} have no variable where type {each.type} is")
            found.append((type, each.type, each))
        return found

    @cached_property
    def tags(self) -> dict[int, list[str]]:
        """Declaration tags on types as a whole, by number."""
        found: dict[int, list[str]] = defaultdict(list)
        for type in self.types:
            if isinstance(type, DeclTag) and type.component < 0:
                found[type.type].append(type.name)
        return dict(found)

    def _types(self) -> tuple[Type, ...]:
        if self.btf is None:
            return ()
        types = [type for _, type in self.btf]
        objects = {s.name: s for s in self.elf.symbols if s.kind == OBJECT and s.section >= 0 and s.binding in (GLOBAL, WEAK)}
        hidden = {s.name for s in self.elf.symbols if s.kind == FUNCTION and s.visibility in CONCEALED}
        for at, type in enumerate(types):
            if isinstance(type, Func) and type.name in hidden and type.linkage is Linkage.GLOBAL:
                types[at] = replace(type, linkage=Linkage.STATIC)
            elif isinstance(type, DataSec):
                types[at] = self._filled(type, types, objects)
        return tuple(types)

    def _filled(self, section: DataSec, types: list[Type], objects: dict[str, Symbol]) -> DataSec:
        """The type of a data section with its size and the places of its variables; those that are hidden become static."""
        place = self.elf.section(section.name)
        if section.name in OF_THE_KERNEL or place is None:
            return section
        filled = []
        for each in section.variables:
            variable = types[each.type - 1] if each.type else None
            symbol = (
                objects.get(variable.name) if isinstance(variable, Var) and variable.linkage is not Linkage.STATIC else None
            )
            if symbol is not None and not section.size:
                each = replace(each, offset=symbol.value)
            if symbol is not None and isinstance(variable, Var) and symbol.visibility in CONCEALED:
                types[each.type - 1] = replace(variable, linkage=Linkage.STATIC)
            filled.append(each)
        filled.sort(key=lambda each: each.offset)
        return replace(section, size=section.size or self.sections[place].size, variables=tuple(filled))


def native(order: str) -> bool:
    """Whether programs of a byte order run on this machine."""
    return order in ("", sys.byteorder)
