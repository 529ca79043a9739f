"""An object file being put together: sections, symbols and relocations, each with its place as soon as it is there."""

from __future__ import annotations

from purebpf.elf.container import ElfObject, Relocation, Section, Symbol
from purebpf.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder


class Image:
    """`written` of `object()` is the file."""

    def __init__(self, order: ByteOrder) -> None:
        self.order = order
        self.sections: list[Section] = []
        self.symbols: list[Symbol] = []
        self.relocations: dict[int, list[Relocation]] = {}

    def section(self, section: Section) -> int:
        self.sections.append(section)
        return len(self.sections) - 1

    def symbol(self, symbol: Symbol) -> int:
        self.symbols.append(symbol)
        return len(self.symbols) - 1

    def relocate(self, section: int, offset: int, type: int, symbol: int) -> None:
        """The bytes at `offset` of a section depend on a symbol."""
        self.relocations.setdefault(section, []).append(Relocation(offset, type, symbol))

    def object(self) -> ElfObject:
        relocations = {place: tuple(found) for place, found in self.relocations.items()}
        return ElfObject(self.order, tuple(self.sections), tuple(self.symbols), relocations)


class Names:
    """The names of an object's symbols, each once, of characters that C and the kernel take."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}  # with what has it

    def claim(self, name: str, what: str) -> str:
        """A name that others go by. Raises Error where it is taken."""
        plain = c_name(name)
        if plain in self.taken:
            raise Error(
                f"An object file has one {plain!r} only, and {self.taken[plain]} and {what} are both called so: rename one."
            )
        self.taken[plain] = what
        return plain

    def free(self, name: str, what: str) -> str:
        """A name that nobody has to know: with a number behind it where it is taken."""
        plain, n = c_name(name), 1
        while (found := plain if n == 1 else f"{plain}_{n}") in self.taken:
            n += 1
        self.taken[found] = what
        return found


def c_name(name: str) -> str:
    """The name with `_` for whatever C has not in its names."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    return f"_{plain}" if plain[:1].isdigit() or not plain else plain
