"""Maps as the types of variables in `.maps` declare them (libbpf's "BTF-defined maps").

A member is an attribute. A number n is a pointer to an array of n elements (`__uint`) or an enum with one value (`__ulong`), a
type a pointer to it (`__type`); `values` is an array of pointers to the map that is inside, or to functions (`__array`), which
relocations may fill.
"""

from __future__ import annotations

from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, Enum, Enum64, FuncProto, Kind, Linkage, Member, Ptr, Struct, Type, Var
from purebpf.data import data, made, replace
from purebpf.elf.container import ElfError
from purebpf.elf.opened import Opened
from purebpf.errors import Error
from purebpf.spec import MapSpec, MapTypes
from purebpf.tables.enums import MapType

SECTION = ".maps"
PIN_FOLDER = "/sys/fs/bpf"
BY_NAME = 1  # LIBBPF_PIN_BY_NAME
NUMBERS = ("type", "max_entries", "map_flags", "numa_node", "key_size", "value_size", "pinning", "map_extra")
RINGS = (MapType.RINGBUF, MapType.USER_RINGBUF)
OF_RECORDS = (*RINGS, MapType.PERF_EVENT_ARRAY)
RECORD = "record:"  # the tag of a ring, which names the type of what is sent through it
RECORDS = (Kind.STRUCT, Kind.UNION, Kind.TYPEDEF, Kind.ENUM, Kind.ENUM64, Kind.INT)  # in this order
MAPS_OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
NEED_TYPES = frozenset({MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE})
LOCKS, TIMERS = ("bpf_spin_lock", "bpf_res_spin_lock"), ("bpf_timer", "bpf_wq", "bpf_task_work")
INSIDE = frozenset({*LOCKS, *TIMERS, "bpf_list_head", "bpf_rb_root", "bpf_refcount"})  # what the kernel must know of
KPTRS = frozenset({"kptr", "kptr_untrusted", "percpu_kptr", "uptr"})
DEEPEST = 8
POINTER = 8  # bytes


@data
class Declared:
    """The variable of a map: its byte and size in the section, and where in it the values begin, if they are declared."""

    spec: MapSpec
    offset: int
    size: int
    values: int | None = None


@data(frozen=False)
class _Attributes:
    numbers: dict[str, int] = made(dict)
    types: dict[str, int] = made(dict)
    values: int | None = None
    inner: MapSpec | None = None
    programs: bool = False


def declared_maps(file: Opened, btf: bytes) -> list[Declared]:
    """All of them. `btf` are the file's types as the kernel takes them. Raises ElfError."""
    place = file.elf.section(SECTION)
    if place is None:
        return []
    if file.btf is None or SECTION not in file.datasecs:
        raise file.wrong("there are no types (.BTF) of the maps; compile with -g", place)
    _check_zero(file, place)
    found = []
    for variable, number, at in file.variables(SECTION):
        if not isinstance(variable, Var):
            raise file.wrong(f"{variable.name} is no variable", place)
        if variable.linkage is Linkage.EXTERN:
            raise file.wrong(f"the map {variable.name} is extern: link the files first (`purebpf link`)", place)
        try:
            declared = _declared(file, file.btf, variable, at.offset, btf)
            found.append(replace(declared, spec=_with_record(file.btf, declared.spec, file.tags.get(number, []), btf)))
        except Error as error:
            if isinstance(error, ElfError):
                raise
            raise file.wrong(f"the map {variable.name}: {error}", place, at.offset) from error
    return found


def _check_zero(file: Opened, place: int) -> None:
    """A declaration has no value but those of `values`, which relocations tell."""
    rest = bytearray(file.sections[place].data)
    for relocation in file.relocations(place):
        rest[relocation.offset : relocation.offset + POINTER] = bytes(POINTER)
    if any(rest):
        at = next(at for at, byte in enumerate(rest) if byte)
        raise file.wrong("a map is declared with a value here; only `values` may have some", place, at)


def _declared(file: Opened, btf: Btf, variable: Var, offset: int, raw: bytes) -> Declared:
    number = btf.resolve(variable.type)
    struct = btf.type(number)
    if not isinstance(struct, Struct):
        raise Error(f"its type is {struct.kind.name.lower()}, not the struct of attributes that a map is declared by")
    spec, values = _spec(file, btf, variable.name, struct, raw)
    return Declared(spec, offset, btf.size_of(number), values)


def _with_record(btf: Btf, spec: MapSpec, tags: list[str], raw: bytes) -> MapSpec:
    """The map with the type of its records, if it is a ring whose tag names it, or whose value it is. The kernel takes no
    values of rings, so those of `__type(value, struct event)` have no size there."""
    if spec.type not in OF_RECORDS:
        return spec
    types = spec.types or MapTypes(raw, 0, 0)
    if spec.type in RINGS and types.value:
        types = replace(types, value=0, record=_element(btf, types.value))
        spec = replace(spec, value_size=0)
    for tag in tags:
        if tag.startswith(RECORD):
            types = replace(types, record=_named(btf, tag.removeprefix(RECORD)))
    return replace(spec, types=types) if types.record else spec


