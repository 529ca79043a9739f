"""Several objects become one (tools/lib/bpf/linker.c is the measure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from purebpf.btf.builder import BtfBuilder
from purebpf.elf import ext
from purebpf.elf.container import ElfObject, Section, written
from purebpf.elf.linker import info, types
from purebpf.elf.linker.declarations import check_declarations, undefined
from purebpf.elf.linker.parts import BTF, BTF_EXT, LinkError, Part, check_together, read
from purebpf.elf.linker.relocations import relocations
from purebpf.elf.linker.sections import Layout
from purebpf.elf.linker.symbols import Symbols

WORD = 4


def link_objects(objects: Iterable[str | PathLike[str] | bytes]) -> bytes:
    """The object file that these make together; paths, or the files' bytes. The same for the same objects in the same order.

    Global names mean the same in all of them, static ones stay apart, sections of one name are joined, and what nobody defines
    stays for the kernel, or for the next link. Debug information (DWARF) is left out.
    Raises Error for what is no object file for eBPF, and where objects contradict each other: two definitions, other types.
    """
    return linked([opened(each, f"object {number}") for number, each in enumerate(objects, 1)])[0]


def opened(given: str | PathLike[str] | bytes, name: str = "the object") -> Part:
    """One of the objects; `name` stands for bytes in errors."""
    if isinstance(given, bytes):
        return read(name, given)
    try:
        return read(str(given), Path(given).read_bytes())
    except OSError as error:
        raise LinkError(f"{given} cannot be read: {error.strerror}") from error


def linked(parts: Sequence[Part]) -> tuple[bytes, list[str]]:
    """The object file, and the names in it that nobody defines."""
    if not parts:
        raise LinkError("There are no objects to link")
    check_together(parts)
    layout = Layout(parts)
    symbols = Symbols(parts, layout)
    check_declarations(symbols)
    moved = relocations(symbols, layout)
    sections = [merged.section(bytes(merged.content)) for merged in layout.merged]
    sections += _type_sections(parts, symbols, layout)
    elf = ElfObject(parts[0].order, tuple(sections), tuple(symbols.symbols), moved, parts[0].elf.machine)
    return written(elf), undefined(symbols)


def _type_sections(parts: Sequence[Part], symbols: Symbols, layout: Layout) -> list[Section]:
    """`.BTF` and `.BTF.ext`, where there are types."""
    found = types.merged(symbols, layout, info.roots(parts))
    if not found.types:
        return []
    builder = BtfBuilder(parts[0].order)
    for type in found.types:
        builder.define(builder.reserve(), type)
    records = ext.written(info.merged(symbols, layout, found.number), parts[0].order, builder.string)
    sections = [Section(BTF, data=builder.encode(), align=WORD)]
    if any(part.elf.section(BTF_EXT) is not None for part in parts):
        sections.append(Section(BTF_EXT, data=records, align=WORD))
    return sections
