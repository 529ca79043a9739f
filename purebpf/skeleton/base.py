"""A package's programs: opened, configured, loaded, attached, closed."""

from __future__ import annotations

import os

from purebpf.data import replace
from purebpf.errors import Error, NotLoaded, Unsupported
from purebpf.lang.maps.by_spec import OF_RECORDS, class_of, declared
from purebpf.objects.loading import loaded
from purebpf.skeleton.named import Named
from purebpf.skeleton.programs import Program
from purebpf.skeleton.variables import Section, Variables
from purebpf.spec import MapSpec
from purebpf.targets import options_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, ClassVar, Self

    from purebpf.btf.reader import Btf
    from purebpf.engine import Engine, EngineLink, EngineProgram
    from purebpf.lang.maps import MapDeclaration
    from purebpf.live import Live
    from purebpf.objects.loading import Given, Target
    from purebpf.skeleton.content import Content
    from purebpf.skeleton.variables import Row

DROPPED = ".dropped"  # the map in which programs count what found no room in a ring


class Skeleton:
    """A context manager: leaving it detaches and unloads everything. Made, it is open: variables, sizes of maps
    (`maps.traffic.max_entries`), pins (`pin_path`) and maps that are there already (`reuse`) can be set. Then `load`, then
    `attach`, which loads if that was forgotten."""

    _content_: ClassVar[Content]
    _kernels_: ClassVar[list[str]] = []
    _programs_: ClassVar[dict[str, str]] = {}
    _maps_: ClassVar[dict[str, tuple[Any, ...]]] = {}
    _variables_: ClassVar[list[Row]] = []
    _operations_: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.spec = self._content_.spec()
        maps = {name: _typed(self.spec.maps[name], *types) for name, *types in self._maps_.values()}
        self.programs = Named("program", {n: Program(self, each) for n, each in self.spec.programs.items()}, self._programs_)
        self.maps: Named[MapDeclaration] = Named("map", maps, {attribute: row[0] for attribute, row in self._maps_.items()})
        self.links: Named[EngineLink] = Named("link", {}, self._programs_ | self._operations_)
        self._sections = {row[0]: Section(self.spec.maps[row[0]], row) for row in self._variables_}
        self.variables = Variables(list(self._sections.values()))
        for map in maps.values():
            map.settle()
        self._sizes = {name: declaration.max_entries for name, declaration in maps.items()}
        self._live: Live | None = None
        self._closed = False
        self.why = ""  # it is on its engine, once it is loaded

    def load(
        self,
        engine: str = "auto",
        *,
        programs: Iterable[str] | None = None,
        pin_path: str | os.PathLike[str] | None = None,
        targets: Mapping[str, Target] | None = None,
    ) -> Self:
        """Create the maps and load the programs: into the "kernel", the virtual machine ("vm"), or where bpf(2) is permitted
        into the kernel, else into the virtual machine ("auto").

        `programs`: only these, and what they need; without it all that are not optional. `pin_path`: the folder for maps that
        are pinned by name. `targets`: for a program that replaces or traces a function of another, that other one, loaded.
        Raises KernelError, VerifierError and Unsupported; nothing stays behind then.
        """
        if self._closed:
            raise NotLoaded(f"`{self._called}` is closed, its programs with it: make another one")
        if self._live is not None:
            raise Error(f"`{self._called}` is loaded already, in the engine {self._live.engine.name!r}")
        existing: dict[str, Given] = {n: map.existing for n, map in self._declarations() if map.existing is not None}
        spec = replace(self.spec, maps=self._described())
        options: dict[str, Any] = {"programs": programs, "pin_path": pin_path, "targets": targets}
        live, self.why = loaded(spec, engine=engine, maps=existing, btf=self._types_of_the_kernel(), **options)
        self._live = live
        try:
            for name, map in self._declarations():
                if name in live.maps:
                    map.bind(live.maps[name], live.engine)
            for name, section in self._sections.items():
                if name in live.maps:
                    section.bind(live.maps[name])
            self._fill()
        except BaseException:
            self.close()
            raise
        return self

    def _fill(self) -> None:
        """Maps of maps know those in them that the package has."""
        for name, map in self._declarations():
            spec = self.spec.maps[name]
            inside = ((key, inner) for key, inner in spec.entries if spec.inner is not None and inner in self.maps)
            for key, inner in inside:
                map.entries[map.key_type.decode(key)] = self.maps[inner]  # type: ignore[attr-defined]

    def _described(self) -> dict[str, MapSpec]:
        """The maps with what has been told of them since."""
        maps = dict(self.spec.maps)
        for name, section in self._sections.items():
            maps[name] = section.described(maps[name])
        for name, map in self._declarations():
            if map.max_entries != self._sizes.get(name, map.max_entries):
                maps[name] = replace(maps[name], max_entries=map.max_entries)
            if map.pin_path != maps[name].pin:
                maps[name] = replace(maps[name], pin=map.pin_path)
        return maps

    def _declarations(self) -> list[tuple[str, MapDeclaration]]:
        """The typed maps, those in which rings count their losses among them."""
        found = [(name, self.maps[name]) for name in self.maps]
        losses = [(f"{name}{DROPPED}", getattr(map, "losses", None)) for name, map in found]
        return found + [(name, map) for name, map in losses if map is not None and name in self.spec.maps]

    def _types_of_the_kernel(self) -> Btf | None:
        """For a kernel without BTF: that of its release, if the package has it."""
        release = f"{os.uname().release}.btf" if self._kernels_ else ""
        if release not in self._kernels_:
            return None
        from purebpf.btf.running import own_btf

        try:
            own_btf()
        except Unsupported:
            return self._content_.types(release)
        return None

    def load_once(self) -> None:
        """Load unless that is done."""
        if self._live is None:
            self.load()

    @property
    def is_loaded(self) -> bool:
        return self._live is not None

    @property
    def engine(self) -> Engine:
        """Where it is loaded. Raises NotLoaded."""
        return self._loaded().engine

    def _loaded(self) -> Live:
        if self._closed:
            raise NotLoaded(f"`{self._called}` is closed, its programs with it: make another one")
        if self._live is None:
            raise NotLoaded(f"`{self._called}` is not loaded: call `load()` or `attach()` first, or run one of its programs")
        return self._live

    @property
    def _called(self) -> str:
        return type(self).__name__

    def loaded_program(self, name: str) -> EngineProgram:
        """The live program of a name. Raises NotLoaded."""
        live = self._loaded()
        if name not in live.programs:
            raise NotLoaded(f"the program `{name}` of `{self._called}` was not asked for when the others were loaded")
        return live.programs[name]

    def attach(self, **targets: Any) -> Self:
        """Attach the programs, loading them first where that is not done. Those whose section names what they attach to need
        nothing said; others are given it by their name: `attach(count="eth0")`, or options, `attach(count={"interface":
        "eth0", "mode": "generic"})`; None leaves one out. Programs that others call are not attached, operations of the kernel
        are registered. Raises Error for a program that nothing is said of; what this call has attached is detached then."""
        if unknown := next((name for name in targets if name not in self._programs_), None):
            known = ", ".join(self._programs_)
            raise Error(f"`{self._called}` has no program `{unknown}`; its programs: {known}")
        self.load_once()
        live = self._loaded()
        called = {name for spec in self.spec.maps.values() for _, name in spec.entries}
        made: list[str] = []
        try:
            for attribute, name in self._programs_.items():
                program, told = self.programs[name], attribute in targets
                if name not in live.programs or name in self.links or (told and targets[attribute] is None):
                    continue
                if not told and (name in called or not program.attachable):
                    continue
                if not told and program.needs_target:
                    what = f"`{name}`, a program of type {program.type_name}, does not say what it attaches to"
                    raise Error(f"{what}: {program.usage()}, or attach({attribute}=None) to leave it out")
                given = targets[attribute] if told else {}
                self.attach_program(name, options_of(name, program.spec.type, program.spec.attach_type, given))
                made.append(name)
            for name, operations in live.operations.items():
                if name not in self.links:
                    from purebpf.objects.objects import registered

                    self.links.put(name, registered(live, operations))
                    made.append(name)
        except BaseException:
            for name in made[::-1]:
                self._detach(name)
            raise
        return self

    def attach_program(self, name: str, options: Mapping[str, Any]) -> EngineLink:
        """Attach one; its link is in `links` then."""
        self.load_once()
        live, program = self._loaded(), self.loaded_program(name)
        link = live.engine.attach(program, options)
        live.links.append(link)
        self.links.put(name, link)
        return link

    def _detach(self, name: str) -> None:
        link = self.links[name]
        link.close()
        self._loaded().links.remove(link)
        self.links.drop(name)

    def close(self) -> None:
        """Detach and unload everything; the second time it does nothing."""
        self._closed = True
        live, self._live = self._live, None
        if live is None:
            return
        for _, map in self._declarations():
            map.bind(None, None)
        for section in self._sections.values():
            section.close()
        live.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "loaded" if self.is_loaded else "open"
        return f"<{self._called}: {', '.join(self.programs)}; {state}>"


def _typed(spec: MapSpec, types: tuple[Any, ...], inner: tuple[Any, ...] = ()) -> MapDeclaration:
    """The map with its types. Raises Error when these have other sizes than it."""
    made = declared(spec, types, inner)
    _, _, brackets = class_of(spec, bool(types))
    sizes = {"K": ("keys", spec.key_size), "V": ("values", 0 if spec.type in OF_RECORDS else spec.value_size)}
    for bracket, type in zip(brackets, types, strict=True):
        what, size = sizes[bracket]
        if size and type.__bpf_type__.size != size:
            raise Error(
                f"the {what} of `{spec.name}` have {size} bytes, and the package was written for {type.__bpf_type__.size}"
            )
    return made
