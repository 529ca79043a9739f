"""A loaded object: what a user holds. Its programs, maps and variables by name; closing it undoes all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from purebpf.data import replace
from purebpf.engine import Engine, EngineLink, EngineMap, EngineProgram, RunResult
from purebpf.errors import Error, NotLoaded, Unsupported
from purebpf.lang.run_given import check_given, context_of
from purebpf.live import Live
from purebpf.objects.changes import order_of, own_types, types_of
from purebpf.objects.maps import LoadedMap
from purebpf.objects.named import Named, unknown
from purebpf.objects.variables import Variables
from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from purebpf.targets import HOOKED, options_of, with_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from purebpf.kernel.link.base import KernelLink
    from purebpf.kernel.struct_ops import StructOpsLink

T = TypeVar("T")


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

    def run(self, packet: bytes | None = None, ctx: object = None, *, repeat: int = 1) -> RunResult:
        """Run it once (or `repeat` times) on a packet and/or a context: its bytes, a record, or its fields by name."""
        check_given(packet, ctx, repeat)
        return self.raw.run(data=packet, context=context_of(self.spec, ctx, packet), repeat=repeat)

    def attach(self, *target: object, **options: object) -> EngineLink:
        """Attach it; what its section does not say, options do (docs/kernel.md), or for most types what is given without a
        name: `attach("eth0")`. It is detached when the result or the object is closed."""
        from purebpf.objects import usdt

        options = with_names(self.name, self.spec.type, self.spec.attach_type, target, options)
        attached = usdt.attach(self._objects, self, options) if usdt.is_for(self.spec) else None
        link = attached or self._objects.engine.attach(self.raw, options)
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
        return registered(self._objects.live, self.spec)


def registered(live: Live, operations: MapSpec) -> StructOpsLink:
    """Operations that are in use, by the programs that are loaded."""
    from purebpf.kernel.operations import made
    from purebpf.kernel.program import KernelProgram

    link = made(operations, {n: raw for n, raw in live.programs.items() if isinstance(raw, KernelProgram)}).register()
    live.links.append(link)
    return link


class Objects:
    """Programs, maps and variables of a collection on an engine. A context manager: leaving it detaches and closes everything.

    `spec` is what was loaded, `why` why it is on this engine; `links` are the attachments made so far.
    """

    def __init__(self, live: Live, why: str = "") -> None:
        self.live, self.why, self.closed = live, why, False
        self.usdt_specs: list[dict[str, object]] = []  # written so far, see usdt.py
        btf, order = types_of(live.spec), order_of(live.spec)

        def view(name: str, raw: EngineMap) -> LoadedMap:
            spec = replace(live.spec.maps[name], name=name)
            return LoadedMap(live.engine, raw, spec, btf or own_types(spec), order)

        self.programs = Named("program", {name: LoadedProgram(self, raw) for name, raw in live.programs.items()})
        self.maps = Named("map", {name: view(name, raw) for name, raw in live.maps.items()})
        self.operations = Named("struct of operations", {n: Operations(self, each) for n, each in live.operations.items()})
        self.variables = Variables(live.spec.variables, live.maps, live.spec.maps, btf, order)

    @property
    def engine(self) -> Engine:
        return self.live.engine

    @property
    def spec(self) -> CollectionSpec:
        return self.live.spec

    @property
    def links(self) -> list[EngineLink]:
        return self.live.links

    def attach(self, **options: object) -> dict[str, EngineLink | KernelLink]:
        """Attach each program whose section says where, register operations, and attach what `options` are given for, by name:
        `attach(count="eth0")`, `attach(count={"interface": "eth0", "mode": "generic"})`; None leaves one out. The links by
        name; programs that would need options have none."""
        if self.closed:
            raise NotLoaded(f"The object {self.spec.name!r} is closed, its programs with it: load it again.")
        for name in options:
            if name not in self.programs:
                raise unknown("program", name, self.programs)
        made: dict[str, EngineLink | KernelLink] = {}
        try:
            for name, program in self.programs.items():
                if name in options and options[name] is None:
                    continue
                if name in options or hooked(program.spec):
                    given = options_of(name, program.spec.type, program.spec.attach_type, options.get(name, {}))
                    made[name] = program.attach(**given)
            for name, operations in self.operations.items():
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
        self.variables._release()
        for map in self.maps.values():
            map._release()
        self.live.close()

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<objects {self.spec.name}: {', '.join(self.programs)}{'; closed' if self.closed else ''}>"


def hooked(spec: ProgramSpec) -> bool:
    """Whether a program's section says where it is attached."""
    return spec.type in HOOKED and bool(spec.attach_to)
