"""Damaged object files, each from a seed: a sound one, changed in a few places that mean something.

Changes know the file: headers (sections that overlap, lie outside, have other types and links), symbols, relocations, words of
BTF and of `.BTF.ext`, instructions, definitions of maps; and also what knows nothing, such as cut ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from struct import calcsize, pack_into, unpack_from

VALUES = (0, 1, 2, 3, 4, 7, 8, 16, 24, 31, 32, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
FIELDS = "IIQQQQIIQQ"  # of a section's header: name, type, flags, address, offset, size, link, info, align, entry size
SYMTAB, STRTAB, RELA, NOBITS, REL = 2, 3, 4, 8, 9
SYMBOL_FIELDS = ((0, "I"), (4, "B"), (5, "B"), (6, "H"), (8, "Q"), (16, "Q"))
RELOCATION_FIELDS = ((0, "Q"), (8, "I"), (12, "I"))


@dataclass(slots=True)
class File:
    """The bytes being damaged, and what is known of them: byte order, place and number of the section headers."""

    raw: bytearray
    chance: random.Random
    mark: str
    table: int
    count: int

    def header(self, number: int) -> list[int]:
        at = self.table + 64 * number
        return list(unpack_from(self.mark + FIELDS, self.raw, at)) if at + 64 <= len(self.raw) else [0] * len(FIELDS)

    def of_type(self, *types: int) -> list[list[int]]:
        """Headers of sections of some types that lie in the file."""
        found = [self.header(number) for number in range(self.count)]
        return [each for each in found if each[1] in types and each[5] and each[4] + each[5] <= len(self.raw)]

    def named(self, *beginnings: str) -> list[list[int]]:
        """Headers of sections by their names."""
        (names,) = unpack_from(self.mark + "H", self.raw, 62)
        if names >= self.count:
            return []
        start = self.header(names)[4]
        words = [word.encode() for word in beginnings]
        return [each for each in self.of_type(1, SYMTAB, STRTAB, REL) if self._begins(start + each[0], words)]

    def _begins(self, at: int, words: list[bytes]) -> bool:
        return any(self.raw[at : at + len(word)] == word for word in words)

    def put(self, at: int, kind: str, value: int) -> None:
        size = calcsize("<" + kind)
        if 0 <= at <= len(self.raw) - size:
            pack_into(self.mark + kind, self.raw, at, value & (1 << 8 * size) - 1)

    def number(self) -> int:
        """A number that may be special: in the file's size, small, enormous, negative."""
        chance = self.chance
        return chance.choice(
            (
                chance.choice(VALUES),
                chance.randrange(64),
                8 * chance.randrange(64),
                chance.randrange(len(self.raw) + 1),
                chance.randrange(1 << 32),
                (1 << 64) - chance.choice(VALUES),
                chance.choice(VALUES) << 32,
            )
        )


def damaged(base: bytes, seed: int) -> bytes:
    """The file of a seed."""
    chance = random.Random(seed)
    mark = "<" if base[5] == 1 else ">"
    (table,), (count,) = unpack_from(mark + "Q", base, 40), unpack_from(mark + "H", base, 60)
    file = File(bytearray(base), chance, mark, table, count)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 10))):
        chance.choice(CHANGES)(file)
    raw = file.raw
    if not chance.randrange(20):
        del raw[chance.randrange(len(raw)) :]
    return bytes(raw)


def _section_field(file: File) -> None:
    """A field of a section's header lies."""
    number, field = file.chance.randrange(file.count), file.chance.randrange(10)
    at = file.table + 64 * number + calcsize("<" + FIELDS[:field])
    file.put(at, FIELDS[field], file.number())


def _section_near(file: File) -> None:
    """A size, offset, link or number of a section is a little off."""
    number, field = file.chance.randrange(file.count), file.chance.choice((1, 4, 5, 6, 7))
    at = file.table + 64 * number + calcsize("<" + FIELDS[:field])
    file.put(at, FIELDS[field], file.header(number)[field] + file.chance.choice((-16, -8, -4, -1, 1, 4, 8, 16)))


