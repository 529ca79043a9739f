"""Object files for eBPF as specs: what clang, `bpftool gen object` and others write, and what libbpf and cilium/ebpf read.

A map of a data section has the section's name. Nothing of the running machine goes into a spec: settings of the kernel, its
types and symbols are looked up when programs are loaded. Both byte orders are read.
"""

from __future__ import annotations

import os
from pathlib import Path

from purebpf.btf.builder import encoded
from purebpf.btf.loadable import loadable
from purebpf.data import replace
from purebpf.elf import maps_legacy
from purebpf.elf.container import R_BPF_64_ABS64, ElfError, Symbol, read
from purebpf.elf.data_sections import ARENA, data_map, data_sections, named, variables
from purebpf.elf.externs import KCONFIG, Externs, externs, kconfig_map, with_settings
from purebpf.elf.functions import Places, functions
from purebpf.elf.maps_btf import SECTION, Declared, declared_maps
from purebpf.elf.opened import Opened
from purebpf.elf.operations import operations
from purebpf.elf.programs import Handlers, programs
from purebpf.errors import Error
from purebpf.spec import CollectionSpec, MapSpec, MapTypes, VariableSpec
from purebpf.tables.enums import MapType

POINTER = 8


def load_object(source: str | os.PathLike[str] | bytes, *, sections: Handlers | None = None) -> CollectionSpec:
    """The programs, maps and variables of an object file, given by its path or as its bytes.

    `sections` gives meanings to names of sections that have none: `{"mine": (ProgramType.XDP, None)}`; what follows a slash is
    the hook then. Raises Error for a file that cannot be read or is none for eBPF, with the section and the byte.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _Collection(Opened(read(bytes(source)), "the object"), "", sections or {}).spec()
    if not isinstance(source, str | os.PathLike):
        raise Error(f"An object file is given by its path or its bytes, not by {source!r:.60}")
    path = Path(source)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Error(f"The object file {path} cannot be read: {error.strerror or error}.") from error
    return _Collection(Opened(read(raw, str(path)), str(path)), path.name.partition(".")[0], sections or {}).spec()


class _Collection:
    """One file being turned into a spec."""

    def __init__(self, file: Opened, name: str, handlers: Handlers) -> None:
        self.file, self.name, self.handlers = file, name, handlers
        self.externs: Externs = externs(file)
        file.types = with_settings(file.types, self.externs.settings)
        self.btf = encoded(loadable(file.types), file.order) if file.types else b""
        self.maps: dict[str, MapSpec] = {}
        self.variables: list[VariableSpec] = []
        self.map_places: dict[tuple[int, int], str] = {}
        self.data_places: dict[int, str] = {}

    def spec(self) -> CollectionSpec:
        self._legacy()
        declared = declared_maps(self.file, self.btf)
        self._declared(declared)
        self._data()
        self._arena()
        self._settings()
        found, implemented = operations(self.file, self.btf)
        for spec in found.values():
            self._add(spec)
        places = Places(self.map_places, self.data_places, self.externs)
        made = programs(self.file, functions(self.file, places), self.externs, implemented, self.handlers)
        return CollectionSpec(made, self.maps, named(self.variables), self.file.types, self.name, self.file.order)

    def _add(self, spec: MapSpec) -> None:
        if spec.name in self.maps:
            raise ElfError(f"{self.file.origin}: there are two maps {spec.name}")
        self.maps[spec.name] = spec

    def _legacy(self) -> None:
        for place, section in enumerate(self.file.sections):
            if maps_legacy.is_section(section.name) and section.data:
                for each in maps_legacy.defined_maps(self.file, place, self.btf):
                    self._add(each.spec)
                    self.map_places[place, each.offset] = each.spec.name

    def _declared(self, declared: list[Declared]) -> None:
        place = self.file.elf.section(SECTION)
        if place is None:
            return
        for each in declared:
            self.map_places[place, each.offset] = each.spec.name
        entries = self._entries(place, declared)
        for each in declared:
            self._add(replace(each.spec, entries=entries[each.spec.name]) if each.spec.name in entries else each.spec)

    def _entries(self, place: int, declared: list[Declared]) -> dict[str, tuple[tuple[bytes, str], ...]]:
        """What relocations in `.maps` put into maps: (index as a key, name of the map or program), by the map."""
        found: dict[str, tuple[tuple[bytes, str], ...]] = {}
        for relocation in self.file.relocations(place):
            holder = next((each for each in declared if each.offset <= relocation.offset < self._behind(each)), None)
            symbol = self.file.elf.symbols[relocation.symbol]
            if holder is None or holder.values is None or relocation.type != R_BPF_64_ABS64:
                raise self.file.wrong(f"{symbol.name!r} is written where no map has its values", place, relocation.offset)
            index, rest = divmod(relocation.offset - holder.offset - holder.values, POINTER)
            if rest or index < 0:
                raise self.file.wrong(
                    f"{symbol.name!r} is written beside a value of {holder.spec.name}", place, relocation.offset
                )
            name = self._held(holder, symbol, place, relocation.offset, relocation.addend)
            found[holder.spec.name] = (*found.get(holder.spec.name, ()), (self.file.bytes_of(index), name))
        return found

    def _behind(self, declared: Declared) -> int:
        """The byte behind a map's variable, whose size the symbol tells: the array of values has no size in its type."""
        place = self.file.elf.section(SECTION)
        assert place is not None
        sizes = (each.size for each in self.file.symbols.get(place, ()) if each.value == declared.offset and each.size)
        return declared.offset + max(next(sizes, 0), declared.size)

    def _held(self, holder: Declared, symbol: Symbol, place: int, offset: int, addend: int | None) -> str:
        """The name of what a map holds."""
        if holder.spec.type is MapType.PROG_ARRAY:
            if symbol.section >= 0 and symbol.name and symbol.section in self.file.code_sections():
                return symbol.name
            raise self.file.wrong(f"{holder.spec.name} holds {symbol.name!r}, which is no program of the file", place, offset)
        name = self.map_places.get((symbol.section, symbol.value + (addend or 0)))
        if name is None or holder.spec.inner is None:
            raise self.file.wrong(f"{holder.spec.name} holds {symbol.name!r}, which is no map of the file", place, offset)
        return name

    def _data(self) -> None:
        for place, name in data_sections(self.file).items():
            self._add(data_map(self.file, place, self.btf))
            self.data_places[place] = name
            self.variables += variables(self.file, place, name)

    def _arena(self) -> None:
        """The variables that are first in the memory of the file's arena."""
        place = self.file.elf.section(ARENA)
        if place is None or not self.file.sections[place].size:
            return
        arenas = [spec for spec in self.maps.values() if spec.type is MapType.ARENA]
        if len(arenas) != 1:
            raise self.file.wrong(f"its variables want one arena; there are {len(arenas)} among the maps", place)
        (arena,) = arenas
        section = self.file.sections[place]
        self.maps[arena.name] = replace(arena, contents=((b"", section.data),) if section.data else ())
        self.data_places[place] = arena.name
        self.variables += variables(self.file, place, arena.name)

    def _settings(self) -> None:
        if not self.externs.settings:
            return
        types = MapTypes(self.btf, 0, self.file.datasecs[KCONFIG])
        self._add(kconfig_map(self.externs.settings, types))
        self.variables += self.externs.settings.values()