def _element(btf: Btf, number: int) -> int:
    """The type in an array of no elements, which has no size; any other type itself."""
    type = btf.type(btf.resolve(number))
    return type.type if isinstance(type, Array) and not type.length else number


def _named(btf: Btf, name: str) -> int:
    plain = name.removeprefix("struct ").removeprefix("union ").removeprefix("enum ")
    found = (number for kind in RECORDS for number in btf.types_named(plain, kind))
    number = next(found, 0)
    if not number:
        raise Error(f"its tag says that records are `{name}`, and there is no such type in the file's BTF")
    return number


def _spec(file: Opened, btf: Btf, name: str, struct: Struct, raw: bytes, inner: bool = False) -> tuple[MapSpec, int | None]:
    """The map that a struct declares, and the byte of the struct where its values begin."""
    known = _Attributes()
    for member in struct.members:
        _attribute(file, btf, name, member, known, raw, inner)
    numbers = known.numbers
    if "type" not in numbers:
        raise Error("it has no attribute `type`")
    try:
        type = MapType(numbers["type"])
    except ValueError:
        raise Error(f"its type is {numbers['type']}, which no kernel known here has (the last is {max(MapType)})") from None
    if known.inner is not None and type not in MAPS_OF_MAPS:
        raise Error(f"it has `values` that are maps, but {type.name.lower()} is no map of maps")
    if known.programs and type is not MapType.PROG_ARRAY:
        raise Error(f"it has `values` that are functions, but {type.name.lower()} is no program array")
    if inner and numbers.get("pinning"):
        raise Error("a map inside of another cannot be pinned")
    if numbers.get("pinning", 0) not in (0, BY_NAME):
        raise Error(f"its `pinning` is {numbers['pinning']}; there are 0 (not) and 1 (by name)")
    key, value = known.types.get("key", 0), known.types.get("value", 0)
    types = MapTypes(raw, key, value, type in NEED_TYPES or _holds_objects(btf, value)) if value or key else None
    spec = MapSpec(
        name,
        type,
        numbers.get("key_size", 0),
        numbers.get("value_size", 0),
        numbers.get("max_entries", 0),
        numbers.get("map_flags", 0),
        types=types,
        extra=numbers.get("map_extra", 0),
        pin=f"{PIN_FOLDER}/{name}" if numbers.get("pinning") else "",
        inner=known.inner,
        numa_node=numbers.get("numa_node", 0),
    )
    return spec, known.values


def _attribute(file: Opened, btf: Btf, name: str, member: Member, known: _Attributes, raw: bytes, inner: bool) -> None:
    type = btf.type(btf.resolve(member.type))
    if member.name in NUMBERS:
        _size(known, member.name, _number(btf, member.name, type))
    elif member.name in ("key", "value"):
        if not isinstance(type, Ptr):
            raise Error(f"its attribute `{member.name}` is no pointer to a type: write __type({member.name}, ...)")
        known.types[member.name] = type.type
        _size(known, f"{member.name}_size", btf.size_of(type.type))
    elif member.name == "values":
        if inner:
            raise Error("maps inside of a map that is itself inside of one are not possible")
        _values(file, btf, name, type, known, raw)
        known.values = member.bit_offset // 8
        _size(known, "value_size", 4)
    else:
        raise Error(f"it has an attribute `{member.name}`; there are {', '.join(NUMBERS)}, key, value and values")


def _size(known: _Attributes, name: str, number: int) -> None:
    if known.numbers.setdefault(name, number) != number:
        raise Error(f"its `{name}` is {known.numbers[name]} and {number}")


def _number(btf: Btf, name: str, type: Type) -> int:
    if isinstance(type, Enum | Enum64) and len(type.values) == 1:
        return type.values[0][1]
    if isinstance(type, Ptr):
        array = btf.type(btf.resolve(type.type))
        if isinstance(array, Array):
            return array.length
    raise Error(f"its attribute `{name}` is no number: write __uint({name}, ...)")


def _values(file: Opened, btf: Btf, name: str, type: Type, known: _Attributes, raw: bytes) -> None:
    """What the elements of `values` point to."""
    pointer = btf.type(btf.resolve(type.type)) if isinstance(type, Array) else None
    target = btf.type(btf.resolve(pointer.type)) if isinstance(pointer, Ptr) else None
    if isinstance(target, Struct):
        known.inner = _spec(file, btf, f"{name}.inner", target, raw, inner=True)[0]
    elif isinstance(target, FuncProto):
        known.programs = True
    else:
        raise Error("its attribute `values` is no array of pointers to a map or to functions: write __array(values, ...)")


def _holds_objects(btf: Btf, number: int, depth: int = 0) -> bool:
    """Whether a value has parts that the kernel must know of: locks, timers, lists, pointers of the kernel's."""
    if not number or depth > DEEPEST:
        return False
    type = btf.type(btf.resolve(number))
    if isinstance(type, Array):
        return _holds_objects(btf, type.type, depth + 1)
    if isinstance(type, Ptr):
        return type.type != 0 and btf.name(type.type) in KPTRS and btf.kind(type.type).name == "TYPE_TAG"
    if not isinstance(type, Struct):
        return False
    return type.name in INSIDE or any(_holds_objects(btf, member.type, depth + 1) for member in type.members)
