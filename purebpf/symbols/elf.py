"""The functions of an ELF file (gABI, "Symbol Table"), for addresses as offsets in the file. pyelftools finds the tables; the
symbols, of which there may be a million, are unpacked here.

A stripped file's own full table may be in a debug file of the same build id (/usr/lib/debug/.build-id).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from io import BytesIO
from struct import Struct

from purebpf.errors import Error
from purebpf.symbols.cxx import readable
from purebpf.symbols.table import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

DEBUG_FILES = "/usr/lib/debug/.build-id"
LAYOUTS = {64: "IBBHQQ", 32: "IIIBBH"}  # Elf64_Sym, Elf32_Sym
NOTYPE, FUNC, IFUNC = 0, 2, 10
CODE = (NOTYPE, FUNC, IFUNC)
LOCAL, GLOBAL, WEAK = 0, 1, 2
RANK = {WEAK: 1, GLOBAL: 2}
MOST_FILES = 256


class ElfSymbols:
    """`build_id` is in hex, "" without one. `source` is the file whose table was taken: the file, its debug file, or "" where
    there is no symbol at all."""

    def __init__(self, elf: Any, path: str) -> None:
        self.build_id = _build_id(elf)
        self._segments = sorted(
            (s["p_offset"], s["p_offset"] + s["p_filesz"], s["p_vaddr"]) for s in elf.iter_segments("PT_LOAD") if s["p_filesz"]
        )
        self._starts = [segment[0] for segment in self._segments]
        self.source = path
        symbols = _symbols(elf, ".symtab")
        if not symbols and (debug := debug_file(self.build_id)):
            symbols = _symbols_of(debug)
            self.source = debug if symbols else path
        if not symbols:
            symbols = _symbols(elf, ".dynsym")
        self.table = Table(symbols)
        if not symbols:
            self.source = ""

    def find(self, offset: int) -> tuple[str, int] | None:
        """(name, bytes from its start) of the function at an offset in the file; None where no symbol covers it."""
        at = bisect_right(self._starts, offset) - 1
        if at < 0 or offset >= self._segments[at][1]:
            return None
        start, _, address = self._segments[at]
        found = self.table.find(offset - start + address)
        return (readable(found[0]), found[1]) if found else None


def _build_id(elf: Any) -> str:
    section = elf.get_section_by_name(".note.gnu.build-id")
    notes = section.iter_notes() if section is not None else ()
    return next((str(note["n_desc"]) for note in notes if note["n_type"] == "NT_GNU_BUILD_ID"), "")


def debug_file(build_id: str) -> str | None:
    """The separate debug file of this build, if it is installed."""
    path = f"{DEBUG_FILES}/{build_id[:2]}/{build_id[2:]}.debug"
    return path if build_id and os.path.isfile(path) else None


def _symbols_of(path: str) -> list[tuple[int, int, str]]:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with open(path, "rb") as file:
            return _symbols(ELFFile(file), ".symtab")
    except (ELFError, OSError):
        return []


def _symbols(elf: Any, section: str) -> list[tuple[int, int, str]]:
    """The functions in one table. Of several at one address the best name comes last: a function's before a mere label's,
    then a larger one's, then a global one's, then one with fewer underscores in front."""
    table = elf.get_section_by_name(section)
    if table is None or table["sh_type"] == "SHT_NOBITS":
        return []
    names = elf.get_section(table["sh_link"]).data()
    wide = elf.elfclass == 64
    layout = Struct(("<" if elf.little_endian else ">") + LAYOUTS[elf.elfclass])
    data = table.data()
    data = data[: len(data) // layout.size * layout.size]
    found = []
    for entry in layout.iter_unpack(data):
        name, info, section_number, value, size = (
            (entry[0], entry[1], entry[3], entry[4], entry[5]) if wide else (entry[0], entry[3], entry[5], entry[1], entry[2])
        )
        if info & 15 in CODE and section_number and value and name:
            kind = info & 15
            if elf["e_machine"] == "EM_ARM":
                value &= ~1  # a Thumb function's
            text = names[name : names.find(b"\0", name)].decode("utf-8", "replace")
            if kind == NOTYPE and text.startswith("$"):  # marks code and data on ARM and RISC-V
                continue
            bare = len(text) - len(text.lstrip("_"))
            found.append((value, kind != NOTYPE, size, RANK.get(info >> 4, 0), -bare, text))
    found.sort()
    return [(value, value + size if size else 0, text) for value, _, size, _, _, text in found]


def read_elf(file: IO[bytes], path: str) -> ElfSymbols:
    """The symbols of an open file. Raises Error for one that is no ELF file."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        return ElfSymbols(ELFFile(file), path)
    except (ELFError, ValueError, KeyError, AssertionError, UnicodeDecodeError) as error:
        raise Error(f"{path} cannot be read as an ELF file: {error}.") from error


_read: dict[tuple[int, ...], ElfSymbols] = {}  # by what says that a file is the same, whatever the way to it


def elf_symbols(path: str, name: str = "") -> ElfSymbols:
    """The symbols of a file, read once for each state of it. `name` is its name in messages where the path is another way to
    it. Raises Error, and OSError where it cannot be opened."""
    with open(path, "rb") as file:
        told = os.fstat(file.fileno())
        identity = told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns
        if identity not in _read:
            if len(_read) >= MOST_FILES:
                _read.pop(next(iter(_read)))
            _read[identity] = read_elf(file, name or path)
        return _read[identity]


def symbols_of_bytes(data: bytes, name: str) -> ElfSymbols:
    """The same for an image in memory, such as the vdso."""
    return read_elf(BytesIO(data), name)
