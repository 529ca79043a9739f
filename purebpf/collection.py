"""A collection: programs and their maps, loaded together on an engine. The only place where compiler and engines meet.

Loading creates the maps, binds the declarations to them, loads the programs, fills program arrays. Closing undoes it all:
links first, then programs, then maps; it is safe to do twice.
"""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable, Iterable

from purebpf.errors import Error, NotLoaded, VerifierError
from purebpf.spec import CollectionSpec, ProgramSpec, VariableSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from purebpf.compiler.loadable import Loadable
    from purebpf.compiler.options import Options
    from purebpf.engine import Engine, EngineLink, EngineMap, EngineProgram
    from purebpf.kernel.trace_pipe import TracePipe
    from purebpf.lang.maps import MapDeclaration, ProgArray
    from purebpf.program import Program
    from purebpf.runner.session import Runner


_default_engine = "auto"
_default_btf = ""


def set_default_engine(name: str) -> None:
    """What "auto" stands for from now on in this process: "kernel", "vm", or "auto" again."""
    global _default_engine
    _known(name)
    _default_engine = name


def set_default_btf(path: str) -> None:
    """The file with the types of another kernel by which programs are compiled from now on in this process, if their options
    name none; "" for the running kernel's."""
    global _default_btf
    _default_btf = path


def default_btf() -> str:
    return _default_btf


def _known(name: str) -> None:
    if name not in ("auto", "kernel", "vm"):
        raise Error(f'there is no engine {name!r}; use "kernel", "vm" or "auto"')


def choose_engine(name: str = "auto") -> tuple[Engine, str]:
    """The engine by name, and why it is that one: "auto" is the default engine, by itself the kernel where bpf(2) is permitted,
    else the virtual machine."""
    name = _default_engine if name == "auto" else name
    _known(name)
    if name != "vm":
        from purebpf.kernel.probe import permitted

        reason = permitted()
        if name == "kernel" or reason is None:
            from purebpf.kernel.engine import KernelEngine

            return KernelEngine(), "it was asked for" if name == "kernel" else "bpf(2) is permitted here"
        why = reason
    else:
        why = "it was asked for"
    from purebpf.vm.engine import VmEngine

    return VmEngine(), why


def compile_together(
    programs: Iterable[Program], compiled: Callable[[Program], Loadable], alone: Iterable[MapDeclaration] = ()
) -> tuple[CollectionSpec, dict[str, MapDeclaration], dict[Program, str]]:
    """Programs, compiled each by `compiled`, as one collection: its spec, the declarations behind its maps, each program's name
    in it (of one name: `_2`, `_3`). The maps of `alone` are in it whether or not a program uses them."""
    specs: dict[str, ProgramSpec] = {}
    maps: dict[str, Any] = {}
    shared: dict[str, MapDeclaration] = {}
    names: dict[Program, str] = {}
    for program in programs:
        name, n = program.name, 1
        while name in specs:
            n += 1
            name = f"{program.name}_{n}"
        made = compiled(program)
        clash = any(shared.get(map_name, declaration) is not declaration for map_name, declaration in made.declarations.items())
        if clash or name != program.name:
            from purebpf.compiler.pipeline import compile_program

            made = compile_program(program.function, program.kind, program.hook, program.license, made.options, name, shared)
        specs[name], names[program] = made.program, name
        maps |= made.maps
        shared |= made.declarations
    for declaration in alone:
        if not any(declaration is each for each in shared.values()):
            map_name, n = declaration.called, 1
            while map_name in maps:
                n += 1
                map_name = f"{declaration.called}_{n}"
            declaration.name = declaration.name or map_name
            maps[map_name], shared[map_name] = declaration.describe(map_name), declaration
    variables: dict[str, VariableSpec] = {}
    for map_name, declaration in shared.items():
        from purebpf.lang.data import DataMap

        if isinstance(declaration, DataMap):
            maps[map_name] = declaration.describe(map_name)  # settings may have changed since it was compiled
            variables |= declaration.variables(map_name)
    return CollectionSpec(specs, maps, variables), shared, names


