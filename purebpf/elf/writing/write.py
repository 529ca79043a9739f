"""From a spec to an object file: what comes first, and who needs what of whom."""

from __future__ import annotations

import os
import sys

from purebpf.data import replace
from purebpf.elf import ext
from purebpf.elf.container import ALLOC, GLOBAL, OBJECT, WRITE, ElfObject, Section, Symbol, written
from purebpf.elf.writing import code, data, externs, maps
from purebpf.elf.writing.answers import with_answers
from purebpf.elf.writing.functions import Function, Library, functions_of
from purebpf.elf.writing.hooks import program_section
from purebpf.elf.writing.image import Image, Names
from purebpf.elf.writing.types import Numbers, Types
from purebpf.errors import Error
from purebpf.spec import CollectionSpec, MapSpec
from purebpf.tables.enums import MapType, ProgramType


def write_object(spec: CollectionSpec, path: str | os.PathLike[str]) -> None:
    """Write programs, maps and variables into an object file that libbpf, bpftool, cilium/ebpf and Aya load.

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
    spec = replace(spec, programs={name: with_answers(program) for name, program in spec.programs.items()})
    _check(spec)
    types, names, image, library = Types(), Names(), Image(), Library()
    mains = {name: library.take(functions_of(program)) for name, program in spec.programs.items()}
    for name, main in mains.items():
        main.symbol = names.claim(name, f"the program {name!r}")
    sections = data.data_maps(spec)
    plain = [map for name, map in spec.maps.items() if name not in sections]
    symbols_of = {map.name: names.claim(map.name, f"the map {map.name!r}") for map in plain}
    _collect(spec, types)
    definitions = [
        maps.Definition(map, symbols_of[map.name], _numbers(map, types), _numbers(map.inner, types)) for map in plain
    ]
    wanted_symbols = externs.write_externs(externs.wanted_by(spec, types), types, names, image)
    for function in library.functions:
        function.symbol = names.free(function.name, f"the function {function.name!r}")
    codes = _codes(spec, mains, library)
    places, functions = code.place(codes, image, types)
    _license(spec, names, image)
    own = maps.define_maps(definitions, types, image)
    memory = {name: data.write_section(spec.maps[name], spec, types, names, image) for name in sections}
    symbols = code.Symbols(own, memory, wanted_symbols)
    for each in codes:
        code.fill(each, places[each.name], symbols, functions, image)
    maps.fill_maps(definitions, own | {name: functions[main] for name, main in mains.items()}, image)
    _types(types, code.records(codes, types), image)
    return image.object()


def _collect(spec: CollectionSpec, types: Types) -> None:
    types.merge(spec.types)
    for program in spec.programs.values():
        types.merge(program.types)
    for map in spec.maps.values():
        for each in (map, map.inner):
            if each is not None and each.types is not None:
                types.merge_btf(each.types.btf)
    types.settle()


def _numbers(map: MapSpec | None, types: Types) -> Numbers | None:
    return types.merge_btf(map.types.btf) if map is not None and map.types is not None else None


def _check(spec: CollectionSpec) -> None:
    """Raises Error for what has no place in an object file."""
    for program in spec.programs.values():
        if program.types_of:
            raise Error(
                f"The program {program.name!r} makes objects for the lists and trees of {program.types_of!r}, by the numbers "
                "that their types have there: an object file has its types elsewhere. Load it with purebpf."
            )
        if program.type is ProgramType.STRUCT_OPS and not any(map.type is MapType.STRUCT_OPS for map in spec.maps.values()):
            raise Error(
                f"The program {program.name!r} is an operation of {program.attach_to.partition('.')[0] or 'the kernel'}, and "
                "nothing in the collection says for which: operations are registered with purebpf."
            )
    for map in spec.maps.values():
        if map.type is MapType.STRUCT_OPS:
            raise Error(f"The map {map.name!r} holds operations of the kernel, which cannot be written to object files.")


def _codes(spec: CollectionSpec, mains: dict[str, Function], library: Library) -> list[code.Code]:
    """The code sections: subprograms, then programs by their sections, in order."""
    made: dict[str, code.Code] = {}
    if library.functions:
        made[code.TEXT] = code.Code(code.TEXT)
    for function in library.functions:
        made[code.TEXT].add(function)
    for name, main in mains.items():
        section = program_section(spec.programs[name])
        made.setdefault(section, code.Code(section)).add(main)
    return list(made.values())


def _license(spec: CollectionSpec, names: Names, image: Image) -> None:
    found = {program.license: name for name, program in spec.programs.items()}
    if len(found) > 1:
        said = ", ".join(f"{name!r} has {license!r}" for license, name in found.items())
        raise Error(f"An object file has one license for all of its programs, and these differ: {said}.")
    for license in found:
        raw = license.encode() + b"\0"
        place = image.section(Section("license", flags=WRITE | ALLOC, data=raw, size=len(raw)))
        image.symbol(Symbol(names.free("_license", "the license"), 0, len(raw), GLOBAL, OBJECT, place))


def _types(types: Types, records: ext.Ext, image: Image) -> None:
    told = ext.written(records, sys.byteorder, types.string)
    raw = types.encode()
    image.section(Section(".BTF", data=raw, size=len(raw), align=4))
    image.section(Section(".BTF.ext", data=told, size=len(told), align=4))
