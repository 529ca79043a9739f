"""Data sections: `.rodata`, `.data` and `.bss`, each of which loaders make an array of one value, and the variables in them.

libbpf has any number of `.data.NAME` and `.rodata.NAME`, but one `.bss` only: zeros of other names are in `.data.NAME`.
`.addr_space.1` is what is first in the memory of an arena.
"""

from __future__ import annotations

from collections.abc import Iterator

from purebpf.btf.types import DataSec, Linkage, Var
from purebpf.btf.types import Section as Place
from purebpf.data import data
from purebpf.elf.container import ALLOC, GLOBAL, LOCAL, NOBITS, OBJECT, PROGBITS, SECTION, WRITE, Section, Symbol
from purebpf.elf.data_sections import ARENA, kind_of
from purebpf.elf.externs import KCONFIG
from purebpf.elf.writing.image import Image, Names, c_name
from purebpf.elf.writing.types import Types
from purebpf.errors import Error
from purebpf.isa.opcodes import PSEUDO_MAP_IDX_VALUE, PSEUDO_MAP_VALUE
from purebpf.spec import MAP_SOURCES, CollectionSpec, MapSpec
from purebpf.tables.enums import MapType

VALUES = (PSEUDO_MAP_VALUE, PSEUDO_MAP_IDX_VALUE)
ALIGN = 8


@data
class Variable:
    """`type` is its number in the object, 0 where that is not known."""

    name: str
    offset: int
    size: int
    type: int
    linkage: Linkage


def data_maps(spec: CollectionSpec) -> list[str]:
    """The maps that are data sections: whose memory programs use as such. Raises Error for one that cannot be."""
    loads = [
        (program.name, i)
        for program in spec.programs.values()
        for i in program.instructions
        if i.slots == 2 and i.src in MAP_SOURCES and i.symbol
    ]
    others = {name for name, map in spec.maps.items() if map.type is MapType.ARENA} | {KCONFIG}
    used = {i.symbol for _, i in loads if i.src in VALUES}
    found = [name for name, map in spec.maps.items() if name not in others and (name in used or _is_section(map))]
    for program, i in loads:
        if i.symbol in found and i.src not in VALUES:
            raise Error(
                f"The program {program!r} looks the map {i.symbol!r} up, which is used as memory too: in an object file such a "
                "map is a data section, and cannot be looked up."
            )
    for name in found:
        _check(spec.maps[name])
    return found


def section_name(map: MapSpec) -> str:
    """The section of a map."""
    if kind_of(map.name):
        return map.name
    return f"{'.rodata' if map.frozen else '.data'}.{c_name(map.name)}"


def write_section(map: MapSpec, spec: CollectionSpec, types: Types, names: Names, image: Image) -> int:
    """The section of a map and its variables; the symbol of the section, to which references go."""
    name, content = section_name(map), _content(map)
    writable = 0 if kind_of(name) == ".rodata" else WRITE
    empty = kind_of(name) == ".bss"
    made = Section(name, NOBITS if empty else PROGBITS, ALLOC | writable, b"" if empty else content, len(content), ALIGN)
    return _write(made, _variables(map, spec, types), types, names, image)


def write_arena(map: MapSpec, spec: CollectionSpec, types: Types, names: Names, image: Image) -> int | None:
    """The same for what an arena has at first; None for one that has nothing."""
    numbers = types.merge(spec.types)
    variables = [
        Variable(each.name, each.offset, each.size, numbers(each.type), Linkage.GLOBAL)
        for each in spec.variables.values()
        if each.map == map.name
    ]
    content = b"".join(value for _, value in map.contents)
    size = max([len(content), *(each.offset + each.size for each in variables)])
    if not size:
        return None
    made = Section(ARENA, PROGBITS if content else NOBITS, ALLOC | WRITE, content.ljust(size, b"\0") if content else b"", size)
    return _write(made, variables, types, names, image)


def _write(section: Section, variables: Iterator[Variable] | list[Variable], types: Types, names: Names, image: Image) -> int:
    place = image.section(section)
    own = image.symbol(Symbol("", 0, 0, LOCAL, SECTION, place))
    placed = []
    for each in sorted(variables, key=lambda each: each.offset):
        static, name = each.linkage is Linkage.STATIC, each.name
        if not static:
            apart = f"{section.name.rpartition('.')[2]}_{each.name}"
            name = names.free(apart if c_name(name) in names.taken else name, f"the variable {name!r} in {section.name}")
        image.symbol(Symbol(name, each.offset, each.size, LOCAL if static else GLOBAL, OBJECT, place))
        if each.type:
            placed.append(Place(types.add(Var(name, each.type, each.linkage)), each.offset, each.size))
    if placed:
        types.add(DataSec(section.name, section.size, tuple(placed)))
    return own


def _variables(map: MapSpec, spec: CollectionSpec, types: Types) -> Iterator[Variable]:
    """Those that the map's own types tell of, else the value as a whole; and those that the collection knows beside."""
    told = set()
    if map.types is not None:
        numbers, btf = types.merge_btf(map.types.btf), types.btf(map.types.btf)
        section = btf.type(map.types.value)
        if not isinstance(section, DataSec):
            yield Variable(map.name, 0, map.value_size, numbers(map.types.value), Linkage.GLOBAL)
            return
        for each in section.variables:
            variable = btf.type(each.type)
            if isinstance(variable, Var):
                told.add(each.offset)
                yield Variable(variable.name, each.offset, each.size, numbers(variable.type), variable.linkage)
    numbers = types.merge(spec.types)
    for known in spec.variables.values():
        if known.map == map.name and known.offset not in told and (map.types is None or not known.type):
            yield Variable(known.name, known.offset, known.size, numbers(known.type), Linkage.GLOBAL)


def _is_section(map: MapSpec) -> bool:
    return bool(kind_of(map.name)) or (map.types is not None and not map.types.key and map.type is MapType.ARRAY)


def _check(map: MapSpec) -> None:
    if (map.type, map.key_size, map.max_entries) != (MapType.ARRAY, 4, 1) or map.pin:
        what = "is pinned" if map.pin else f"is a {map.type.name.lower()} with {map.max_entries} entries"
        raise Error(
            f"The map {map.name!r} is used as memory and {what}: in an object file such a map is a data section, which is an "
            "array of one entry that nothing else is known of."
        )


def _content(map: MapSpec) -> bytes:
    found = dict(map.contents).get(bytes(4), bytes(map.value_size))
    if len(found) != map.value_size:
        raise Error(f"The map {map.name!r} has values of {map.value_size} bytes, but {len(found)} bytes for it to begin with.")
    return found
