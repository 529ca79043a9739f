"""A loaded object: what a user holds. Its programs, maps and variables by name; closing it undoes all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from purebpf.data import replace
from purebpf.engine import Engine, EngineLink, EngineMap, EngineProgram, RunResult
from purebpf.errors import Error, Unsupported
from purebpf.objects.changes import order_of, types_of
from purebpf.objects.maps import LoadedMap
from purebpf.objects.named import Named, unknown
from purebpf.objects.variables import Variables
from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from purebpf.kernel.link.base import KernelLink
    from purebpf.kernel.struct_ops import StructOpsLink

T = TypeVar("T")
HOOKED = frozenset(  # program types whose section may say where they are attached
    {
        ProgramType.KPROBE,
        ProgramType.TRACEPOINT,
        ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
        ProgramType.TRACING,
        ProgramType.LSM,
        ProgramType.EXT,
    }
)


class LoadedProgram:
    """A program of a loaded object. `raw` is the program as the engine has it."""

    def __init__(self, objects: Objects, raw: EngineProgram) -> None:
        self._objects, self.raw = objects, raw

    @property
    def spec(self) -> ProgramSpec:
        return self.raw.spec

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def handle(self) -> int:
        """What a program array stores."""
        return self.raw.handle

    @property
    def info(self) -> Any:
        """What the kernel tells of it: id, tag, sizes, counts of runs."""
        info = getattr(self.raw, "info", None)
        if info is None:
            raise Unsupported(f"The program {self.name!r} is in the virtual machine, which counts nothing.")
        return info

    def run(self, *, packet: bytes | None = None, context: bytes | None = None, repeat: int = 1) -> RunResult:
        """Run it once (or `repeat` times) on a packet and/or a context, both as bytes."""
        return self.raw.run(data=packet, context=context, repeat=repeat)

    def attach(self, **options: object) -> EngineLink:
        """Attach it; what its section does not say, options do (docs/kernel.md). It is detached when the result or the object
        is closed."""
        link = self._objects.engine.attach(self.raw, options)
        self._objects.links.append(link)
        return link

    def __repr__(self) -> str:
        return f"<program {self.name} ({self.spec.type.name.lower()})>"


class Operations:
    """Operations of the kernel that programs of the object implement (`SEC(".struct_ops")`)."""

    def __init__(self, objects: Objects, spec: MapSpec) -> None:
        self._objects, self.spec = objects, spec

    @property
    def name(self) -> str:
        return self.spec.name

    def register(self) -> StructOpsLink:
        """Have the kernel use them until the result or the object is closed. Raises KernelError, Unsupported."""
        from purebpf.kernel.operations import made
        from purebpf.kernel.program import KernelProgram

        loaded = {name: each.raw for name, each in self._objects.programs.items()}
        found = made(self.spec, {name: raw for name, raw in loaded.items() if isinstance(raw, KernelProgram)})
        link = found.register()
        self._objects.links.append(link)
        return link


class Objects:
    """Programs, maps and variables of a collection on an engine. A context manager: leaving it detaches and closes everything.

    `spec` is what was loaded, `why` why it is on this engine; `links` are the attachments made so far.
    """

    def __init__(self, engine: Engine, spec: CollectionSpec, maps: Collection[str], why: str = "") -> None:
        """`maps` are the names of those that will be added."""
        self.engine, self.spec, self.why = engine, spec, why
        self.links: list[EngineLink] = []
        self.closed = False
        self._own: list[EngineMap] = []  # maps that are closed with the object
        self._maps: dict[str, EngineMap] = {}
        self._programs: dict[str, LoadedProgram] = {}
        self._views: dict[str, LoadedMap] = {}
        self._operations: dict[str, Operations] = {}
        self._btf = types_of(spec)
        variables = {name: each for name, each in spec.variables.items() if each.map in maps}
        self.variables = Variables(variables, self._maps, spec.maps, self._btf, order_of(spec))
        self.programs: Named[LoadedProgram] = Named("program", self._programs)
        self.maps: Named[LoadedMap] = Named("map", self._views)
        self.operations: Named[Operations] = Named("struct of operations", self._operations)

    def add_map(self, name: str, raw: EngineMap, own: bool = True) -> None:
        """Take a map in. One that is not its `own` stays open when the object is closed."""
        self._maps[name] = raw
        if own:
            self._own.append(raw)
        spec = self.spec.maps[name]
        btf = self._btf if spec.types is not None else None
        self._views[name] = LoadedMap(self.engine, raw, replace(spec, name=name), btf, order_of(self.spec))

    def add_program(self, name: str, raw: EngineProgram) -> None:
        self._programs[name] = LoadedProgram(self, raw)

    def add_operations(self, spec: MapSpec) -> None:
        self._operations[spec.name] = Operations(self, spec)

    @property
    def raw_maps(self) -> Mapping[str, EngineMap]:
        """The maps as the engine has them."""
        return self._maps

    def attach(self, **options: Mapping[str, object]) -> dict[str, EngineLink | KernelLink]:
        """Attach each program whose section says where, register operations, and attach what `options` are given for, by name:
        `attach(count={"interface": "eth0"})`. The links by name; programs that would need options have none."""
        for name in options:
            if name not in self._programs:
                raise unknown("program", name, self._programs)
        made: dict[str, EngineLink | KernelLink] = {}
        try:
            for name, program in self._programs.items():
                if name in options or hooked(program.spec):
                    made[name] = program.attach(**options.get(name, {}))
            for name, operations in self._operations.items():
                made[name] = operations.register()
        except BaseException:
            for link in reversed(list(made.values())):
                link.close()
            raise
        return made

    def assign(self, target: type[T]) -> T:
        """A dataclass filled by its fields' names: each with the program, map or variable (its value) of that name. A field may
        say `program:name`, `map:name` or `variable:name` in its metadata, as `bpf`. Raises Error for one that fits nothing."""
        from dataclasses import fields, is_dataclass

        if not is_dataclass(target):
            raise Error(f"{target!r} is no dataclass; its fields would say what is wanted")
        return target(**{each.name: self._named(each.metadata.get("bpf", each.name)) for each in fields(target) if each.init})

    def _named(self, wanted: str) -> object:
        kind, _, name = wanted.rpartition(":")
        homes: dict[str, Mapping[str, object]] = {"program": self.programs, "map": self.maps, "variable": self.variables}
        for each, home in homes.items():
            if kind in ("", each) and name in home:
                return home[name]
        raise Error(f"The object has no {kind or 'program, map or variable'} {name!r}, which a field asks for")

    def close(self) -> None:
        """Detach, unload, forget. Closing again does nothing."""
        if self.closed:
            return
        self.closed = True
        for link in reversed(self.links):
            link.close()
        for program in self._programs.values():
            program.raw.close()
        self.variables._release()
        for map in self._own:
            map.close()

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<objects {self.spec.name}: {', '.join(self._programs)}>"


def hooked(spec: ProgramSpec) -> bool:
    """Whether a program's section says where it is attached."""
    return spec.type in HOOKED and bool(spec.attach_to)


def is_operations(spec: MapSpec) -> bool:
    return spec.type is MapType.STRUCT_OPS