class Collection:
    """Programs and maps loaded together. A context manager: leaving it detaches and closes everything."""

    def __init__(
        self, programs: Iterable[Program], engine: Engine, debugging: bool = False, alone: Iterable[MapDeclaration] = ()
    ) -> None:
        self.engine = engine
        self.debugging = debugging  # compiled without what serves a debugger only: for running them as Python
        self._target: Options | None = None
        self._sparing: set[Program] = set()  # those that the verifier found too complex
        self.programs = reachable(programs, self.compiled)
        self.alone = list(alone)  # maps that are wanted whether or not a program uses them
        self.runners: dict[Program, Runner] = {}
        self.spec: CollectionSpec = CollectionSpec()
        self.maps: dict[str, EngineMap] = {}
        self.loaded: dict[str, EngineProgram] = {}
        self.links: list[EngineLink] = []
        self._bound: list[MapDeclaration] = []
        self._names: dict[Program, str] = {}
        self.closed = False
        self._closing = RLock()  # a signal's handler may close what this thread is closing

    @property
    def target(self) -> Options:
        """What programs are compiled for that the engine is to load."""
        if self._target is None:
            self._target = _target(self.engine)
        return self._target

    def compiled(self, program: Program) -> Loadable:
        """The program as this collection loads it."""
        if self.debugging:
            return program.compiled(True, self.target)
        if program in self._sparing:
            return program.spared(self.engine, self.target)
        return program.loadable(self.engine, lambda: self.target)

    def load(self) -> Collection:
        """Compile what is not compiled yet, create the maps, load the programs. On an error nothing stays behind."""
        first: Error | None = None
        while True:
            try:
                return self._load()
            except Error as error:
                if not self._compiled_anew(error):
                    raise first or error from None
                first = first or error
            self.closed = False
            self.maps, self.loaded, self._bound = {}, {}, []

    def _compiled_anew(self, error: Error) -> bool:
        """Whether there is another way to compile what did not load: now, where an earlier process did it, or with less for the
        verifier to follow, where that is what it refused."""
        used = [program.forget() for program in self.programs]
        if any(used):
            return True
        refused = next((program for program in self.programs if self._names.get(program) not in self.loaded), None)
        if not isinstance(error, VerifierError) or not error.too_complex or refused is None or refused in self._sparing:
            return False
        self._sparing.add(refused)
        return True

    def _load(self) -> Collection:
        self.spec, declarations, self._names = compile_together(self.programs, self.compiled, self.alone)
        try:
            for name, spec in self.spec.maps.items():
                declaration = declarations.get(name)
                if declaration is not None and declaration.bound:
                    holder = f", that of {declaration.holder.told}" if declaration.holder is not None else ""
                    raise Error(f"map `{name}` is in use by another loaded collection{holder}: close that one first")
                existing = declaration.existing if declaration is not None else None
                self.maps[name] = self.engine.create_map(spec) if existing is None else self.engine.open_map(spec, existing)
                if declaration is not None:
                    self._bound.append(declaration)
                    declaration.holder = self
                    declaration.bind(self.maps[name], self.engine)
            for program in sorted(self.programs, key=lambda each: each.whole is not None):
                name = self._names[program]
                self.loaded[name] = self._load_program(self.spec.programs[name], program.whole)
            for table in _tables(self._bound):
                for index, member in table.entries.items():
                    table.store(index, self.of(member))
        except BaseException:
            self.close()
            raise
        for program in self.programs:
            program.collection = self
        return self

    def _load_program(self, spec: ProgramSpec, whole: Program | None) -> EngineProgram:
        """Load one; a rejection by the verifier is told in words, at the Python line."""
        try:
            if whole is None:
                return self.engine.load_program(spec, self.maps)
            other = self.loaded[self._names[whole]] if whole in self._names else whole.loaded
            return self.engine.load_program(spec, self.maps, part_of=other)
        except VerifierError as error:
            from purebpf.rejection import told

            raise told(error, spec) from None

    @property
    def told(self) -> str:
        """What is in it, to stand in a sentence."""
        return ", ".join((*(program.name for program in self.programs), *(each.called for each in self.alone))) or "nothing"

    @property
    def declarations(self) -> list[MapDeclaration]:
        """The author's maps that are bound to this collection."""
        return list(self._bound)

    def of(self, program: Program) -> EngineProgram:
        """The loaded counterpart of a program."""
        if self.closed or self._names.get(program) not in self.loaded:
            raise NotLoaded(f"program `{program.name}` is not loaded here")
        return self.loaded[self._names[program]]

    def close(self) -> None:
        """Detach, unload, forget. Where another thread does so already, it waits until that is done."""
        with self._closing:
            if self.closed:
                return
            self.closed = True
            for program in self.programs:
                if program.collection is self:
                    program.collection = None
            for declaration in self._bound:
                declaration.bind(None, None)
                declaration.holder = None
            for group in (self.links[::-1], list(self.loaded.values()), list(self.maps.values())):
                for resource in group:
                    resource.close()

    def __repr__(self) -> str:
        return f"<bpf.Collection of {self.told}, {'closed' if self.closed else f'engine {self.engine.name}'}>"

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _target(engine: Engine) -> Options:
    from purebpf.compiler.options import OPTIONAL, Options

    cpu = next((level for level in (4, 3, 2) if engine.has(f"cpu{level}")), 1)
    return Options(cpu, btf=_default_btf, **{name: engine.has(name) for name in OPTIONAL})


def reachable(programs: Iterable[Program], compiled: Callable[[Program], Loadable], wholes: bool = True) -> list[Program]:
    """The programs, those in the program arrays they use, and with `wholes` those of which they replace or trace a part."""
    found: list[Program] = []
    work = list(programs)
    while work:
        program = work.pop(0)
        if program in found:
            continue
        found.append(program)
        if wholes and program.whole is not None and program.whole.collection is None:
            work.append(program.whole)
        for table in _tables(compiled(program).declarations.values()):
            work += table.entries.values()
    return found


def _tables(declarations: Iterable[MapDeclaration]) -> list[ProgArray]:
    """Those of the maps that hold programs."""
    if not declarations:
        return []
    from purebpf.lang.maps import ProgArray

    return [declaration for declaration in declarations if isinstance(declaration, ProgArray)]


def trace_pipe(pid: int | None = None) -> TracePipe:
    """What programs in the kernel print, line by line; `pid` keeps only what a thread of that id made them print. Close it, or
    use `with`. Needs root and a mounted tracefs."""
    from purebpf.kernel.trace_pipe import TracePipe

    return TracePipe(pid)
