"""From names to type numbers, by an index of names if there is one, which costs more to make than most users have to ask.

Without one a name is searched in the string section, and then its offset among the offsets of the types' names. Both are
searches of bytes that take a millisecond. Who asks for many names has a dictionary of the offsets in the place of the second;
or sorts all names by their CRC, where others will have that too (`keep`).
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from purebpf.btf.header import Index

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.btf.types import Kind

FEW, MANY, ENOUGH = 8, 64, 6  # offsets of a name; names asked for that are worth a dictionary, and an index to be kept
LOW = 0xFFFF_FFFF
FLAVOUR = re.compile(r"(.*[^_])___[^_]", re.DOTALL)


class Names:
    """The names of a BTF's types, by what `index` says of those from the number `first` on. `keep` is called with an index that
    has the names sorted, when it is worth making; without it none is made."""

    def __init__(self, index: Index, strings: bytes, first: int, first_string: int, base: Names | None) -> None:
        self.index, self.names, self.strings = index, index.names, strings
        self.keep: Callable[[Index], None] | None = None
        self.first, self.first_string, self.base = first, first_string, base
        self._known: dict[str, tuple[int, ...]] = {}
        self._used: frozenset[int] = frozenset()
        self._separators: tuple[int, ...] | None = None  # of flavours, in the strings
        self._by_offset: dict[int, list[int]] | None = None

    def find(self, name: str) -> tuple[int, ...]:
        """The numbers of the types with this name, lowest first."""
        if not name or "\0" in name:
            return ()
        found = self._known.get(name)
        if found is None:
            below = self.base.find(name) if self.base else ()
            if self.keep is not None and len(self._known) >= ENOUGH:
                self.index, keep, self.keep = sorted_names(self.index, self.strings), self.keep, None
                keep(self.index)
            own = self._looked_up(name) if self.index.sums else sorted(self._with(self._offsets(name)))
            found = self._known[name] = (*below, *own)
        return found

    def _looked_up(self, name: str) -> Iterator[int]:
        """The types with this name, lowest first, by the index."""
        sought = name.encode("utf-8", "surrogatepass") + b"\0"
        total, sums = crc32(sought[:-1]), self.index.sums
        at = bisect_left(sums, total)
        while at < len(sums) and sums[at] == total:
            place = self.index.sorted[at]
            if self.strings.startswith(sought, self.names[place]):
                yield self.first + place
            at += 1

    def flavoured(self, name: str) -> list[str]:
        """The names that are this one with a flavour, as `task_struct___old` is `task_struct`. Each of them once."""
        found = self.base.flavoured(name) if self.base else []
        sought = name.encode("utf-8", "surrogatepass")
        if self._separators is None:
            self._separators = tuple(match.start() for match in re.finditer(b"___", self.strings))
        for end in self._separators:
            if self.strings.endswith(sought, 0, end):
                text = self.strings[end - len(sought) : self.strings.find(b"\0", end)].decode("utf-8", "replace")
                if essential_name(text) == name:
                    found.append(text)
        return list(dict.fromkeys(found))

    def _offsets(self, name: str) -> list[int]:
        """Every offset at which this very name can be read. A name may be the tail of a longer string."""
        found = self.base._offsets(name) if self.base else []
        sought = name.encode("utf-8", "surrogatepass") + b"\0"
        start = self.strings.find(sought)
        while start >= 0:
            found.append(start + self.first_string)
            start = self.strings.find(sought, start + 1)
        return found

    def _with(self, offsets: list[int]) -> Iterator[int]:
        """The types whose name is at one of the offsets, in any order."""
        if len(self._known) >= MANY:
            self._count()
        elif len(offsets) > FEW:  # a short name, such as `pid`, is the tail of many that are none
            self._used = self._used or frozenset(self.names)
            offsets = [offset for offset in offsets if offset in self._used]
        return self._search(offsets) if self._by_offset is None else self._listed(self._by_offset, offsets)

    @staticmethod
    def _listed(by_offset: dict[int, list[int]], offsets: list[int]) -> Iterator[int]:
        for offset in offsets:
            yield from by_offset.get(offset, ())

    def _search(self, offsets: list[int]) -> Iterator[int]:
        """By a search of bytes: one for all the offsets."""
        if not offsets:
            return
        names: bytes = memoryview(self.names).tobytes()  # type: ignore[arg-type]
        sought = re.compile(b"|".join(re.escape(offset.to_bytes(4, sys.byteorder)) for offset in offsets), re.DOTALL)
        found = sought.search(names)
        while found:
            at = found.start()
            if at % 4 == 0:
                yield self.first + at // 4
            found = sought.search(names, at + 1)

    def _count(self) -> None:
        """Make the dictionary."""
        if self._by_offset is None:
            found: dict[int, list[int]] = {}
            for number, offset in enumerate(self.names, self.first):
                if offset:
                    found.setdefault(offset, []).append(number)
            self._by_offset = found


def sorted_names(index: Index, strings: bytes) -> Index:
    """The same index with the names sorted; those of a BTF that has no base."""
    find, rows = strings.find, []
    for place, offset in enumerate(index.names):
        if offset:
            rows.append(crc32(strings[offset : find(b"\0", offset)]) << 32 | place)
    rows.sort()
    return Index(index.places, index.names, array("I", [row >> 32 for row in rows]), array("I", [row & LOW for row in rows]))


def essential_name(name: str) -> str:
    """The name without its flavour: `task_struct___old` is `task_struct`. The last run of just three underscores counts."""
    found = FLAVOUR.match(name) if "___" in name else None
    return found[1] if found else name


def similar(btf: Btf, name: str, kinds: Sequence[Kind]) -> str:
    """At most three names of types of these kinds that look like one, for messages."""
    import difflib

    words = {btf.name(number) for number in btf.numbers(*kinds) if btf.name(number)[:1] == name[:1]}
    return ", ".join(difflib.get_close_matches(name, words, 3))
