"""Operations of the kernel: in `.struct_ops` and `.struct_ops.link` each is a variable of the struct that programs implement.

Its bytes are the value's; where a function is, a relocation names the program.
"""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.btf.types import DataSec, Linkage, Var
from purebpf.btf.types import Section as Place
from purebpf.elf.container import ALLOC, GLOBAL, OBJECT, R_BPF_64_ABS64, WRITE, Section, Symbol
from purebpf.elf.operations import LINK, SECTION, WITH_LINK
from purebpf.elf.writing.image import Image, Names
from purebpf.elf.writing.types import Types
from purebpf.errors import Error
from purebpf.spec import MapSpec

ALIGN = 8


def write_operations(maps: list[MapSpec], types: Types, names: Names, programs: Mapping[str, int], image: Image) -> None:
    """The sections of operations; `programs` are symbols by name."""
    sections: dict[str, list[MapSpec]] = {}
    for map in maps:
        sections.setdefault(_section(map), []).append(map)
    for name, some in sections.items():
        content, placed, place = b"", [], len(image.sections)
        for map in some:
            start, symbol = len(content), names.claim(map.name, f"the operations {map.name!r}")
            content += _value(map) + bytes(-map.value_size % ALIGN)
            placed.append(Place(_variable(map, symbol, types), start, map.value_size))
            image.symbol(Symbol(symbol, start, map.value_size, GLOBAL, OBJECT, place))
            for key, program in sorted(map.entries):
                if program not in programs:
                    raise Error(f"The operations {map.name!r} name {program!r}, which is no program of the same collection.")
                image.relocate(place, start + int.from_bytes(key, image.order), R_BPF_64_ABS64, programs[program])
        image.section(Section(name, flags=WRITE | ALLOC, data=content, size=len(content), align=ALIGN))
        types.add(DataSec(name, len(content), tuple(placed)))


def _section(map: MapSpec) -> str:
    return f"{'?' if map.optional else ''}{WITH_LINK if map.flags & LINK else SECTION}"


def _value(map: MapSpec) -> bytes:
    return next((value for _, value in map.contents), bytes(map.value_size))


def _variable(map: MapSpec, symbol: str, types: Types) -> int:
    if map.types is None or not map.types.value:
        raise Error(f"The operations {map.name!r} have no type here: an object file tells of which struct they are.")
    return types.add(Var(symbol, types.merge_btf(map.types.btf)(map.types.value), Linkage.GLOBAL))
