"""What a file wants of the kernel: symbols that it does not define itself.

`.kconfig`: values of the kernel's configuration, which the loader puts into a map; the order there is libbpf's. `.ksyms`:
functions and variables of the kernel. The types tell which of them one is; a symbol without types can only be an address.
"""

from __future__ import annotations

from purebpf.btf.types import DataSec, Func, Kind, Linkage, Type, Var
from purebpf.data import data, replace
from purebpf.elf.container import GLOBAL, NOTYPE, UNDEFINED, WEAK
from purebpf.elf.data_sections import MMAPABLE, RDONLY_PROG
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
    known = {variable.name: (variable, number) for variable, number, _ in file.variables(KSYMS)}
    symbols = {}
    for name in weak:
        variable, number = known.get(name, (None, 0))
        symbols[name] = ExternSpec(name, _kind(file, variable, number), weak[name], number)
    settings = _settings(file, weak)
    rest = sorted(name for name in symbols if name not in settings)
    return Externs(settings, {name: replace(symbols[name], index=len(settings) + i) for i, name in enumerate(rest)})


def _kind(file: Opened, variable: object, number: int) -> ExternKind:
    if isinstance(variable, Func):
        return ExternKind.FUNCTION
    if not number or file.btf is None:
        return ExternKind.ADDRESS
    inner = file.btf.third_word(number)
    return ExternKind.ADDRESS if file.btf.kind(file.btf.resolve(inner)) is Kind.VOID else ExternKind.VARIABLE


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
