"""Data sections: `.rodata`, `.data` and `.bss`, each of which loaders make an array of one value, and the variables in them.

Maps whose names are no names of sections lie one after the other in these three, as C programs have their variables.
`.addr_space.1` is what is first in the memory of an arena.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
LARGEST = (1 << 32) - 1  # bytes of a value


@data
class Memory:
    """Where a map's memory is: the symbol of a section, and a byte there."""

    symbol: int
    start: int


@data
class Variable:
    """`map` is the map that it is in; `type` its number in the object, 0 where that is not known."""

    name: str
    map: str
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


def places(spec: CollectionSpec) -> dict[str, tuple[str, int]]:
    """Where the maps that are data sections lie: (section, byte)."""
    found, ends = {}, dict[str, int]()
    for name in sorted(data_maps(spec), key=lambda name: not kind_of(name)):  # those that are a section first
        map = spec.maps[name]
        section = name if kind_of(name) else _section(map)
        start = -(-ends.get(section, 0) // ALIGN) * ALIGN
        found[name] = section, start
        ends[section] = start + map.value_size
    return found


def _section(map: MapSpec) -> str:
    if map.frozen:
        return ".rodata"
    return ".data" if any(_content(map)) else ".bss"


def write_sections(spec: CollectionSpec, types: Types, names: Names, image: Image) -> dict[str, Memory]:
    """The sections with their variables; where the maps are, by name."""
    found: dict[str, Memory] = {}
    placed = places(spec)
    for section in dict.fromkeys(section for section, _ in placed.values()):
        inside = {name: at for name, (where, at) in placed.items() if where == section}
        size = max(at + spec.maps[name].value_size for name, at in inside.items())
        empty, writable = kind_of(section) == ".bss", WRITE * (kind_of(section) != ".rodata")
        raw, type = (b"", NOBITS) if empty else (_joined(spec, inside, size), PROGBITS)
        variables = [each for name, at in inside.items() for each in _variables(spec.maps[name], at, spec, types)]
        made = Section(section, type, ALLOC | writable, raw, size, ALIGN)
        symbol = _write(made, variables, types, names, image)
        found |= {name: Memory(symbol, at) for name, at in inside.items()}
    return found


def _joined(spec: CollectionSpec, inside: Mapping[str, int], size: int) -> bytes:
    """The bytes of a section; `inside` are the maps in it, with where they begin."""
    content = bytearray(size)
    for name, at in inside.items():
        found = _content(spec.maps[name])
        content[at : at + len(found)] = found
    return bytes(content)


def write_arena(map: MapSpec, spec: CollectionSpec, types: Types, names: Names, image: Image) -> Memory | None:
    """The same for what an arena has at first; None for one that has nothing."""
    numbers = types.merge(spec.types)
    variables = [
        Variable(each.name, map.name, each.offset, each.size, numbers(each.type), Linkage.GLOBAL)
        for each in spec.variables.values()
        if each.map == map.name
    ]
    content = b"".join(value for _, value in map.contents)
    size = max([len(content), *(each.offset + each.size for each in variables)])
    if not size:
        return None
    made = Section(ARENA, PROGBITS if content else NOBITS, ALLOC | WRITE, content.ljust(size, b"\0") if content else b"", size)
    return Memory(_write(made, variables, types, names, image), 0)


def _write(section: Section, variables: list[Variable], types: Types, names: Names, image: Image) -> int:
    """The section and its variables; the symbol of the section, to which references go."""
    place = image.section(section)
    own = image.symbol(Symbol("", 0, 0, LOCAL, SECTION, place))
    placed = []
    for each in sorted(variables, key=lambda each: each.offset):
        static, name = each.linkage is Linkage.STATIC, each.name
        if not 0 <= each.offset <= each.offset + each.size <= section.size:
            raise Error(f"The variable {name!r} of {each.size} bytes at {each.offset} lies outside of {section.name}.")
        if not static:
            apart = f"{each.map}_{each.name}"
            name = names.free(apart if c_name(name) in names.taken else name, f"the variable {name!r} in {section.name}")
        image.symbol(Symbol(name, each.offset, each.size, LOCAL if static else GLOBAL, OBJECT, place))
        if each.type:
            placed.append(Place(types.add(Var(name, each.type, each.linkage)), each.offset, each.size))
    if placed:
        types.add(DataSec(section.name, section.size, tuple(placed)))
    return own


def _variables(map: MapSpec, start: int, spec: CollectionSpec, types: Types) -> Iterator[Variable]:
    """Those that the map's own types tell of, else the value as a whole; and those that the collection knows beside. `start`
    is where the map begins in its section."""
    told = set()
    if map.types is not None:
        numbers, btf = types.merge_btf(map.types.btf), types.btf(map.types.btf)
        section = btf.type(map.types.value)
        if not isinstance(section, DataSec):
            yield Variable(map.name, map.name, start, map.value_size, numbers(map.types.value), Linkage.GLOBAL)
            return
        for each in section.variables:
            variable = btf.type(each.type)
            if isinstance(variable, Var):
                told.add(each.offset)
                at, type = start + each.offset, numbers(variable.type)
                yield Variable(variable.name, map.name, at, each.size, type, variable.linkage)
    numbers = types.merge(spec.types)
    for known in spec.variables.values():
        if known.map == map.name and known.offset not in told and (map.types is None or not known.type):
            yield Variable(known.name, map.name, start + known.offset, known.size, numbers(known.type), Linkage.GLOBAL)


def _is_section(map: MapSpec) -> bool:
    return bool(kind_of(map.name)) or (map.types is not None and not map.types.key and map.type is MapType.ARRAY)


def _check(map: MapSpec) -> None:
    if not 0 < map.value_size <= LARGEST:
        raise Error(f"The map {map.name!r} has a value of {map.value_size} bytes; a data section has 1 to {LARGEST}.")
    if (map.type, map.key_size, map.max_entries) != (MapType.ARRAY, 4, 1) or map.pin:
        what = "is pinned" if map.pin else f"is a {map.type.name.lower()} with {map.max_entries} entries"
        raise Error(
            f"The map {map.name!r} is used as memory and {what}: in an object file such a map is a data section, which is an "
            "array of one entry that nothing else is known of."
        )


def _content(map: MapSpec) -> bytes:
    """What it holds at first; nothing where that is zeros that nobody told."""
    found = dict(map.contents).get(bytes(4), b"")
    if found and len(found) != map.value_size:
        raise Error(f"The map {map.name!r} has values of {map.value_size} bytes, but {len(found)} bytes for it to begin with.")
    return found
