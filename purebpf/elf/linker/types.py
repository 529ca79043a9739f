"""The `.BTF` of the result: the types of all parts, each once.

A global function or variable keeps the type of its definition; whatever a part said of another's declaration (its tags, say) is
said of that one. Data sections are made anew, since what is in them has moved. Then equal types become one (btf/dedup.py), and
a struct that is only declared becomes the one that is defined, where only one is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from purebpf.btf.dedup import deduplicate
from purebpf.btf.graph import reachable, renumbered
from purebpf.btf.types import (
    Composite,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
    Func,
    Fwd,
    Linkage,
    Section,
    Type,
    Union,
    Var,
    Void,
)
from purebpf.data import data, replace
from purebpf.elf.linker.declarations import LOOSE
from purebpf.elf.linker.parts import LinkError, Part
from purebpf.elf.linker.sections import Layout
from purebpf.elf.linker.symbols import Symbols

TAGS = "\0"  # between a name and the tags on it, while types are compared; no name has it


@data
class Types:
    """The types of the result, from number 1 on, and what each type of a part became."""

    types: list[Type]
    numbers: dict[tuple[int, int], int]

    def number(self, part: int, number: int) -> int:
        return self.numbers[part, number] if number else 0


def merged(symbols: Symbols, layout: Layout, roots: Iterable[tuple[int, int]]) -> Types:
    """All types that are named, or that `roots` need: (number of the part, number of the type)."""
    pool = _Pool(symbols.parts)
    owners = _owners(symbols)
    for number, part in enumerate(symbols.parts):
        for old, type in enumerate(part.types, 1):
            owner = owners.get(type.name) if isinstance(type, Func | Var) and type.linkage != Linkage.STATIC else None
            if isinstance(type, DataSec):
                pool.drop(number, old)
            elif owner and owner != (number, old) and symbols.parts[owner[0]].type(owner[1]).kind == type.kind:
                pool.replace(number, old, owner)
    for name, (number, old) in owners.items():
        type = symbols.parts[number].type(old)
        if symbols.shared[name].defined and isinstance(type, Func | Var) and type.linkage == Linkage.EXTERN:
            pool.instead[number, old] = replace(type, linkage=Linkage.GLOBAL)  # what defines it came without types
    sections = _Sections(symbols, layout, owners)
    for dropped in sections.dropped:
        pool.drop(*dropped)
    numbered = pool.types(sections.all(pool.number), roots)
    types, numbers = _deduplicated(numbered.types)
    return Types(types, {key: numbers[number] for key, number in numbered.numbers.items()})


def _owners(symbols: Symbols) -> dict[str, tuple[int, int]]:
    """Whose type a global name has: that of the part that defines it, or else the first that knows one, those that tell a
    section before others."""
    found = {}
    for name, shared in symbols.shared.items():
        places = (shared.chosen, *shared.others)
        known = [(part, symbols.parts[part].declared[name]) for part, _ in places if name in symbols.parts[part].declared]
        if not shared.defined:
            known.sort(key=lambda each: each[1] not in symbols.parts[each[0]].homes)
        if known:
            found[name] = known[0]
    return found


class _Pool:
    """The types of all parts under one row of numbers."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.shifts = [sum(len(part.types) for part in parts[:number]) for number in range(len(parts))]
        self.replaced: dict[int, int] = {}
        self.dropped: set[int] = set()
        self.instead: dict[tuple[int, int], Type] = {}

    def number(self, part: int, number: int) -> int:
        if not number:
            return 0
        here = number + self.shifts[part]
        return self.replaced.get(here, here)

    def drop(self, part: int, number: int) -> None:
        self.dropped.add(number + self.shifts[part])

    def replace(self, part: int, number: int, by: tuple[int, int]) -> None:
        self.drop(part, number)
        self.replaced[number + self.shifts[part]] = by[1] + self.shifts[by[0]]

    def types(self, more: list[DataSec], roots: Iterable[tuple[int, int]]) -> Types:
        """Those that are left, with `more` behind."""
        every: list[Type] = [
            renumbered(self.instead.get((number, at), type), partial(self.number, number))
            for number, part in enumerate(self.parts)
            for at, type in enumerate(part.types, 1)
        ]
        first = len(every) + 1
        every += more
        wanted = {self.number(*root) for root in roots} | set(range(first, len(every) + 1))
        wanted |= {number for number, type in enumerate(every, 1) if number not in self.dropped and self._is_root(type)}
        kept = sorted(reachable(lambda number: every[number - 1], wanted))
        new = {number: place for place, number in enumerate(kept, 1)}
        numbers = {}
        for part, (shift, each) in enumerate(zip(self.shifts, self.parts, strict=True)):
            for old in range(1, len(each.types) + 1):
                here = self.replaced.get(old + shift, old + shift)
                if here in new:
                    numbers[part, old] = new[here]
        return Types([renumbered(every[number - 1], lambda number: new.get(number, 0)) for number in kept], numbers)

    def _is_root(self, type: Type) -> bool:
        """Whether a type is of use by itself: it has a name, or constants have."""
        if isinstance(type, DeclTag):
            return type.type not in self.dropped
        return bool(getattr(type, "name", "")) or isinstance(type, Enum | Enum64)


