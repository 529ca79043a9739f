"""What a file wants of the kernel: symbols that it does not define itself.

`.kconfig`: values of the kernel's configuration, which the loader puts into a map; the order there is libbpf's. `.ksyms`:
functions and variables of the kernel. Elsewhere: what another object file has, which is to be linked with this one. The types
tell which of them one is; a symbol without types can only be an address of the kernel's.
"""

from __future__ import annotations

from purebpf.btf.types import DataSec, Func, Kind, Linkage, Type, Var
from purebpf.data import data, replace
from purebpf.elf import maps_legacy
from purebpf.elf.container import GLOBAL, NOTYPE, UNDEFINED, WEAK
from purebpf.elf.data_sections import MMAPABLE, RDONLY_PROG
from purebpf.elf.maps_btf import SECTION as MAPS
from purebpf.elf.opened import Opened
from purebpf.spec import ExternKind, ExternSpec, MapSpec, MapTypes, VariableSpec
from purebpf.tables.enums import MapType

KCONFIG, KSYMS = ".kconfig", ".ksyms"


@data
class Externs:
    """What is wanted, by name: settings are variables of the map `.kconfig`, all else are symbols."""

    settings: dict[str, VariableSpec]
    symbols: dict[str, ExternSpec]


def externs(file: Opened) -> Externs:
    """Raises ElfError for a setting without a size."""
    weak = {
        symbol.name: symbol.binding == WEAK
        for symbol in file.elf.symbols
        if symbol.name and symbol.section == UNDEFINED and symbol.binding in (GLOBAL, WEAK) and symbol.kind == NOTYPE
    }
    known = {variable.name: (_kind(file, variable, number), number) for variable, number, _ in file.variables(KSYMS)}
    settings = _settings(file, weak)
    if any(name not in known and name not in settings for name in weak):
        known = _of_others(file) | known
    symbols = {}
    for name in weak:
        kind, number = known.get(name, (ExternKind.ADDRESS, 0))
        symbols[name] = ExternSpec(name, kind, weak[name], number)
    rest = sorted(name for name in symbols if name not in settings)
    return Externs(settings, {name: replace(symbols[name], index=len(settings) + i) for i, name in enumerate(rest)})


def _kind(file: Opened, variable: Var | Func, number: int) -> ExternKind:
    """What one of the kernel's is."""
    if isinstance(variable, Func):
        return ExternKind.FUNCTION
    assert file.btf is not None
    inner = file.btf.third_word(number)
    return ExternKind.ADDRESS if file.btf.kind(file.btf.resolve(inner)) is Kind.VOID else ExternKind.VARIABLE


def _of_others(file: Opened) -> dict[str, tuple[ExternKind, int]]:
    """(what it is, its number) of all that is declared and not the kernel's, by name."""
    maps = {number for section in file.datasecs if is_map_section(section) for _, number, _ in file.variables(section)}
    found = {}
    for number, type in enumerate(file.types, 1):
        if isinstance(type, Func) and type.linkage is Linkage.EXTERN:
            found[type.name] = ExternKind.OTHER_FUNCTION, number
        elif isinstance(type, Var) and type.linkage is Linkage.EXTERN:
            found[type.name] = ExternKind.OTHER_MAP if number in maps else ExternKind.OTHER_VARIABLE, number
    return found


def is_map_section(name: str) -> bool:
    return name == MAPS or maps_legacy.is_section(name)


def _settings(file: Opened, weak: dict[str, bool]) -> dict[str, VariableSpec]:
    """Those of the kernel's configuration: the widest aligned first, of one alignment the smallest, of one size by name."""
    rows = []
    for variable, _, at in file.variables(KCONFIG):
        if isinstance(variable, Func) or variable.linkage is not Linkage.EXTERN or variable.name not in weak:
            continue
        assert file.btf is not None
        align = file.btf.align_of(variable.type)
        size = file.btf.size_of(variable.type)
        if not size:
            raise file.wrong(f"{KCONFIG}: {variable.name} has no size: an array needs one", None, at.offset)
        rows.append((-align, size, variable.name, variable.type))
    found, end = {}, 0
    for descending, size, name, type in sorted(rows):
        align = -descending
        start = -(-end // align) * align
        found[name] = VariableSpec(name, KCONFIG, start, size, type, weak[name])
        end = start + size
    return found


def with_settings(types: tuple[Type, ...], settings: dict[str, VariableSpec]) -> tuple[Type, ...]:
    """The types with the places of the settings in the type of their section."""

    def filled(section: DataSec) -> DataSec:
        variables = []
        for each in section.variables:
            variable = types[each.type - 1]
            if isinstance(variable, Var) and variable.name in settings:
                known = settings[variable.name]
                variables.append(replace(each, offset=known.offset, size=known.size))
        variables.sort(key=lambda each: each.offset)
        return replace(section, size=_end(settings), variables=tuple(variables))

    return tuple(filled(type) if isinstance(type, DataSec) and type.name == KCONFIG else type for type in types)


def _end(settings: dict[str, VariableSpec]) -> int:
    return max((each.offset + each.size for each in settings.values()), default=0)


def kconfig_map(settings: dict[str, VariableSpec], types: MapTypes) -> MapSpec:
    """The map that the loader fills; its contents are not known here."""
    return MapSpec(KCONFIG, MapType.ARRAY, 4, _end(settings), 1, RDONLY_PROG | MMAPABLE, frozen=True, types=types)
