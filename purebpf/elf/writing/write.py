"""From a spec to an object file: what comes first, and who needs what of whom."""

from __future__ import annotations

import os
import sys

from purebpf.data import replace
from purebpf.elf.container import ALLOC, GLOBAL, OBJECT, WRITE, ElfObject, Section, Symbol, written
from purebpf.elf.externs import KCONFIG
from purebpf.elf.writing import code, data, externs, maps
from purebpf.elf.writing.answers import with_answers
from purebpf.elf.writing.functions import Library, functions_of
from purebpf.elf.writing.hooks import program_section
from purebpf.elf.writing.image import Image, Names
from purebpf.elf.writing.made import with_own_types
from purebpf.elf.writing.operations import write_operations
from purebpf.elf.writing.types import Numbers, Types
from purebpf.errors import Error
from purebpf.spec import CollectionSpec, MapSpec
from purebpf.tables.enums import MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder


def write_object(spec: CollectionSpec, path: str | os.PathLike[str]) -> None:
    """Write programs, maps and variables into an object file that libbpf, bpftool and cilium/ebpf load.

    Equal specs give equal files. Raises Error for what an object file has no place for, Unsupported where a kernel function is
    called whose signature nobody here knows.
    """
    raw = object_bytes(spec)
    with open(path, "wb") as file:
        file.write(raw)


def object_bytes(spec: CollectionSpec) -> bytes:
    """What `write_object` writes."""
    return written(object_of(spec))


def object_of(spec: CollectionSpec) -> ElfObject:
    """The object as data."""
    programs = {name: with_own_types(with_answers(program), spec.maps) for name, program in spec.programs.items()}
    spec = replace(spec, programs=programs)
    _check(spec)
    order: ByteOrder = "big" if (spec.byte_order or sys.byteorder) == "big" else "little"
    return _Writer(spec, order).object()


class _Writer:
    """One spec being written."""

    def __init__(self, spec: CollectionSpec, order: ByteOrder) -> None:
        self.spec = spec
        self.types, self.names, self.image, self.library = Types(order), Names(), Image(order), Library()
        self.mains = {name: self.library.take(functions_of(program)) for name, program in spec.programs.items()}
        self.sections = data.data_maps(spec)
        others = (*self.sections, KCONFIG)
        self.plain = [m for name, m in spec.maps.items() if name not in others and m.type is not MapType.STRUCT_OPS]
        self.plain.sort(key=lambda map: map.inner is not None)  # loaders make maps in their order, those that hold others last
        self.operations = [map for map in spec.maps.values() if map.type is MapType.STRUCT_OPS]

    def object(self) -> ElfObject:
        symbols_of = self.named()
        self.collect()
        definitions = [
            maps.Definition(map, symbols_of[map.name], self.numbers(map), self.numbers(map.inner)) for map in self.plain
        ]
        wanted = externs.write_externs(externs.wanted_by(self.spec, self.types), self.types, self.names, self.image)
        settings = externs.write_settings(self.spec, self.types, self.names, self.image)
        for function in self.library.functions:
            function.symbol = self.names.free(function.name, f"the function {function.name!r}")
        codes = self.codes()
        places, functions = code.place(codes, self.image, self.types)
        self.license()
        own = maps.define_maps(definitions, self.types, self.image)
        symbols = code.Symbols(own, self.memory(), wanted, settings)
        programs = {name: functions[main].symbol for name, main in self.mains.items()}
        maps.fill_maps(definitions, own | programs, self.image)
        write_operations(self.operations, self.types, self.names, programs, self.image)
        told, more = self.types.encode(code.records(codes, self.types))
        for each in codes:
            code.fill(each, places[each.name], symbols, functions, self.types, self.image)
        self.image.section(Section(".BTF", data=told, size=len(told), align=4))
        if codes:
            self.image.section(Section(".BTF.ext", data=more, size=len(more), align=4))
        return self.image.object()

    def named(self) -> dict[str, str]:
        """Give programs and maps their symbols' names, before all that may have others; those of the maps."""
        for name, main in self.mains.items():
            main.symbol = self.names.claim(name, f"the program {name!r}")
        return {map.name: self.names.claim(map.name, f"the map {map.name!r}") for map in self.plain}

    def collect(self) -> None:
        """Bring all types together."""
        self.types.merge(self.spec.types, whole=True)
        for program in self.spec.programs.values():
            self.types.merge(program.types)
        for map in self.spec.maps.values():
            for each in (map, map.inner):
                if each is not None and each.types is not None:
                    self.types.merge_btf(each.types.btf)
        self.types.settle()

    def numbers(self, map: MapSpec | None) -> Numbers | None:
        return self.types.merge_btf(map.types.btf) if map is not None and map.types is not None else None

    def memory(self) -> dict[str, data.Memory]:
        """Write the data sections, and what arenas have at first."""
        found = data.write_sections(self.spec, self.types, self.names, self.image)
        for name, map in self.spec.maps.items():
            if map.type is MapType.ARENA:
                place = data.write_arena(map, self.spec, self.types, self.names, self.image)
                found |= {name: place} if place is not None else {}
        return found

    def codes(self) -> list[code.Code]:
        """The code sections: subprograms, then programs by their sections, in order."""
        made: dict[str, code.Code] = {}
        for function in self.library.functions:
            made.setdefault(code.TEXT, code.Code(code.TEXT)).add(function)
        for name, main in self.mains.items():
            section = program_section(self.spec.programs[name])
            made.setdefault(section, code.Code(section)).add(main)
        return list(made.values())

    def license(self) -> None:
        found = {program.license: name for name, program in self.spec.programs.items()}
        if len(found) > 1:
            said = ", ".join(f"{name!r} has {license!r}" for license, name in found.items())
            raise Error(f"An object file has one license for all of its programs, and these differ: {said}.")
        for license in filter(None, found):
            raw = license.encode() + b"\0"
            place = self.image.section(Section("license", flags=WRITE | ALLOC, data=raw, size=len(raw)))
            self.image.symbol(Symbol(self.names.free("_license", "the license"), 0, len(raw), GLOBAL, OBJECT, place))


def _check(spec: CollectionSpec) -> None:
    """Raises Error for what has no place in an object file."""
    implemented = {name for map in spec.maps.values() if map.type is MapType.STRUCT_OPS for _, name in map.entries}
    for name, program in spec.programs.items():
        if program.type is ProgramType.STRUCT_OPS and name not in implemented and not program.optional:
            raise Error(
                f"The program {program.name!r} is an operation of {program.attach_to.partition('.')[0] or 'the kernel'}, and "
                "no operations in the collection name it: write them together."
            )
