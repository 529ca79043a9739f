"""A spec on an engine: its maps and programs, live. On an error nothing stays behind.

What is the running machine's is looked up now: names of maps of data sections, settings of the kernel that objects ask for, and
in the engine itself symbols and types. Nothing here knows the compiler.
"""

from __future__ import annotations

import sys

from purebpf.data import replace
from purebpf.elf.names import map_name
from purebpf.errors import Error, Unsupported, VerifierError
from purebpf.tables.enums import MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from purebpf.engine import Engine, EngineLink, EngineMap, EngineProgram
    from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec

KCONFIG = ".kconfig"
MMAPABLE = 1 << 10  # BPF_F_MMAPABLE, Linux 5.5


class Live:
    """What is `optional` is left out. `operations` are those of the kernel that programs implement, to be registered."""

    def __init__(
        self,
        spec: CollectionSpec,
        engine: Engine,
        existing: Mapping[str, EngineMap | str | int] | None = None,
        targets: Mapping[str, EngineProgram] | None = None,
    ) -> None:
        """`existing` are maps that are there already: a map, which stays open when this is closed, or a path or an id.
        `targets` are the programs of which a program of the spec replaces or traces a function."""
        self.spec, self.engine, self.targets = spec, engine, targets or {}
        self.maps: dict[str, EngineMap] = {}
        self.programs: dict[str, EngineProgram] = {}
        self.operations: dict[str, MapSpec] = {}
        self.links: list[EngineLink] = []
        self._given: set[str] = set()
        check_order(spec)
        try:
            with engine.together(spec):
                for name, each in spec.maps.items():
                    if not each.optional:
                        self._add_map(name, each, (existing or {}).get(name))
                for name, program in spec.programs.items():
                    if not program.optional:
                        self.programs[name] = self._program(program)
            self._fill(existing or {})
        except BaseException:
            self.close()
            raise

    def _add_map(self, name: str, spec: MapSpec, existing: EngineMap | str | int | None) -> None:
        if spec.type is MapType.STRUCT_OPS:
            if self.engine.name == "vm":
                raise Unsupported(f"The virtual machine has no operations for programs to implement, which {name!r} are.")
            self.operations[name] = spec
            return
        spec = replace(spec, name=map_name(self.spec.name, spec.name)) if self.spec.name else spec
        if name.startswith(".") and spec.flags & MMAPABLE and not self.engine.has("mmapable"):
            spec = replace(spec, flags=spec.flags & ~MMAPABLE)  # variables are read and written by calls then
        if existing is None:
            if spec.inner is None and spec.type in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS):
                raise Error(
                    f"The map {name!r} holds maps, and its definition does not say which: give an existing one in its place, "
                    "or its spec an `inner`."
                )
            self.maps[name] = self.engine.create_map(self._with_settings(spec) if name == KCONFIG else spec)
        elif isinstance(existing, str | int):
            self.maps[name] = self.engine.open_map(replace(spec, pin=""), existing)
        else:
            check_same(name, spec, existing.spec)
            self.maps[name] = existing
            self._given.add(name)

    def _with_settings(self, spec: MapSpec) -> MapSpec:
        """The map of the kernel's settings with their values."""
        from purebpf.btf.builder import encoded
        from purebpf.btf.reader import Btf
        from purebpf.kernel.kconfig import kconfig

        btf = Btf(encoded(self.spec.types, sys.byteorder), origin=f"the types of {self.spec.name or 'the object'}")
        wanted = [each for each in self.spec.variables.values() if each.map == KCONFIG]
        return replace(spec, contents=((bytes(4), kconfig(wanted, btf, sys.byteorder)),))

    def _program(self, spec: ProgramSpec) -> EngineProgram:
        target = self.targets.get(spec.name)
        if spec.type is ProgramType.EXT and target is None:
            raise Error(
                f"The program {spec.name!r} (section {spec.section!r}) replaces a function of another program: give that one, "
                f"loaded, as its target: targets={{{spec.name!r}: ...}}."
            )
        if spec.type is ProgramType.STRUCT_OPS and not spec.attach_to:
            raise Error(f"The program {spec.name!r} is for operations of the kernel, but no variable in .struct_ops names it.")
        try:
            if target is None:
                return self.engine.load_program(spec, self.maps)
            return self.engine.load_program(spec, self.maps, part_of=target)
        except VerifierError as error:
            from purebpf.rejection import told

            raise told(error, spec) from None

    def _fill(self, existing: Mapping[str, object]) -> None:
        """Put programs and maps into the maps that hold them."""
        for name, map in self.maps.items():
            for key, held in self.spec.maps[name].entries if name not in existing else ():
                handle = self.programs[held].handle if held in self.programs else self._map(name, held).handle
                map.update(key, handle.to_bytes(4, sys.byteorder))

    def _map(self, owner: str, name: str) -> EngineMap:
        if name not in self.maps:
            raise Error(f"map `{owner}` is to hold `{name}`, which is no program that is loaded, and no map")
        return self.maps[name]

    def close(self) -> None:
        """Detach, unload, forget."""
        own = [map for name, map in self.maps.items() if name not in self._given]
        for group in (self.links[::-1], list(self.programs.values()), own):
            for each in group:
                each.close()
        self.links, self.programs, self.maps = [], {}, {}


def check_order(spec: CollectionSpec) -> None:
    """Raises Error for programs that are for machines of the other byte order."""
    if spec.byte_order not in ("", sys.byteorder):
        raise Error(f"The object {spec.name!r} is for {spec.byte_order}-endian machines; this one is {sys.byteorder}-endian.")


def check_same(name: str, wanted: MapSpec, there: MapSpec) -> None:
    """Raises Error for a map that cannot stand for the object's own."""
    for what in ("type", "key_size", "value_size"):
        one, other = getattr(wanted, what), getattr(there, what)
        if one != other and not (what == "value_size" and wanted.inner is not None):
            shown = [each.name.lower() if isinstance(each, MapType) else str(each) for each in (other, one)]
            raise Error(f"The map {there.name!r} cannot be used as {name!r}: its {what} is {shown[0]}, not {shown[1]}.")
