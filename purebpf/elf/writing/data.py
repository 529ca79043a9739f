"""Data sections: `.rodata`, `.data` and `.bss`, each of which loaders make an array of one value, and the variables in them.

libbpf has any number of `.data.NAME` and `.rodata.NAME`, but one `.bss` only: zeros of other names are in `.data.NAME`.
"""

from __future__ import annotations

from collections.abc import Iterator

from purebpf.btf.reader import Btf
from purebpf.btf.types import DataSec, Linkage, Var
from purebpf.btf.types import Section as Place
from purebpf.data import data
from purebpf.elf.container import ALLOC, GLOBAL, LOCAL, NOBITS, OBJECT, PROGBITS, SECTION, WRITE, Section, Symbol
from purebpf.elf.writing.image import Image, Names, c_name
from purebpf.elf.writing.types import Types
from purebpf.errors import Error
from purebpf.isa.opcodes import PSEUDO_MAP_IDX_VALUE, PSEUDO_MAP_VALUE
from purebpf.spec import MAP_SOURCES, CollectionSpec, MapSpec
from purebpf.tables.enums import MapType

VALUES = (PSEUDO_MAP_VALUE, PSEUDO_MAP_IDX_VALUE)
PREFIXES = (".rodata", ".data", ".bss")
ALIGN = 8


@data
class Variable:
    """`type` is a number that `place` of `Types.merge` gave later: (those it is among, number)."""

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
    used = {i.symbol for _, i in loads if i.src in VALUES}
    found = [name for name, map in spec.maps.items() if name in used or _is_section(map)]
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
    if map.name.startswith(PREFIXES):
        return map.name
    return f"{'.rodata' if map.frozen else '.data'}.{c_name(map.name)}"


def write_section(map: MapSpec, spec: CollectionSpec, types: Types, names: Names, image: Image) -> int:
    """The section, its variables; the symbol of the section, to which references go."""
    name, content = section_name(map), _content(map)
    writable = 0 if name.startswith(".rodata") else WRITE
    empty = name.startswith(".bss")
    section = Section(
        name, NOBITS if empty else PROGBITS, ALLOC | writable, b"" if empty else content, len(content), align=ALIGN
    )
    place = image.section(section)
    own = image.symbol(Symbol("", 0, 0, LOCAL, SECTION, place))
    variables = []
    for each in sorted(_variables(map, spec, types), key=lambda each: each.offset):
        static = each.linkage is Linkage.STATIC
        wanted = each.name if c_name(each.name) not in names.taken else f"{map.name}_{each.name}"
        free = c_name(each.name) if static else names.free(wanted, f"the variable {each.name!r} in {name}")
        variables.append(Place(types.add(Var(free, each.type, each.linkage)), each.offset, each.size))
        image.symbol(Symbol(free, each.offset, each.size, LOCAL if static else GLOBAL, OBJECT, place))
    if variables:
        types.add(DataSec(name, len(content), tuple(variables)))
    return own


def collect(map: MapSpec, types: Types) -> None:
    """Have the types of a map's variables collected."""
    if map.types is not None:
        types.merge_btf(map.types.btf)


def _variables(map: MapSpec, spec: CollectionSpec, types: Types) -> Iterator[Variable]:
    """Those that the map's own types tell of; else the collection's, else the value as a whole."""
    if map.types is not None:
        numbers, btf = types.merge_btf(map.types.btf), Btf(map.types.btf)
        section = btf.type(map.types.value)
        if not isinstance(section, DataSec):
            yield Variable(map.name, 0, map.value_size, numbers(map.types.value), Linkage.GLOBAL)
            return
        for each in section.variables:
            variable = btf.type(each.type)
            if isinstance(variable, Var):
                yield Variable(variable.name, each.offset, each.size, numbers(variable.type), variable.linkage)
        return
    numbers = types.merge(spec.types)
    for known in spec.variables.values():
        if known.map == map.name and known.type:
            found = spec.types[known.type - 1]
            type = found.type if isinstance(found, Var) else known.type
            linkage = found.linkage if isinstance(found, Var) else Linkage.GLOBAL
            yield Variable(known.name, known.offset, known.size, numbers(type), linkage)


def _is_section(map: MapSpec) -> bool:
    if map.name.startswith(PREFIXES):
        return True
    return map.types is not None and not map.types.key and isinstance(Btf(map.types.btf).type(map.types.value), DataSec)


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
