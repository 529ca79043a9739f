"""Relocations of the result: those of the parts at their new places, of the new symbols.

What a relocation adds to its symbol is in the bytes that it is for. It stays what it was, but where the symbol stands for a
whole section: it begins elsewhere now.

    a.o: r1 = .data + 4      c.o: r1 = .data + 4, and for b.o's, whose .data begins at 8 now:  r1 = .data + 12
"""

from __future__ import annotations

from purebpf.elf.container import R_BPF_64_32, R_BPF_64_64, R_BPF_64_ABS64, SECTION, Relocation
from purebpf.elf.linker.parts import SLOT, LinkError
from purebpf.elf.linker.sections import Layout
from purebpf.elf.linker.symbols import Symbols

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

IMMEDIATE = 4  # the byte of an instruction that its constant begins at


def relocations(symbols: Symbols, layout: Layout) -> dict[int, tuple[Relocation, ...]]:
    """By section of the result; the bytes in `layout` are adjusted."""
    found: dict[int, list[Relocation]] = {}
    for number, part in enumerate(symbols.parts):
        for place in sorted(part.kept & part.elf.relocations.keys()):
            into = layout.places[number, place]
            if into.again:
                continue
            rows = found.setdefault(into.section, [])
            for relocation in part.elf.relocations[place]:
                symbol = symbols.numbers.get((number, relocation.symbol))
                if symbol is None:
                    name = part.elf.symbols[relocation.symbol].name
                    raise LinkError(f"{part.name}: an instruction refers to {name!r}, of which the first object's is taken")
                moved = Relocation(relocation.offset + into.offset, relocation.type, symbol)
                named = part.elf.symbols[relocation.symbol]
                if named.kind == SECTION:
                    by = layout.places[number, named.section].offset
                    _adjust(layout.merged[into.section].content, moved, by, part.order)
                rows.append(moved)
    return {section: tuple(rows) for section, rows in found.items() if rows}


def _adjust(content: bytearray, relocation: Relocation, by: int, order: Literal["little", "big"]) -> None:
    """Add to the bytes of a relocation what the section that it is of has moved by: bytes; calls count in instructions."""
    at = relocation.offset + (IMMEDIATE if relocation.type in (R_BPF_64_64, R_BPF_64_32) else 0)
    end = at + (8 if relocation.type == R_BPF_64_ABS64 else 4)
    signed = relocation.type == R_BPF_64_32
    value = int.from_bytes(content[at:end], order, signed=signed) + (by // SLOT if signed else by)
    try:
        content[at:end] = value.to_bytes(end - at, order, signed=signed)
    except OverflowError:
        raise LinkError(f"A relocation leads to byte {value}, for which it has no room") from None
