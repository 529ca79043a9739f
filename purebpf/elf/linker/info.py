"""The `.BTF.ext` of the result: the records of the parts, at their new places, without those of what is reached no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from purebpf.elf.ext import CoreRecord, Ext, FunctionRecord, LineRecord
from purebpf.elf.linker.parts import LinkError, Part
from purebpf.elf.linker.sections import Layout
from purebpf.elf.linker.symbols import Dead, Symbols

Record = TypeVar("Record", FunctionRecord, LineRecord, CoreRecord)


def roots(parts: Sequence[Part]) -> Iterable[tuple[int, int]]:
    """The types that records name: (number of the part, number of the type)."""
    for number, part in enumerate(parts):
        yield from ((number, record.type) for records in part.ext.functions.values() for record in records)
        yield from ((number, record.type) for records in part.ext.relocations.values() for record in records)


def merged(symbols: Symbols, layout: Layout, type: Callable[[int, int], int]) -> Ext:
    """The records; `type` gives the new number of a type of a part."""
    found, dead = Ext(), list(symbols.dead())
    for number, part in enumerate(symbols.parts):
        left = _Left(number, part, layout, [each for each in dead if each.part == number])
        for name, functions in part.ext.functions.items():
            by, told = left.of(name, functions)
            rows = [FunctionRecord(each.offset + by, type(number, each.type)) for each in told]
            found.functions.setdefault(name, []).extend(rows)
        for name, lines in part.ext.lines.items():
            by, read = left.of(name, lines)
            moved = [LineRecord(each.offset + by, each.file, each.text, each.line, each.column) for each in read]
            found.lines.setdefault(name, []).extend(moved)
        for name, questions in part.ext.relocations.items():
            by, asked = left.of(name, questions)
            again = [CoreRecord(each.offset + by, type(number, each.type), each.access, each.kind) for each in asked]
            found.relocations.setdefault(name, []).extend(again)
    return found


class _Left:
    """What is left of the records of one part."""

    def __init__(self, number: int, part: Part, layout: Layout, dead: list[Dead]) -> None:
        self.number, self.part, self.layout, self.dead = number, part, layout, dead
        self.places = {section.name: place for place, section in enumerate(part.elf.sections) if place in part.kept}

    def of(self, name: str, records: list[Record]) -> tuple[int, list[Record]]:
        """How far the section's records move, and those of them that are about what is still reached."""
        place = self.places.get(name)
        if place is None:
            if not records:
                return 0, []
            raise LinkError(f"{self.part.name}: its .BTF.ext tells of a section {name!r}, which holds no instructions")
        size, by = self.part.elf.sections[place].size, self.layout.places[self.number, place].offset
        if any(record.offset >= size for record in records):
            raise LinkError(f"{self.part.name}: its .BTF.ext tells of instructions beyond the {size} bytes of {name!r}")
        gone = [each for each in self.dead if each.section == place]
        if gone:
            records = [each for each in records if not any(dead.start <= each.offset < dead.end for dead in gone)]
        return by, records
