"""From names to type numbers: without an index of names, which would cost more than most users have to ask.

A name is searched in the string section, and then its offset among the offsets of the types' names. Both are searches of bytes
that take a millisecond. Who asks for many names has a dictionary of the offsets in the place of the second.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.btf.types import Kind

FEW, MANY = 8, 64
FLAVOUR = re.compile(r"(.*[^_])___[^_]", re.DOTALL)


class Names:
    """The names of a BTF's types. `names` are the offsets of them, by type from the number `first` on."""

    def __init__(self, names: Sequence[int], strings: bytes, first: int, first_string: int, base: Names | None) -> None:
        self.names, self.strings = names, strings
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
            found = self._known[name] = (*below, *sorted(self._with(self._offsets(name))))
        return found

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


def essential_name(name: str) -> str:
    """The name without its flavour: `task_struct___old` is `task_struct`. The last run of just three underscores counts."""
    found = FLAVOUR.match(name) if "___" in name else None
    return found[1] if found else name


def similar(btf: Btf, name: str, kinds: Sequence[Kind]) -> str:
    """At most three names of types of these kinds that look like one, for messages."""
    import difflib

    words = {btf.name(number) for number in btf.numbers(*kinds) if btf.name(number)[:1] == name[:1]}
    return ", ".join(difflib.get_close_matches(name, words, 3))