class _Sections:
    """The data sections: what is where in the sections of the result, and what is declared to be in one of the kernel's."""

    def __init__(self, symbols: Symbols, layout: Layout, owners: dict[str, tuple[int, int]]) -> None:
        self.symbols, self.layout, self.owners = symbols, layout, owners
        self.rows: dict[str, list[tuple[tuple[int, int], int, int]]] = {}  # by section: (part, type), offset, size
        self.dropped: list[tuple[int, int]] = []
        for number, part in enumerate(symbols.parts):
            for type in part.types:
                if isinstance(type, DataSec):
                    self._take(number, part, type)

    def all(self, number: Callable[[int, int], int]) -> list[DataSec]:
        """The sections of the result first, in their order."""
        found = []
        order = [*(merged.name for merged in self.layout.merged if merged.name in self.rows), *self.rows]
        for name in dict.fromkeys(order):
            rows = sorted(self.rows[name], key=lambda row: row[1])
            into = self.layout.named(name)
            size = 0 if into is None else self.layout.merged[into].size
            found.append(DataSec(name, size, tuple(Section(number(*type), at, each) for type, at, each in rows)))
        return found

    def _take(self, number: int, part: Part, section: DataSec) -> None:
        place = part.elf.section(section.name)
        moved = self.layout.places.get((number, place)) if place is not None else None
        if section.name == LOOSE or (place is not None and moved is None):
            return
        if moved is not None and moved.again:
            self.dropped += [(number, row.type) for row in section.variables]
            return
        rows = self.rows.setdefault(section.name, [])
        for row in section.variables:
            at = self._offset(number, part, section.name, row, moved.offset if moved else 0)
            if at is not None:
                rows.append(((number, row.type), at, row.size))

    def _offset(self, number: int, part: Part, section: str, row: Section, start: int) -> int | None:
        """Where a variable is in its section; None for one that another part has, or has told of before."""
        type = part.type(row.type)
        assert isinstance(type, Func | Var)
        if type.linkage == Linkage.STATIC:
            return row.offset + start
        shared = self.symbols.shared.get(type.name)
        if shared is None or not any(each == number for each, _ in (shared.chosen, *shared.others)):
            return 0 if type.linkage == Linkage.EXTERN else start + self._local(part, section, type.name)
        if not shared.defined:
            return 0 if self.owners[type.name] == (number, row.type) else None
        if shared.chosen[0] != number:
            return None
        symbol = self.symbols.symbols[self.symbols.numbers[shared.chosen]]
        if symbol.section != self.layout.named(section):
            raise LinkError(f"{part.name}: its BTF has {type.name!r} in {section!r}, where it is not")
        return symbol.value

    def _local(self, part: Part, section: str, name: str) -> int:
        """Where a variable is that BTF calls global and the symbols local, as compilers do which make all of a program one."""
        place = part.elf.section(section)
        for symbol in part.elf.symbols:
            if symbol.name == name and symbol.section == place:
                return symbol.value
        raise LinkError(f"{part.name}: its BTF has the variable {name!r} in {section!r}; there is no symbol for it")


def _deduplicated(types: list[Type]) -> tuple[list[Type], dict[int, int]]:
    """(types that are left, old number -> new number). What has other tags on it is another type."""
    numbers = {number: number for number in range(len(types) + 1)}
    while True:
        left, again = deduplicate(_with_tags(types))
        types = [_without_tags(type) for type in left]
        numbers = {old: again.get(new, 0) for old, new in numbers.items()}
        whole = dict(_defined(types))
        if not whole:
            return types, numbers
        kept = [number for number in range(1, len(types) + 1) if number not in whole]
        places = {number: place for place, number in enumerate(kept, 1)}
        moved = {number: places[whole.get(number, number)] for number in range(1, len(types) + 1)} | {0: 0}
        types = [renumbered(types[number - 1], moved.__getitem__) for number in kept]
        numbers = {old: moved[new] for old, new in numbers.items()}


def _with_tags(types: list[Type]) -> list[Type]:
    tags: dict[int, list[str]] = {}
    for type in types:
        if isinstance(type, DeclTag):
            tags.setdefault(type.type, []).append(f"{type.component}{TAGS}{type.name}{TAGS}{type.attribute}")
    found = list(types)
    for number, texts in tags.items():
        found[number - 1] = _renamed(found[number - 1], TAGS.join([getattr(found[number - 1], "name", ""), *sorted(texts)]))
    return found


def _without_tags(type: Type) -> Type:
    name = getattr(type, "name", "")
    return _renamed(type, name.split(TAGS)[0]) if TAGS in name else type


def _renamed(type: Type, name: str) -> Type:
    return replace(type, name=name) if hasattr(type, "name") and not isinstance(type, Void | DeclTag) else type


def _defined(types: list[Type]) -> Iterator[tuple[int, int]]:
    """(a struct that is only declared, the one that is defined), where there is one of the name."""
    found: dict[tuple[bool, str], list[int]] = {}
    for number, type in enumerate(types, 1):
        if isinstance(type, Composite) and type.name:
            found.setdefault((isinstance(type, Union), type.name), []).append(number)
    for number, type in enumerate(types, 1):
        if isinstance(type, Fwd) and len(whole := found.get((type.union, type.name), [])) == 1:
            yield number, whole[0]
