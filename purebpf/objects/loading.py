"""Loads a collection on an engine: its maps, then its programs, then what holds programs.

Only what is asked for is loaded, and what that leads to. On an error nothing stays behind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from purebpf.collection import choose_engine
from purebpf.data import replace
from purebpf.elf.names import map_name
from purebpf.engine import Engine, EngineMap, EngineProgram
from purebpf.errors import Error, Unsupported, VerifierError
from purebpf.objects.changes import KCONFIG, order_of, pinned_in, types_of, with_variables
from purebpf.objects.maps import LoadedMap
from purebpf.objects.named import unknown
from purebpf.objects.objects import LoadedProgram, Objects, is_operations
from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

Given = EngineMap | LoadedMap | str | int
Target = LoadedProgram | EngineProgram


def load(
    source: CollectionSpec | str | os.PathLike[str] | bytes,
    *,
    engine: str | Engine = "auto",
    programs: Iterable[str] | None = None,
    maps: Mapping[str, Given] | None = None,
    variables: Mapping[str, object] | None = None,
    pin_path: str | os.PathLike[str] | None = None,
    btf: str | os.PathLike[str] | Btf | None = None,
    targets: Mapping[str, Target] | None = None,
) -> Objects:
    """Load a collection, or the object file at a path or of these bytes.

    `programs`: only these, and the maps they use; without it all that are not optional, and all maps. `maps`: existing ones in
    the place of the object's own: a map, the path of its pin, or its id. `variables`: other initial values. `pin_path`: the
    folder for maps that are pinned by name (/sys/fs/bpf). `btf`: a file with the types of this kernel, where it does not tell
    them itself. `targets`: for each program that replaces or traces a function of another, that other program, loaded.

    Raises Error for a name that is not there, KernelError, VerifierError (with the log) and Unsupported.
    """
    if not isinstance(source, CollectionSpec):
        from purebpf.elf.reader import load_object

        source = load_object(source)
    chosen, why = choose_engine(engine) if isinstance(engine, str) else (engine, "it was given")
    spec = with_variables(source, variables or {})
    loader = _Loader(chosen, why, spec, programs, dict(maps or {}), dict(targets or {}))
    loader.prepare(None if pin_path is None else os.fspath(pin_path), btf)
    return loader.load()


class _Loader:
    """One collection being loaded."""

    def __init__(
        self,
        engine: Engine,
        why: str,
        spec: CollectionSpec,
        programs: Iterable[str] | None,
        given: dict[str, Given],
        targets: dict[str, Target],
    ) -> None:
        self.engine, self.why, self.spec, self.given, self.targets = engine, why, spec, given, targets
        for name in given:
            if name not in spec.maps:
                raise unknown("map", name, spec.maps)
        self.programs, self.maps = _wanted(spec, programs)
        for name in targets:
            if name not in self.programs:
                raise unknown("program", name, dict.fromkeys(self.programs))

    def prepare(self, pin_path: str | None, btf: str | os.PathLike[str] | Btf | None) -> None:
        """Make the specs those of this machine."""
        spec = self.spec
        order = order_of(spec)
        if order != sys.byteorder:
            raise Error(f"The object {spec.name!r} is for {order}-endian machines; this one is {sys.byteorder}-endian.")
        made = {name: replace(pinned_in(spec.maps[name], pin_path), name=map_name(spec.name, name)) for name in self.maps}
        if self.engine.name == "vm":
            made = {name: replace(each, pin="") for name, each in made.items()}
        if KCONFIG in made:
            made[KCONFIG] = self._filled(made[KCONFIG])
        chosen = {name: _loadable(spec.programs[name]) for name in self.programs}
        if btf is not None:
            chosen = {name: _relocated(each, btf) for name, each in chosen.items()}
        self.spec = replace(spec, programs=chosen, maps={**spec.maps, **made})

    def _filled(self, map: MapSpec) -> MapSpec:
        """The map of the kernel's settings with their values."""
        from purebpf.kernel.kconfig import kconfig

        btf = types_of(self.spec)
        assert btf is not None
        wanted = [each for each in self.spec.variables.values() if each.map == KCONFIG]
        return replace(map, contents=((bytes(4), kconfig(wanted, btf, order_of(self.spec))),))

    def load(self) -> Objects:
        objects = Objects(self.engine, self.spec, self.maps, self.why)
        part = replace(self.spec, programs={name: self.spec.programs[name] for name in self.programs})
        try:
            with self.engine.together(part):
                for name in self.maps:
                    self._map(objects, name)
                for name in self.maps:
                    self._fill(objects, name)
                for name in self.programs:
                    objects.add_program(name, self._program(objects, self.spec.programs[name]))
                for name in self.maps:
                    self._fill_programs(objects, name)
        except BaseException:
            objects.close()
            raise
        return objects

    def _map(self, objects: Objects, name: str) -> None:
        spec, given = self.spec.maps[name], self.given.get(name)
        if is_operations(spec):
            if self.engine.name == "vm":
                raise Unsupported(f"The virtual machine has no operations for programs to implement, which {name!r} are.")
            objects.add_operations(spec)
        elif given is None:
            objects.add_map(name, self.engine.create_map(spec))
        elif isinstance(given, str | int):
            objects.add_map(name, self.engine.open_map(replace(spec, pin=""), given))
        else:
            raw = given.raw if isinstance(given, LoadedMap) else given
            _check_same(name, spec, raw.spec)
            objects.add_map(name, raw, own=False)

    def _fill(self, objects: Objects, name: str) -> None:
        """Put maps into the maps that hold them."""
        spec = self.spec.maps[name]
        if spec.inner is not None and name not in self.given:
            raw = objects.raw_maps[name]
            for key, inner in spec.entries:
                raw.update(key, _handle(objects.raw_maps[inner].handle, self.spec))

    def _fill_programs(self, objects: Objects, name: str) -> None:
        spec = self.spec.maps[name]
        if spec.type is MapType.PROG_ARRAY and name not in self.given:
            for key, program in spec.entries:
                objects.raw_maps[name].update(key, _handle(objects.programs[program].handle, self.spec))

    def _program(self, objects: Objects, spec: ProgramSpec) -> EngineProgram:
        target = self.targets.get(spec.name)
        if spec.type is ProgramType.EXT and target is None:
            raise Error(
                f"The program {spec.name!r} (section {spec.section}) replaces a function of another program: give that one, "
                f"loaded, as `targets={{{spec.name!r}: ...}}`."
            )
        try:
            if target is None:
                return self.engine.load_program(spec, objects.raw_maps)
            whole = target.raw if isinstance(target, LoadedProgram) else target
            return self.engine.load_program(spec, objects.raw_maps, part_of=whole)
        except VerifierError as error:
            from purebpf.rejection import told

            raise told(error, spec) from None


