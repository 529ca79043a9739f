"""What a package is made of: a source's programs and maps as a spec, with the layouts of what the maps and variables hold.

A source is a Python file with programs, which is compiled, or an object file. Of Python's declarations the layouts are known;
of an object file its BTF tells them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.types import Kind
from purebpf.data import data, made, replace
from purebpf.errors import Error
from purebpf.lang.maps.by_spec import OF_MAPS, OF_RECORDS, class_of
from purebpf.lang.types import ArrayType, BytesType, EnumType, Field, IntType, StructType, Type
from purebpf.objects.layouts import Layouts
from purebpf.objects.loading import of_no_type
from purebpf.objects.naming import class_name, identifier
from purebpf.spec import CollectionSpec, MapSpec, VariableSpec
from purebpf.tables.enums import MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.compiler.options import Options

SECTIONS = (".data", ".bss", ".rodata", ".kconfig", ".ksyms")  # what the names of maps with variables begin with
OF_THE_KERNEL = (".kconfig", ".ksyms")  # what the kernel tells, not the user
NAMED = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF)
DROPPED = ".dropped"  # the map in which programs count what found no room in a ring


@data
class Held:
    """The layouts of a map's keys and values; None where the class of the map says all. `inner` is of the maps in it."""

    key: Type | None
    value: Type | None
    inner: Held | None = None


@data
class Variables:
    """The variables in a map: a group with a name of its own (as `@bpf.globals` makes), or for "" all together. Those of
    `unset` must be assigned before loading."""

    map: str
    group: str
    layout: StructType
    constant: bool
    unset: tuple[str, ...] = ()


@data(frozen=False, eq=False)
class Source:
    """`name` is that of the package's class, `stem` that of the file with the bytecode. `types` are layouts that were asked for
    by name. `files` are all that were read."""

    name: str
    stem: str
    origin: str
    spec: CollectionSpec
    held: dict[str, Held]
    variables: list[Variables]
    types: list[Type] = made(list)
    files: list[Path] = made(list)
    content: bytes = b""  # of an object file


def read_source(path: Path, name: str = "", options: Options | None = None) -> Source:
    """A Python file, compiled by the options, or an object file. Raises Error."""
    stem = identifier(path.name.partition(".")[0])
    source = _of_python(path, stem, options) if path.suffix == ".py" else _of_object(path, stem)
    source.name = name or class_name(stem)
    return source


def _of_python(path: Path, stem: str, options: Options | None) -> Source:
    from purebpf.packaging.python_files import compiled, neighbours

    spec, declarations = compiled(path, options)
    plain = {name: declaration for name, declaration in declarations.items() if not hasattr(declaration, "initial")}
    held = {name: _held(declaration, spec.maps[name]) for name, declaration in plain.items()}
    groups = [_group(name, declaration) for name, declaration in declarations.items() if hasattr(declaration, "initial")]
    return Source("", stem, path.name, spec, held, groups, files=neighbours(path))


def _held(declaration: Any, spec: MapSpec) -> Held:
    wanted = class_of(spec)[2]
    inner = getattr(declaration, "inner", None)
    return Held(
        declaration.key_type if "K" in wanted else None,
        declaration.value_type if "V" in wanted else None,
        None if inner is None or spec.inner is None else _held(inner, spec.inner),
    )


def _group(name: str, declaration: Any) -> Variables:
    unset = tuple(field.name for field in declaration.layout.fields if field.name in getattr(declaration, "unset", ()))
    return Variables(name, identifier(declaration.layout.name), declaration.layout, hasattr(declaration, "unset"), unset)


def _of_object(path: Path, stem: str) -> Source:
    import purebpf

    try:
        content = path.read_bytes()
    except OSError as error:
        raise Error(f"{path} cannot be read: {error.strerror}") from None
    spec = purebpf.load_object(path)
    if spec.byte_order not in ("", sys.byteorder):
        what = f"{path} is for {spec.byte_order}-endian machines"
        raise Error(f"{what}; a package is made on a machine, and for machines, of the same byte order")
    layouts = _Objects(spec, path.name)
    held = {name: layouts.held(each) for name, each in spec.maps.items() if each.type is not MapType.STRUCT_OPS}
    return Source("", stem, path.name, spec, held, layouts.variables(), files=[path], content=content)


