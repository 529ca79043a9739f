"""Map definitions, `.maps`: each map is a variable whose type tells all about it (libbpf's `__uint`, `__type`, `__array`).

A number is the length of an array behind a pointer, a type the type behind a pointer. What a map holds at first is a list of
relocations in its variable.
"""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.btf.types import DataSec, DeclTag, Enum64, FuncProto, Linkage, Member, Struct, Var
from purebpf.btf.types import Section as Place
from purebpf.data import data
from purebpf.elf.container import ALLOC, GLOBAL, OBJECT, R_BPF_64_ABS64, WRITE, Section, Symbol
from purebpf.elf.maps_btf import RECORD
from purebpf.elf.writing.image import Image
from purebpf.elf.writing.types import INT, Numbers, Types
from purebpf.errors import Error
from purebpf.spec import MapSpec, settled
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder

PIN_FOLDER, BY_NAME = "/sys/fs/bpf", 1  # what loaders take for a pin by name, if they are not told otherwise
ATTRIBUTE = 8  # bytes of a pointer
ENTRY = 8
MOST_VALUES = 1 << 20  # that are told of one map, each with 8 bytes


@data
class Definition:
    """A map with its name in the object and the numbers of its types."""

    spec: MapSpec
    symbol: str
    numbers: Numbers | None
    inner: Numbers | None


def define_maps(definitions: list[Definition], types: Types, image: Image) -> dict[str, int]:
    """The section `.maps`; the symbol of each map, by its name."""
    if not definitions:
        return {}
    sizes, variables, at = [], [], 0
    for each in definitions:
        number, size = _definition(each, types)
        variable = types.add(Var(each.symbol, number, Linkage.GLOBAL))
        if each.spec.types is not None and each.spec.types.record and each.numbers is not None:
            types.add(DeclTag(f"{RECORD}{types.name_for(each.numbers(each.spec.types.record), each.symbol)}", variable, -1))
        variables.append(Place(variable, at, size))
        sizes.append((at, size))
        at += size
    types.add(DataSec(".maps", at, tuple(variables)))
    place = image.section(Section(".maps", flags=WRITE | ALLOC, data=bytes(at), size=at, align=8))
    return {
        each.spec.name: image.symbol(Symbol(each.symbol, at, size, GLOBAL, OBJECT, place))
        for each, (at, size) in zip(definitions, sizes, strict=True)
    }


def fill_maps(definitions: list[Definition], symbols: Mapping[str, int], image: Image) -> None:
    """What maps hold at first; `symbols` are those of maps and programs, by name."""
    for each in definitions:
        if not each.spec.entries:
            continue
        own = image.symbols[symbols[each.spec.name]]
        values = own.value + own.size - ENTRY * _room(each.spec, image.order)
        for key, name in sorted(each.spec.entries):
            if name not in symbols:
                raise Error(f"The map {each.spec.name!r} holds {name!r}, which is no program or map of the same collection.")
            image.relocate(own.section, values + ENTRY * _index(each.spec, key, image.order), R_BPF_64_ABS64, symbols[name])


def _definition(each: Definition, types: Types) -> tuple[int, int]:
    """(number of the struct, size of the variable): values are behind the struct, in an array without a length."""
    spec = settled(each.spec)
    if (spec.contents and spec.type is not MapType.ARENA) or spec.frozen:
        raise Error(
            f"The map {spec.name!r} has contents{' and is frozen' * spec.frozen}: only data sections have contents in object "
            "files. Write them when it is loaded."
        )
    members = _attributes(spec, each.numbers, types)
    if spec.pin:
        members.append(("pinning", _number(types, _by_name(spec, each.symbol))))
    if spec.inner is not None:
        inner = types.add(_struct(_attributes(settled(spec.inner), each.inner, types)))
        members.append(("values", types.array(types.pointer(inner), 0)))
    elif spec.entries:
        members.append(("values", types.array(types.pointer(types.add(FuncProto(0, ()))), 0)))
    struct = _struct(members)
    return types.add(struct), struct.size + ENTRY * _room(spec, types.order)


def _attributes(spec: MapSpec, numbers: Numbers | None, types: Types) -> list[tuple[str, int]]:
    """Name and type of what tells the map's type, sizes and flags."""
    members = [("type", _number(types, spec.type))]
    for what, size in (("key", spec.key_size), ("value", spec.value_size)):
        type = 0
        if spec.types is not None and numbers is not None:
            type = spec.types.key if what == "key" else spec.types.value
        if type and numbers is not None and spec.types is not None and types.btf(spec.types.btf).size_of(type) == size:
            members.append((what, types.pointer(numbers(type))))
        elif size and not (what == "value" and spec.inner is not None):
            members.append((f"{what}_size", _number(types, size)))
    for name, value in _numbers(spec):
        if value:
            members.append((name, _number(types, value)))
    return members


def _numbers(spec: MapSpec) -> list[tuple[str, int]]:
    return [
        ("max_entries", spec.max_entries),
        ("map_flags", spec.flags),
        ("numa_node", spec.numa_node),
        ("map_extra", spec.extra),
    ]


def _number(types: Types, value: int) -> int:
    """The type that stands for a number: beyond 32 bits the value of an enum."""
    if value >> 32:
        return types.add(Enum64("", 8, False, ((f"value_{value:x}", value),)))
    return types.pointer(types.array(types.add(INT), value))


def _struct(members: list[tuple[str, int]]) -> Struct:
    placed = tuple(Member(name, type, 8 * ATTRIBUTE * place) for place, (name, type) in enumerate(members))
    return Struct("", ATTRIBUTE * sum(name != "values" for name, _ in members), placed)


def _by_name(spec: MapSpec, symbol: str) -> int:
    if spec.pin != f"{PIN_FOLDER}/{symbol}":
        raise Error(
            f"The map {spec.name!r} is pinned at {spec.pin}; an object file only says that a map is pinned by its name, which "
            f"is {PIN_FOLDER}/{symbol}. Have the loader pin it elsewhere."
        )
    return BY_NAME


def _room(spec: MapSpec, order: ByteOrder) -> int:
    """How many values there are from the first to the last that is told."""
    return max((_index(spec, key, order) + 1 for key, _ in spec.entries), default=0)


def _index(spec: MapSpec, key: bytes, order: ByteOrder) -> int:
    number = int.from_bytes(key, order)
    if len(key) != 4 or number >= min(spec.max_entries, MOST_VALUES):
        raise Error(
            f"The map {spec.name!r} holds something at the key {key.hex()}; in object files keys are indices of 32 bits, below "
            f"max_entries, which is {spec.max_entries}."
        )
    return number
