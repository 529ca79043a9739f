"""Data sections as maps: `.data*`, `.rodata*`, `.bss*`, each one array with one value, and the variables in them.

A section that is only read is frozen, and programs may not write it. One whose variables are known to other files, too, can be
mapped into memory (Linux 5.5). `.addr_space.1` holds what is first in the memory of the one arena of the file.
"""

from __future__ import annotations

from purebpf.btf.types import Func, Linkage
from purebpf.elf.container import ALLOC, EXECUTE, NOBITS, OBJECT, PROGBITS, SECTION
from purebpf.elf.opened import LABELS, Opened
from purebpf.spec import MapSpec, MapTypes, VariableSpec
from purebpf.tables.enums import MapType

KINDS = (".data", ".rodata", ".bss")
ARENA = ".addr_space.1"
RDONLY_PROG, MMAPABLE = 1 << 7, 1 << 10
LARGEST = 1 << 32


def kind_of(name: str) -> str:
    """`.rodata` of `.rodata.str1.1`; "" of what is no data section."""
    return next((kind for kind in KINDS if name == kind or name.startswith(kind + ".")), "")


def data_sections(file: Opened) -> dict[int, str]:
    """The sections that become maps, by place. Raises ElfError for two of a name, and one that is too large."""
    found: dict[int, str] = {}
    for place, section in enumerate(file.sections):
        if not kind_of(section.name) or section.type not in (PROGBITS, NOBITS) or not section.size:
            continue
        if section.flags & EXECUTE or not section.flags & ALLOC:
            continue
        if section.name in found.values():
            raise file.wrong("there are two data sections of this name; link the file first (`purebpf link`)", place)
        if section.size >= LARGEST:
            raise file.wrong(f"it has {section.size} bytes; a map's value has at most {LARGEST - 1}", place)
        found[place] = section.name
    return found


def data_map(file: Opened, place: int, btf: bytes) -> MapSpec:
    """The map of a data section. `btf` are the file's types as the kernel takes them."""
    section = file.sections[place]
    kind, known = kind_of(section.name), file.variables(section.name)
    shared = any(variable.linkage is not Linkage.STATIC for variable, _, _ in known)
    flags = RDONLY_PROG * (kind == ".rodata") | MMAPABLE * shared
    types = None
    if known:
        types = MapTypes(btf, 0, file.datasecs[section.name])
    contents = ((bytes(4), section.data),) if section.data else ()
    return MapSpec(section.name, MapType.ARRAY, 4, section.size, 1, flags, contents, frozen=kind == ".rodata", types=types)


def variables(file: Opened, place: int, map: str) -> list[VariableSpec]:
    """The variables in a section: those that symbols name, with the types that BTF knows; then those that only BTF names."""
    section = file.sections[place]
    types: dict[tuple[str, int], int] = {}
    found: dict[tuple[str, int], VariableSpec] = {}
    for variable, _, at in file.variables(section.name):
        if isinstance(variable, Func):
            raise file.wrong(f"its types have the function {variable.name}", place)
        if at.offset + at.size > section.size:
            raise file.wrong(f"the variable {variable.name} of {at.size} bytes lies outside of it", place, at.offset)
        types[variable.name, at.offset] = variable.type
        found[variable.name, at.offset] = VariableSpec(variable.name, map, at.offset, at.size, variable.type)
    for symbol in file.symbols.get(place, ()):
        if symbol.kind == SECTION or (symbol.name, symbol.value) in found:
            continue
        if symbol.kind == OBJECT and symbol.size and not symbol.name.startswith(LABELS):
            if symbol.value + symbol.size > section.size:
                raise file.wrong(f"the variable {symbol.name} of {symbol.size} bytes lies outside of it", place, symbol.value)
            found[symbol.name, symbol.value] = VariableSpec(symbol.name, map, symbol.value, symbol.size)
    return sorted(found.values(), key=lambda each: each.offset)


def named(variables: list[VariableSpec]) -> dict[str, VariableSpec]:
    """Variables by name; of several (static ones of several files) the later ones are `name_2`, `name_3`."""
    found: dict[str, VariableSpec] = {}
    for each in variables:
        name, n = each.name, 1
        while name in found:
            n += 1
            name = f"{each.name}_{n}"
        found[name] = each
    return found