def _section_as_another(file: File) -> None:
    """A section is where another one is, or is another one altogether."""
    first, second = (file.table + 64 * file.chance.randrange(file.count) for _ in range(2))
    start, size = file.chance.choice(((0, 64), (24, 16), (0, 4), (4, 4)))
    file.raw[first + start : first + start + size] = file.raw[second + start : second + start + size]


def _file_header(file: File) -> None:
    at, kind = file.chance.choice(((4, "B"), (5, "B"), (16, "H"), (18, "H"), (40, "Q"), (58, "H"), (60, "H"), (62, "H")))
    file.put(at, kind, file.number())


def _row(types: tuple[int, ...], size: int, fields: tuple[tuple[int, str], ...]) -> Callable[[File], None]:
    """A change of one field of a row of a table."""

    def change(file: File) -> None:
        if tables := file.of_type(*types):
            header = file.chance.choice(tables)
            at, kind = file.chance.choice(fields)
            at += header[4] + size * file.chance.randrange(max(1, header[5] // size))
            file.put(at, kind, file.number())

    return change


def _symbol_as_another(file: File) -> None:
    """A symbol gets another one's name, place or size."""
    if tables := file.of_type(SYMTAB):
        header = file.chance.choice(tables)
        rows = max(1, header[5] // 24)
        first, second = (header[4] + 24 * file.chance.randrange(rows) for _ in range(2))
        start, size = file.chance.choice(((0, 4), (4, 4), (8, 8), (16, 8), (0, 24)))
        file.raw[first + start : first + start + size] = file.raw[second + start : second + start + size]


def _relocation_as_another(file: File) -> None:
    """Instructions take one another's symbols: functions that call themselves, maps that are called."""
    if tables := file.of_type(REL):
        header = file.chance.choice(tables)
        rows = max(1, header[5] // 16)
        first, second = (header[4] + 16 * file.chance.randrange(rows) for _ in range(2))
        start, size = file.chance.choice(((0, 8), (8, 8), (12, 4)))
        file.raw[first + start : first + start + size] = file.raw[second + start : second + start + size]


def _word_of(*names: str, size: int = 4) -> Callable[[File], None]:
    """A change of a word in a section by its name."""

    def change(file: File) -> None:
        if found := file.named(*names):
            header = file.chance.choice(found)
            at = header[4] + size * file.chance.randrange(max(1, header[5] // size))
            (present,) = unpack_from(file.mark + "I", file.raw, at) if at + 4 <= len(file.raw) else (0,)
            file.put(at, "I", file.chance.choice((file.number(), present ^ 1 << file.chance.randrange(32), present + 1)))

    return change


def _instruction(file: File) -> None:
    """An instruction of a program: its opcode, registers, offset or number."""
    if found := [each for each in file.of_type(1) if each[2] & 4]:
        header = file.chance.choice(found)
        at, kind = file.chance.choice(((0, "B"), (1, "B"), (2, "H"), (4, "I")))
        file.put(header[4] + 8 * file.chance.randrange(max(1, header[5] // 8)) + at, kind, file.number())


def _any_byte(file: File) -> None:
    file.raw[file.chance.randrange(len(file.raw))] = file.chance.randrange(256)


def _moved(file: File) -> None:
    """Some bytes are doubled, or go; all that is behind them is elsewhere."""
    at, size = file.chance.randrange(64, len(file.raw)), 8 * file.chance.randrange(1, 8)
    if file.chance.randrange(2):
        file.raw[at:at] = file.raw[at : at + size]
    elif len(file.raw) > 128 + size:
        del file.raw[at : at + size]


_btf = _word_of(".BTF")
CHANGES: tuple[Callable[[File], None], ...] = (
    _section_field,
    _section_field,
    _section_near,
    _section_as_another,
    _file_header,
    _row((SYMTAB,), 24, SYMBOL_FIELDS),
    _row((SYMTAB,), 24, SYMBOL_FIELDS),
    _row((REL, RELA), 16, RELOCATION_FIELDS),
    _row((REL, RELA), 16, RELOCATION_FIELDS),
    _symbol_as_another,
    _relocation_as_another,
    _btf,
    _btf,
    _word_of(".BTF.ext"),
    _word_of(".maps", "maps", ".struct_ops", ".data", ".rodata", "license", "version"),
    _instruction,
    _instruction,
    _any_byte,
    _moved,
)
