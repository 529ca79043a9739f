"""A spec loaded on an engine: its maps and programs, live. On an error nothing stays behind."""

from __future__ import annotations

from purebpf.errors import Error, VerifierError
from purebpf.lang.maps.declaration import KEY32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from purebpf.engine import Engine, EngineLink, EngineMap, EngineProgram
    from purebpf.spec import CollectionSpec, ProgramSpec


class Live:
    """`existing` are maps that are there already, by a path or an id. Programs that are `optional` are left out."""

    def __init__(self, spec: CollectionSpec, engine: Engine, existing: Mapping[str, str | int]) -> None:
        self.spec, self.engine = spec, engine
        self.maps: dict[str, EngineMap] = {}
        self.programs: dict[str, EngineProgram] = {}
        self.links: list[EngineLink] = []
        try:
            for name, each in spec.maps.items():
                self.maps[name] = engine.open_map(each, existing[name]) if name in existing else engine.create_map(each)
            for name, program in spec.programs.items():
                if not program.optional:
                    self.programs[name] = self._program(program)
            self._fill()
        except BaseException:
            self.close()
            raise

    def _program(self, spec: ProgramSpec) -> EngineProgram:
        try:
            return self.engine.load_program(spec, self.maps)
        except VerifierError as error:
            from purebpf.rejection import told

            raise told(error, spec) from None

    def _fill(self) -> None:
        """Put programs and maps into the maps that hold them."""
        for name, spec in self.spec.maps.items():
            for key, held in spec.entries:
                handle = self.programs[held].handle if held in self.programs else self._map(name, held).handle
                self.maps[name].update(key, KEY32.encode(handle))

    def _map(self, owner: str, name: str) -> EngineMap:
        if name not in self.maps:
            raise Error(f"map `{owner}` is to hold `{name}`, which is no program that is loaded, and no map")
        return self.maps[name]

    def close(self) -> None:
        """Detach, unload, forget."""
        for group in (self.links[::-1], list(self.programs.values()), list(self.maps.values())):
            for each in group:
                each.close()
        self.links, self.programs, self.maps = [], {}, {}
