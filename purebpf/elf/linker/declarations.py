"""That all parts mean the same by the names they share: what types.py and symbols.py take for granted afterwards."""

from __future__ import annotations

from purebpf.elf.container import OBJECT
from purebpf.elf.linker.agree import MAPS, Side, disagreement
from purebpf.elf.linker.parts import LinkError, Part
from purebpf.elf.linker.symbols import Place, Shared, Symbols

LOOSE = ".extern"  # where compilers have put declarations that name no section


def check_declarations(symbols: Symbols) -> None:
    """Raises LinkError for a name that two parts declare in different ways."""
    for shared in symbols.shared.values():
        for place in shared.others:
            _check(symbols, shared, place)


KERNEL = (".ksyms", ".kconfig")  # what an object wants of the kernel it is loaded into


def home(symbols: Symbols, place: Place, name: str) -> str:
    """The section that a part defines a name in, or that it declares it to be in; "" where it does not say."""
    part, symbol = symbols.parts[place[0]], symbols.at(place)
    if symbol.section >= 0:
        return part.elf.sections[symbol.section].name
    found = part.homes.get(part.declared.get(name, 0), "")
    return "" if found == LOOSE else found


def _check(symbols: Symbols, shared: Shared, place: Place) -> None:
    first, part = symbols.parts[shared.chosen[0]], symbols.parts[place[0]]
    here, there = home(symbols, shared.chosen, shared.name), home(symbols, place, shared.name)
    both_defined = symbols.at(place).section >= 0
    if here != there and here and there and not both_defined:
        verb = "defined" if shared.defined else "declared"
        raise LinkError(
            f"{shared.name!r} is {verb} in the section {here!r} in {first.name}, but declared to be in {there!r} in {part.name}"
        )
    one, two = _side(first, shared.name), _side(part, shared.name)
    if one and two:
        if why := disagreement(one, two, MAPS in (here, there)):
            what = "map" if MAPS in (here, there) else "name"
            raise LinkError(f"The {what} {shared.name!r} means different things: {why}; declare it alike in both, in a header")
    elif both_defined:
        _check_sizes(symbols, shared, place)


def _side(part: Part, name: str) -> Side | None:
    number = part.declared.get(name)
    return Side(part.name, part.btf, number) if part.btf and number else None


def _check_sizes(symbols: Symbols, shared: Shared, place: Place) -> None:
    """All that is known without BTF."""
    one, two = symbols.at(shared.chosen), symbols.at(place)
    if one.kind == OBJECT and one.size != two.size:
        first, part = symbols.parts[shared.chosen[0]].name, symbols.parts[place[0]].name
        raise LinkError(f"{shared.name!r} has {one.size} bytes in {first}, {two.size} in {part}")


def undefined(symbols: Symbols) -> list[str]:
    """The names that neither a part defines nor the kernel is said to have."""
    return [
        shared.name
        for shared in symbols.shared.values()
        if not shared.defined
        and not any(home(symbols, place, shared.name) in KERNEL for place in (shared.chosen, *shared.others))
    ]
