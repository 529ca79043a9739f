"""Who defines what: the symbols of the parts become those of the result.

Local symbols stay apart, however they are called. Of all global ones with a name there is one: a strong definition goes before
weak ones, the first weak one before later ones, any of them before a mere declaration (`extern`). What nobody defines stays
undefined: the kernel has it, or an object that is linked later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from purebpf.data import data, replace
from purebpf.elf.container import ABSOLUTE, FUNCTION, GLOBAL, LOCAL, OBJECT, SECTION, UNDEFINED, WEAK, Symbol
from purebpf.elf.linker.parts import LinkError, Part
from purebpf.elf.linker.sections import Layout

Place = tuple[int, int]  # numbers of the part, and of the symbol there


@data
class Shared:
    """All that the parts say of one global name. `chosen` is the definition, or the first declaration; `others` the rest."""

    name: str
    chosen: Place
    others: tuple[Place, ...]
    defined: bool


@data
class Dead:
    """Instructions or data of a definition that another one replaced: bytes of a section of a part, behind the last one."""

    part: int
    section: int
    start: int
    end: int


class Symbols:
    """The symbols of the result. `numbers` tells which one each symbol of a part became."""

    def __init__(self, parts: Sequence[Part], layout: Layout) -> None:
        self.parts, self.layout = parts, layout
        self.symbols: list[Symbol] = []
        self.numbers: dict[Place, int] = {}
        self.shared = {name: _chosen(parts, name, places) for name, places in self._globals().items()}
        self._add_locals()
        for shared in self.shared.values():
            self._add_shared(shared)

    def at(self, place: Place) -> Symbol:
        return self.parts[place[0]].elf.symbols[place[1]]

    def dead(self) -> Iterator[Dead]:
        """What is there, but is reached no more: definitions that lost, unless another name for the same bytes is left."""
        lost = {place for shared in self.shared.values() for place in shared.others if self.at(place).section >= 0}
        for part, number in sorted(lost):
            symbol = self.at((part, number))
            others = enumerate(self.parts[part].elf.symbols)
            if symbol.size and not any(_overlap(symbol, each) for at, each in others if (part, at) not in lost):
                yield Dead(part, symbol.section, symbol.value, symbol.value + symbol.size)

    def _globals(self) -> dict[str, list[Place]]:
        """Where the global names are; of license and version only the first object's."""
        found: dict[str, list[Place]] = {}
        for number, part in enumerate(self.parts):
            for at, symbol in enumerate(part.elf.symbols):
                if symbol.binding != LOCAL and self._is_kept(number, symbol):
                    found.setdefault(symbol.name, []).append((number, at))
        return found

    def _is_kept(self, part: int, symbol: Symbol) -> bool:
        if symbol.section < 0:
            return True
        place = self.layout.places.get((part, symbol.section))
        return place is not None and not place.again

    def _add_locals(self) -> None:
        """Functions and variables, which loaders look for, and whatever else relocations name."""
        sections: dict[int, int] = {}
        for number, part in enumerate(self.parts):
            named = {
                relocation.symbol
                for place, relocations in part.elf.relocations.items()
                if place in part.kept
                for relocation in relocations
            }
            for at, symbol in enumerate(part.elf.symbols):
                wanted = at in named or (symbol.kind in (FUNCTION, OBJECT) and symbol.section >= 0)
                if symbol.binding != LOCAL or not wanted or not self._is_kept(number, symbol):
                    continue
                if symbol.kind == SECTION:
                    into = self.layout.places[number, symbol.section].section
                    if into not in sections:
                        sections[into] = self._add(Symbol("", kind=SECTION, section=into))
                    self.numbers[number, at] = sections[into]
                else:
                    self.numbers[number, at] = self._add(self._moved(number, symbol))

    def _add_shared(self, shared: Shared) -> None:
        """One symbol for all of a name: hidden if any of them is, weak only if the definition, or every declaration, is."""
        all_of_them = [self.at(place) for place in (shared.chosen, *shared.others)]
        strong = all_of_them[0].binding == GLOBAL if shared.defined else any(each.binding == GLOBAL for each in all_of_them)
        symbol = replace(
            self._moved(shared.chosen[0], all_of_them[0]),
            binding=GLOBAL if strong else WEAK,
            visibility=max(each.visibility for each in all_of_them),
        )
        number = self._add(symbol)
        for place in (shared.chosen, *shared.others):
            self.numbers[place] = number

    def _moved(self, part: int, symbol: Symbol) -> Symbol:
        """The symbol at its place in the result."""
        if symbol.section < 0:
            return symbol
        place = self.layout.places[part, symbol.section]
        return replace(symbol, section=place.section, value=symbol.value + place.offset)

    def _add(self, symbol: Symbol) -> int:
        self.symbols.append(symbol)
        return len(self.symbols) - 1


def _overlap(one: Symbol, two: Symbol) -> bool:
    """Whether two symbols are, in part, the same function or variable."""
    return (
        two.kind in (FUNCTION, OBJECT)
        and one.section == two.section
        and one.value < two.value + max(two.size, 1)
        and two.value < one.value + one.size
    )


def _chosen(parts: Sequence[Part], name: str, places: list[Place]) -> Shared:
    """Which one of a name it is. Raises LinkError when there are two."""
    symbols = [parts[part].elf.symbols[at] for part, at in places]
    definitions = [place for place, symbol in zip(places, symbols, strict=True) if symbol.section != UNDEFINED]
    strong = [(part, at) for part, at in definitions if parts[part].elf.symbols[at].binding == GLOBAL]
    if len(strong) > 1:
        first, second = (parts[part].name for part, _ in strong[:2])
        raise LinkError(
            f"{name!r} is defined in {first} and again in {second}; rename one or make it static, declare it (extern) where "
            "the other is meant, or make it weak (__weak) if the other is to replace it"
        )
    chosen = (strong or definitions or places)[0]
    for place, symbol in zip(places, symbols, strict=True):
        _check_kinds(parts, name, chosen, place, symbol)
    return Shared(name, chosen, tuple(place for place in places if place != chosen), bool(definitions))


def _check_kinds(parts: Sequence[Part], name: str, chosen: Place, place: Place, symbol: Symbol) -> None:
    """A function stays a function, and a number that needs no section stays one."""
    first = parts[chosen[0]].elf.symbols[chosen[1]]
    if UNDEFINED in (first.section, symbol.section):
        return
    kinds = {FUNCTION: "a function", OBJECT: "a variable"}
    if first.kind != symbol.kind or (first.section == ABSOLUTE) != (symbol.section == ABSOLUTE):
        here, there = (kinds.get(each.kind, "neither function nor variable") for each in (first, symbol))
        where = f"{here} in {parts[chosen[0]].name}, {there} in {parts[place[0]].name}"
        raise LinkError(f"{name!r} is {where}; what replaces another must be of its kind")