class _Objects:
    """Layouts of what an object file's maps and variables hold. The BTF of a map is mostly that of the whole file."""

    def __init__(self, spec: CollectionSpec, origin: str) -> None:
        self.spec, self.origin = spec, origin
        self.known: dict[bytes, Layouts] = {}

    def of(self, btf: bytes) -> Layouts:
        if btf not in self.known:
            self.known[btf] = Layouts(Btf(btf, origin=self.origin))
        return self.known[btf]

    def held(self, spec: MapSpec) -> Held:
        wanted = class_of(spec)[2]
        if spec.type in OF_MAPS and spec.inner is None:
            raise Error(f"{self.origin}: map `{spec.name}` holds maps, but nothing says of what kind they are")
        key = value = None
        if spec.types is not None and not _is_section(spec):
            layouts = self.of(spec.types.btf)
            key = layouts.layout(spec.types.key, f"{spec.name}__key") if spec.types.key else None
            value = layouts.layout(spec.types.value, f"{spec.name}__value") if spec.types.value else None
        key = _sized(key, spec.key_size)
        if spec.type is MapType.ARENA:
            value = value or IntType(8)
        elif spec.type in OF_RECORDS:
            number = spec.types.record if spec.types is not None else 0
            value = layouts.layout(number, f"{spec.name}__record") if number else None
        else:
            value = _sized(value, spec.value_size)
        inner = None if spec.inner is None else self.held(spec.inner)
        return Held(key if "K" in wanted else None, value if "V" in wanted else None, inner)

    def variables(self) -> list[Variables]:
        by_map: dict[str, list[tuple[str, VariableSpec]]] = {}
        for name, variable in self.spec.variables.items():
            if not variable.map.endswith(OF_THE_KERNEL):
                by_map.setdefault(variable.map, []).append((name, variable))
        return [self._section(self.spec.maps[map], rows) for map, rows in by_map.items()]

    def _section(self, map: MapSpec, rows: list[tuple[str, VariableSpec]]) -> Variables:
        layouts = self.of(_encoded(self.spec)) if self.spec.types else None
        fields = []
        for name, variable in sorted(rows, key=lambda row: (row[1].offset, row[0])):
            known = layouts.layout(variable.type, name) if layouts and variable.type else None
            fields.append(Field(name, _sized(known, variable.size), variable.offset))
        size = map.value_size or max(field.offset + field.type.size for field in fields)  # an arena has no size of a value
        layout = StructType(map.name, tuple(fields), size, 8, object)
        return Variables(map.name, "", layout, map.frozen)


def _sized(layout: Type | None, size: int) -> Type:
    """The layout, if its size is right; else an integer or bytes."""
    if layout is not None and layout.size == size:
        return layout
    return IntType(8 * size) if layout is None and size in (1, 2, 4, 8) else BytesType(size)


def _is_section(spec: MapSpec) -> bool:
    return any(part in spec.name for part in SECTIONS)


def _encoded(spec: CollectionSpec) -> bytes:
    builder = BtfBuilder(sys.byteorder)
    for each in spec.types:
        builder.define(builder.reserve(), each)
    return builder.encode()


def doubts(source: Source) -> list[str]:
    """What speaks against a package of it: programs that it could not load."""
    return [
        f"{source.origin}: {of_no_type(each)} The package will not load as long as it is in."
        for each in source.spec.programs.values()
        if each.type is ProgramType.UNSPEC and not each.optional
    ]


def add_type(source: Source, wanted: str) -> None:
    """Add a struct, union or enum of the source's types; for `ring=struct`, as the records of that map."""
    map, _, name = wanted.rpartition("=")
    name = name.removeprefix("struct ").removeprefix("union ").removeprefix("enum ")
    layout = _named(source, name)
    with_records = [n for n, spec in source.spec.maps.items() if spec.type in (*OF_RECORDS, MapType.ARENA)]
    if map and map not in with_records:
        rings = ", ".join(with_records) or "none"
        raise Error(f"{source.origin} has no map {map!r} whose records could be `{name}`; it has: {rings}")
    if map:
        source.held[map] = replace(source.held[map], value=layout)
    source.types.append(layout)


def _named(source: Source, name: str) -> Type:
    for layout in _all(source):
        if isinstance(layout, StructType | EnumType) and str(layout) == name:
            return layout
    if source.spec.types:
        btf = Btf(_encoded(source.spec), origin=source.origin)
        for kind in NAMED:
            for number in btf.types_named(name, kind):
                layout = Layouts(btf).layout(number)
                if isinstance(layout, StructType | EnumType):
                    return layout
    from difflib import get_close_matches

    known = [str(each) for each in _all(source) if isinstance(each, StructType | EnumType)]
    known += [each.name for each in source.spec.types if each.kind in NAMED and hasattr(each, "name")]
    near = get_close_matches(name, dict.fromkeys(known), 3)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise Error(f"{source.origin} has no struct, union or enum {name!r}{meant}")


def _all(source: Source) -> list[Type]:
    """Every layout in the source's maps and variables, those inside others included."""
    work: list[Type | None] = [*source.types, *(group.layout for group in source.variables)]
    maps = list(source.held.values())
    while maps:
        held = maps.pop()
        work += [held.key, held.value]
        maps += [held.inner] if held.inner is not None else []
    found: list[Type] = []
    while work:
        layout = work.pop()
        if layout is not None:
            found.append(layout)
            work += [field.type for field in layout.fields] if isinstance(layout, StructType) else []
            work += [layout.element] if isinstance(layout, ArrayType) else []
    return found
