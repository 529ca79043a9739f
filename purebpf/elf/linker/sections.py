"""Where each section goes: those of one name are appended to each other, at the largest alignment of them so far.

a.o  .data 6 bytes, aligned to 4     c.o  .data: a.o's at 0, b.o's at 8
b.o  .data 8 bytes, aligned to 8
"""

from __future__ import annotations

from collections.abc import Sequence

from purebpf.data import data
from purebpf.elf.container import EXECUTE, MERGE, NOBITS, OBJECT, STRINGS, WRITE, Section
from purebpf.elf.linker.parts import LinkError, Part

LICENSE, VERSION = "license", "version"  # one for the whole object
LEGACY_MAPS = "maps"  # an array of definitions: loaders divide its size by their number


@data
class Place:
    """Where a section of a part went: its number in the result, and the byte there. `again` tells that what is there was there
    before, and is the same."""

    section: int
    offset: int
    again: bool = False


class Layout:
    """The sections of the result, and where those of the parts are in them."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.merged: list[Merged] = []
        self.places: dict[tuple[int, int], Place] = {}  # by numbers of part and section
        self._numbers: dict[str, int] = {}
        for number, part in enumerate(parts):
            for place in sorted(part.kept):
                section = part.elf.sections[place]
                into = self._numbers.setdefault(section.name, len(self.merged))
                if into == len(self.merged):
                    self.merged.append(Merged(part, section))
                elif section.name in (LICENSE, VERSION):
                    self.merged[into].expect(part, section)
                    self.places[number, place] = Place(into, 0, again=True)
                    continue
                self.places[number, place] = Place(into, self.merged[into].add(part, place))

    def named(self, name: str) -> int | None:
        """The number of a section of the result."""
        return self._numbers.get(name)


class Merged:
    """A section of the result. `content` has all its bytes, but for one that is only reserved (NOBITS)."""

    def __init__(self, part: Part, section: Section) -> None:
        self.first, self.each = part.name, 0
        self.name, self.type = section.name, section.type
        self.flags, self.entry_size = section.flags, section.entry_size
        self.align, self.size, self.content = 1, 0, bytearray()

    def add(self, part: Part, place: int) -> int:
        """Append a section; the byte that it begins at."""
        section = part.elf.sections[place]
        self._check(part, section)
        if self.name == LEGACY_MAPS:
            self._check_definitions(part, place)
        self.align = max(self.align, section.align)
        at = -(-self.size // self.align) * self.align
        if self.type != NOBITS:
            self.content += bytes(at - self.size) + section.data
        self.size = at + section.size
        return at

    def _check(self, part: Part, section: Section) -> None:
        """Raise LinkError if the sections are of different kinds. That only one may be written to makes both writable."""
        both = f"The section {self.name!r} of {self.first} and that of {part.name}"
        if section.type != self.type:
            raise LinkError(f"{both} are of different kinds: one has contents, the other is only reserved")
        if (section.flags ^ self.flags) & EXECUTE:
            raise LinkError(f"{both} are of different kinds: one has instructions, the other data")
        if (section.flags ^ self.flags) & (MERGE | STRINGS) or section.entry_size != self.entry_size:
            self.flags &= ~(MERGE | STRINGS)
            self.entry_size = 0
        self.flags |= section.flags & WRITE

    def _check_definitions(self, part: Part, place: int) -> None:
        """Map definitions of before BTF must have one size."""
        count = sum(symbol.section == place and symbol.kind == OBJECT for symbol in part.elf.symbols)
        each = part.elf.sections[place].size // count if count else 0
        if self.each and each and each != self.each:
            raise LinkError(
                f"The maps in the section 'maps' have {self.each} bytes each in {self.first} and {each} in {part.name}; "
                "compile both with the same definition of their struct"
            )
        self.each = self.each or each

    def expect(self, part: Part, section: Section) -> None:
        """Raise LinkError unless the section says what is here already."""
        here, there = bytes(self.content), section.data
        if self.name == LICENSE:
            here, there = here.split(b"\0")[0], there.split(b"\0")[0]
        if here != there:
            told = [text.decode("utf-8", "backslashreplace") if self.name == LICENSE else text.hex() for text in (here, there)]
            raise LinkError(
                f"The {self.name} is {told[0]!r} in {self.first} and {told[1]!r} in {part.name}; an object has one {self.name}"
            )

    def section(self, content: bytes) -> Section:
        """The section with these contents."""
        return Section(self.name, self.type, self.flags, content, self.size, self.align, self.entry_size)