def _wanted(spec: CollectionSpec, programs: Iterable[str] | None) -> tuple[list[str], list[str]]:
    """The names of programs and maps to load, in the order of the collection."""
    if programs is None:
        chosen = {name for name, each in spec.programs.items() if not each.optional}
        maps = {name for name, each in spec.maps.items() if not each.optional}
    else:
        chosen, maps = set(programs), set[str]()
        for name in chosen:
            if name not in spec.programs:
                raise unknown("program", name, spec.programs)
    while True:
        more = maps | {map for name in chosen for map in spec.programs[name].maps if map in spec.maps}
        more |= {
            name for name, each in spec.maps.items() if is_operations(each) and any(held in chosen for _, held in each.entries)
        }
        held = {held for name in more for _, held in spec.maps[name].entries}
        grown = chosen | (held & spec.programs.keys()), more | (held & spec.maps.keys() - spec.programs.keys())
        if grown == (chosen, maps):
            break
        chosen, maps = grown
    return [name for name in spec.programs if name in chosen], [name for name in spec.maps if name in maps]


def _loadable(spec: ProgramSpec) -> ProgramSpec:
    if spec.type is ProgramType.UNSPEC:
        raise Error(
            f"The program {spec.name!r} is in the section {spec.section!r}, whose name does not say what it is for. Give its "
            f"type to `load_object`, as sections={{{spec.section.partition('/')[0]!r}: (ProgramType.XDP, AttachType.XDP)}}, or "
            "leave it out with `programs=`."
        )
    if spec.type is ProgramType.STRUCT_OPS and not spec.attach_to:
        raise Error(f"The program {spec.name!r} is for operations of the kernel, but no variable in .struct_ops names it.")
    return spec


def _relocated(spec: ProgramSpec, btf: str | os.PathLike[str] | Btf) -> ProgramSpec:
    """The program with what it wants to know of a kernel whose types are given."""
    if not spec.relocations:
        return spec
    from purebpf.btf.files import open_btf
    from purebpf.btf.reader import Btf
    from purebpf.relocate import relocated

    target = btf if isinstance(btf, Btf) else open_btf(Path(btf))
    return replace(spec, instructions=relocated(spec, [target]), relocations=())


def _handle(number: int, spec: CollectionSpec) -> bytes:
    return number.to_bytes(4, order_of(spec))


def _check_same(name: str, wanted: MapSpec, there: MapSpec) -> None:
    """Raises Error for a map that cannot stand for the object's own."""
    for what in ("type", "key_size", "value_size"):
        if getattr(wanted, what) != getattr(there, what) and not (what == "value_size" and wanted.inner is not None):
            raise Error(
                f"The map {there.name!r} cannot be used as {name!r}: its {what} is {_shown(getattr(there, what))}, not "
                f"{_shown(getattr(wanted, what))}."
            )


def _shown(value: object) -> str:
    return value.name.lower() if isinstance(value, MapType) else str(value)
