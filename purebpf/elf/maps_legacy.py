"""Maps as structs in the section `maps` define them: of five numbers or more (libbpf before 1.0, the kernel's samples), or
`struct bpf_elf_map` of iproute2.

The struct's size is that of the section by the number of its symbols. A sixth number goes to the kernel as it is, which refuses
it where it means nothing.
"""

from __future__ import annotations

from struct import Struct

from purebpf.btf.types import Struct as StructType
from purebpf.data import data, replace
from purebpf.elf.container import LOCAL
from purebpf.elf.container import SECTION as SECTION_SYMBOL
from purebpf.elf.opened import Opened
from purebpf.spec import MapSpec, MapTypes
from purebpf.tables.enums import MapType

WORD, LEAST = 4, 20  # bytes: type, key size, value size, entries, flags
SAMPLE, IPROUTE2 = 28, 36  # with an inner map's index and a NUMA node; with id, pinning, inner id, inner index
NUMA_NODE = 1 << 2  # BPF_F_NUMA_NODE
MAPS_OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
GLOBALS = "/sys/fs/bpf/tc/globals"
PIN_NONE, PIN_GLOBAL = 0, 2
NOWHERE = 0xFFFF_FFFF  # an index that is none
PAIR = "____btf_map_"  # of a struct of key and value that tells a map's types


@data
class Defined:
    """A map at a byte of a section. `id`, `inner_id` and `inner_index` are iproute2's."""

    spec: MapSpec
    offset: int
    id: int = 0
    inner_id: int = 0
    inner_index: int = 0


def is_section(name: str) -> bool:
    return name == "maps" or name.startswith("maps/")


def defined_maps(file: Opened, place: int, btf: bytes) -> list[Defined]:
    """The maps of a section. Raises ElfError."""
    section = file.sections[place]
    symbols = {symbol.value: symbol for symbol in file.symbols.get(place, ()) if symbol.kind != SECTION_SYMBOL}
    if not symbols:
        raise file.wrong("there is no symbol of a map (are they static?)", place)
    each, rest = divmod(len(section.data), len(symbols))
    if rest or each < LEAST or each % WORD:
        raise file.wrong(
            f"{len(section.data)} bytes are not {len(symbols)} maps, whose structs have {LEAST} bytes or more", place
        )
    found = []
    for offset in range(0, len(section.data), each):
        symbol = symbols.get(offset)
        if symbol is None:
            raise file.wrong(f"there is no symbol of the map here; its struct has {each} bytes", place, offset)
        if symbol.binding == LOCAL:
            raise file.wrong(f"the map {symbol.name} is static: other files could have one of this name", place, offset)
        numbers = Struct(("<" if file.order == "little" else ">") + f"{each // WORD}I").unpack_from(section.data, offset)
        found.append(_defined(file, place, offset, symbol.name, numbers, btf))
    return _with_inner(file, found) if each == IPROUTE2 else _with_inner_of_index(file, place, found, section.data, each)


def _defined(file: Opened, place: int, offset: int, name: str, numbers: tuple[int, ...], btf: bytes) -> Defined:
    try:
        type = MapType(numbers[0])
    except ValueError:
        what = f"the map {name} is of type {numbers[0]}, which no kernel known here has"
        raise file.wrong(what, place, offset) from None
    key, value, entries, flags = numbers[1:5]
    spec = MapSpec(name, type, key, value, entries, flags, types=_types(file, name, key, value, btf))
    rest = numbers[5:]
    if len(numbers) * WORD == IPROUTE2:
        id, pinning, inner_id, inner_index = rest
        if pinning not in (PIN_NONE, PIN_GLOBAL):
            raise file.wrong(
                f"the map {name} has pinning {pinning}; known are 0 (not) and 2 (globally)",
                place,
                offset,
            )
        pin = f"{GLOBALS}/{name}" if pinning == PIN_GLOBAL else ""
        return Defined(replace(spec, pin=pin), offset, id, inner_id, inner_index)
    if len(numbers) * WORD == SAMPLE and (type in MAPS_OF_MAPS or flags & NUMA_NODE):
        return Defined(replace(spec, numa_node=rest[1] if flags & NUMA_NODE else 0), offset)
    if any(rest[1:]):
        raise file.wrong(f"the map {name} has {len(rest)} numbers beyond the five known, which are not 0", place, offset)
    return Defined(replace(spec, extra=rest[0]) if rest else spec, offset)


def _types(file: Opened, name: str, key: int, value: int, btf: bytes) -> MapTypes | None:
    """The types that the macro BPF_ANNOTATE_KV_PAIR leaves."""
    known = file.btf
    for number in known.types_named(PAIR + name) if known is not None else ():
        assert known is not None
        pair = known.type(number)
        if isinstance(pair, StructType) and [member.name for member in pair.members] == ["key", "value"]:
            first, second = (member.type for member in pair.members)
            if known.size_of(first) == key and known.size_of(second) == value:
                return MapTypes(btf, first, second)
    return None


def _with_inner(file: Opened, found: list[Defined]) -> list[Defined]:
    """Maps of maps of iproute2: the `inner_id` of one is the `id` of the map inside, which it has at that one's `inner_idx`."""
    by_id = {each.id: each for each in found if each.id}
    made = []
    for each in found:
        inner = by_id.get(each.inner_id) if each.spec.type in MAPS_OF_MAPS else None
        if inner is not None:
            entries = ((file.bytes_of(inner.inner_index), inner.spec.name),) if inner.inner_index != NOWHERE else ()
            each = replace(each, spec=replace(each.spec, inner=replace(inner.spec, pin=""), entries=entries))
        made.append(each)
    return made


def _with_inner_of_index(file: Opened, place: int, found: list[Defined], content: bytes, each: int) -> list[Defined]:
    """Maps of maps of the kernel's samples, which name the inner one by its index in the section."""
    made = []
    for one in found:
        if each == SAMPLE and one.spec.type in MAPS_OF_MAPS:
            index = file.number(content[one.offset + LEAST : one.offset + LEAST + WORD])
            if index >= len(found) or found[index] is one:
                raise file.wrong(
                    f"the map {one.spec.name} holds the map of index {index}, which is not there", place, one.offset
                )
            one = replace(one, spec=replace(one.spec, inner=found[index].spec))
        made.append(one)
    return made
