"""Programs as an author holds them: decorated functions that compile, run, load and attach."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import FunctionType

from purebpf.collection import Collection, choose_engine, compile_together, default_btf
from purebpf.compiler.options import Options
from purebpf.data import replace
from purebpf.errors import CompileError, Error, NotLoaded, Unsupported, told_here
from purebpf.kept import find, forget, keep
from purebpf.lang import declaring
from purebpf.lang.program_types import KINDS, ProgramKind
from purebpf.lang.run_given import check_given
from purebpf.spec import CollectionSpec
from purebpf.tables.enums import ProgramType
from purebpf.targets import with_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Any, overload

    from purebpf.btf.reader import Btf
    from purebpf.compiler.loadable import Loadable
    from purebpf.compiler.pipeline import Compiled
    from purebpf.engine import Engine, EngineLink, EngineProgram, RunResult
    from purebpf.kernel.info import LinkInfo, ProgramInfo
    from purebpf.kernel.link.base import KernelLink
    from purebpf.kernel.link.iter import IterLink
    from purebpf.lang.maps import MapDeclaration
    from purebpf.objects import Objects
    from purebpf.objects.loading import Given, Target
    from purebpf.operations import StructOps


class Program:
    """A kernel program. Made by a decorator; `attach`, `run` and `spec` compile it when they are first used."""

    __bpf_program__ = True

    def __init__(self, function: FunctionType, kind: ProgramKind, hook: str) -> None:
        if isinstance(function, Program):
            raise declaring.error(
                f"`{function.name}` has two program decorators: a function is one program",
                "write two functions that call a third",
            )
        if not isinstance(function, FunctionType):
            raise declaring.error(f"@bpf.{kind.decorator} decorates a function, not {function!r}")
        self.function = function
        self.kind = kind
        self.hook = hook
        self.whole: Program | None = None  # the program of which it replaces or traces a function
        self.options: Options | None = None  # None: as the engine wants it that loads the program
        self.collection: Collection | None = None
        self._compiled: dict[Options, Compiled] = {}
        self._kept: dict[tuple[str, ...], Loadable] = {}  # by the identity of the engine
        self._forgotten = False  # whether what was kept did not load: it may still be where it was found
        self._warned: set[str] = set()
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def license(self) -> str:
        return str(self.function.__globals__.get("__bpf_license__", "GPL"))

    def compiled(self, debugging: bool = False, target: Options | None = None) -> Compiled:
        """The compiled program; compiled again only for an engine that does not take it as it was compiled before.
        `debugging`: if that fails, without what serves a debugger only, such as `breakpoint()`. `target`: what the engine takes
        that is to load it. Raises CompileError."""
        target = target or Options(btf=default_btf())
        before = (asked for asked, made in self._compiled.items() if made.options.fit(target) and not asked.debugging)
        options = next(before, target) if self.options is None else self.options.within(target)
        for_python = replace(options, debugging=True)
        if debugging and for_python in self._compiled:
            return self._compiled[for_python]
        try:
            return self._compile(options)
        except CompileError:
            if not debugging:
                raise
        return self._compile(for_python)

    def _compile(self, options: Options) -> Compiled:
        if options not in self._compiled:
            from purebpf.compiler.pipeline import compile_program

            self._compiled[options] = compile_program(self.function, self.kind, self.hook, self.license, options)
            self._warn(self._compiled[options])
        return self._compiled[options]

    def loadable(self, engine: Engine, target: Callable[[], Options]) -> Loadable:
        """The program for an engine to load: as an earlier process compiled it, if nothing has changed since, else compiled.
        `target` says what the engine takes. Raises CompileError."""
        if self._compiled or default_btf() or (self.options is not None and self.options.btf):
            return self.compiled(target=target())  # what is kept knows nothing of that file
        if engine.identity not in self._kept:
            found = None if self._forgotten else find(self, engine)
            if found is None:
                made = self.compiled(target=target())
                keep(self, engine, made)
                return made
            self._warn(found)
            self._kept[engine.identity] = found
        return self._kept[engine.identity]

    def spared(self, engine: Engine, target: Options) -> Loadable:
        """The program with less for the verifier to follow. Raises CompileError."""
        made = self.compiled(target=replace(target, sparing=True))
        keep(self, engine, made)
        return made

    def forget(self) -> bool:
        """Drop what an earlier process compiled; whether it was in use here."""
        used = bool(self._kept)
        self._kept.clear()
        if used:
            self._forgotten = True
            forget(self)
        return used

    def _warn(self, made: Loadable) -> None:
        """Print its warnings, each once: for another engine the program may be compiled again."""
        for warning in made.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                print(warning, file=sys.stderr)

    @told_here
    def spec(self) -> CollectionSpec:
        """The program and its maps as plain data."""
        return spec_of(self)

    @property
    def loaded(self) -> EngineProgram:
        """The live program; raises NotLoaded before it is loaded."""
        if self.collection is None:
            raise NotLoaded(f"program `{self.name}` is not loaded: attach, run or load it first")
        return self.collection.of(self)

    @property
    def info(self) -> ProgramInfo:
        """What the kernel tells of the loaded program: id, tag, sizes, when it was loaded; how often it ran and for how long
        while `bpf.statistics()` are on. Raises NotLoaded, and Unsupported in the virtual machine."""
        found = getattr(self.loaded, "info", None)
        if found is None:
            raise Unsupported(f"`{self.name}` is loaded in the virtual machine, which keeps no such account of its programs")
        told: ProgramInfo = found
        return told

    @told_here
    def load(self, engine: str = "auto") -> Collection:
        """Load it with its maps, without attaching. Close the collection (or use `with`) when done."""
        return load(self, engine=engine)

    @told_here
    def run(
        self,
        packet: bytes | None = None,
        ctx: object = None,
        *,
        engine: str = "auto",
        repeat: int = 1,
    ) -> RunResult:
        """Run it on a packet and/or a context, once or `repeat` times: by the kernel's test-run, or in the virtual machine.

        `ctx` is the context's bytes, or its fields by name: `ctx={"mark": 5}`; those that are not given are zero. That of a
        syscall program is a record, and the result's `context` the bytes that it leaves of it.

        A program that is loaded runs where it is loaded and keeps its maps; otherwise it is loaded for this run, and stays
        loaded until it is closed. Naming another `engine` than that is an error. Raises Unsupported where the kernel has no
        test-run for the type (tracepoints, perf events).
        """
        if self.collection is None:
            self.load(engine)
        elif engine not in ("auto", self.collection.engine.name):
            raise Error(
                f"`{self.name}` is loaded already, with its maps, in the engine {self.collection.engine.name!r}, not in "
                f"{engine!r}: close it first (`{self.name}.close()`), or leave `engine` out"
            )
        check_given(packet, ctx, repeat)
        if self.collection is not None and self.collection.debugging:
            self.compiled()  # what `python` loaded may have a `breakpoint()`, which is Python's alone
        return self.loaded.run(data=packet, context=self._context(packet, ctx), repeat=repeat)

    def run_live(self, packet: bytes, ctx: bytes | Mapping[str, object] | None = None, *, repeat: int = 1) -> RunResult:
        """Run an XDP program in the kernel on `repeat` copies of a frame that are real (Linux 5.18): they are passed to the
        network stack, redirected, transmitted or dropped as it says. They come from the interface `ctx={"ingress_ifindex":
        ...}`, else from the loopback one. The result has the time of a run only."""
        if self.collection is None:
            self.load("kernel")
        run = getattr(self.loaded, "run_live", None)
        if run is None:
            raise Unsupported(f"`{self.name}` is loaded in the virtual machine, which has no network to send frames to")
        check_given(packet, ctx, repeat)
        result: RunResult = run(packet, context=self._context(packet, ctx), repeat=repeat)
        return result

    def fields(self, context: bytes) -> dict[str, Any]:
        """What is in the context that a run gave back (`result.context`), by the names of its fields."""
        from purebpf.lang.given import fields

        return fields(self.kind, self.hook, context)

    def _context(self, packet: bytes | None, ctx: Any) -> bytes | None:
        """The bytes of a context that is given by its fields, or as a record."""
        if not isinstance(ctx, Mapping):
            return None if ctx is None else bytes(ctx.to_bytes() if hasattr(ctx, "to_bytes") else ctx)
        from purebpf.lang.given import built

        return built(self.kind, self.hook, ctx, packet)

    def python(self, packet: bytes | None = None, ctx: object = None) -> RunResult:
        """Run the very function in Python, on a packet and/or a context as `run` takes them: breakpoints, `print` and `pdb`
        work. Its maps are the virtual machine's, and integers are stored as the kernel would.

        A program that is loaded in the virtual machine keeps its maps; otherwise it is loaded for this run, and stays loaded
        until it is closed. Raises Unsupported for types of programs that the virtual machine cannot run.
        """
        from purebpf.runner.session import runner_of
        from purebpf.vm.engine import VmEngine

        check_given(packet, ctx)
        collection = self.collection or Collection([self], VmEngine(), debugging=True).load()
        if collection.engine.name != "vm":
            raise Error(
                f"`{self.name}` is loaded in the engine {collection.engine.name!r}, and Python runs programs on the virtual "
                f"machine's maps: close it first (`{self.name}.close()`)"
            )
        return runner_of(collection, self).run(packet, self._context(packet, ctx))

    @told_here
    def attach(self, *target: object, engine: str = "auto", **options: object) -> Attachment:
        """Load it if it is not loaded, and attach it. What to attach to depends on the type: `attach("eth0", mode="generic")`
        for XDP, `attach("eth0", direction="egress")` for TC, a cgroup's folder, a socket or a socket map, nothing for
        tracepoints. The result detaches when closed."""
        options = with_names(self.name, self.kind.type, self.kind.attach, target, options)
        own = self.collection is None
        collection = self._load_for(engine, options) if self.collection is None else self.collection
        try:
            link = collection.engine.attach(collection.of(self), options)
        except BaseException:
            if own:
                collection.close()
            raise
        collection.links.append(link)
        return Attachment(self, collection, link, own)

    def _load_for(self, engine: str, options: Mapping[str, object]) -> Collection:
        """Load it for what it is to be attached to: an XDP program may belong to the interface's device."""
        interface = options.get("interface")
        chosen, _ = choose_engine(engine)
        if chosen.name != "kernel" or self.kind.decorator != "xdp" or not isinstance(interface, str | int):
            return self.load(engine)
        from purebpf.kernel.device import DeviceEngine

        return Collection([self], DeviceEngine(interface, offload=options.get("mode") == "offload")).load()

    def close(self) -> None:
        """Detach and unload it, with all that was loaded together with it."""
        if self.collection is not None:
            self.collection.close()

    def __call__(self, *args: object) -> Any:
        raise Error(
            f"`{self.name}` is a kernel program: use `{self.name}.run(...)`, `{self.name}.python(...)` or "
            f"`{self.name}.attach(...)`"
        )

    def __repr__(self) -> str:
        return f"<bpf.{self.kind.decorator} program {self.name}{'' if self.collection is None else ', loaded'}>"


class Attachment:
    """An attached program: a context manager; leaving it detaches, and unloads what `attach` loaded."""

    def __init__(self, program: Program, collection: Collection, link: EngineLink, own: bool) -> None:
        self.program = program
        self.link = link
        self._collection = collection
        self._own = own

    @property
    def mechanism(self) -> str:
        return self.link.mechanism

    def read(self) -> str:
        """What an iterator's program prints for each object there is now. Iterating over the attachment gives the lines, or the
        records where it emits such."""
        if self.program.kind.row is not None:
            raise Error(f"`{self.program.name}` emits records: `for row in attached`, or `list(attached)`")
        return self._iterator().read()

    def __iter__(self) -> Iterator[Any]:
        """An iterator's output: the records that it emits, or the lines that it prints."""
        row = self.program.kind.row
        if row is None:
            return iter(self._iterator())
        from purebpf.lang.types import type_of

        layout = type_of(row)
        assert layout is not None
        return map(layout.decode, self._iterator().pieces(layout.size))

    def _iterator(self) -> IterLink:
        from purebpf.kernel.link.iter import IterLink

        if not isinstance(self.link, IterLink):
            raise Error(f"only iterators can be read (`@bpf.iter`); `{self.program.name}` is a {self.program.kind.decorator}")
        return self.link

    @property
    def info(self) -> LinkInfo:
        """The link's id, its type, and the id of its program. Raises NotLoaded where there is no link of the kernel's."""
        return self._kernel("info").info

    @property
    def target(self) -> str:
        """What it is attached to, as the kernel tells; "" where it does not (most of it since Linux 6.6)."""
        return self._kernel("target").target

    @property
    def details(self) -> dict[str, object]:
        """All that the kernel tells about the link beyond `info`: cookie, offset, interface ..., by its names."""
        return self._kernel("details").details

    def pin(self, path: str | os.PathLike[str]) -> str:
        """Keep it attached under a name in a BPF file system, also when this process ends (Linux 5.7); the absolute path."""
        return self._kernel("pin").pin(path)

    def unpin(self) -> None:
        """Remove that name. It stays attached until it is closed."""
        self._kernel("unpin").unpin()

    def update(self, program: Program) -> None:
        """Put another program in the place of this one, at once and without a gap (Linux 5.7): one of the same type, loaded
        together with it. Raises Unsupported for kinds that the kernel does not update (tracing, probes, perf events)."""
        from purebpf.kernel.program import KernelProgram

        if not isinstance(program, Program):
            raise TypeError(
                f"another program takes the place of `{self.program.name}`, a decorated function, not {program!r:.60}"
            )
        link, new = self._kernel("update"), program.loaded
        if not isinstance(new, KernelProgram):
            raise Error(
                f"`{program.name}` is loaded in the virtual machine, and `{self.program.name}` is attached in the kernel"
            )
        link.update(new)
        self.program = program

    def detach(self) -> None:
        """Take it off its hook, also where it is pinned (Linux 5.9), and close."""
        self._kernel("detach").detach()
        self.close()

    def _kernel(self, name: str) -> KernelLink:
        from purebpf.kernel.link.base import KernelLink

        if not isinstance(self.link, KernelLink):
            raise Error(f"`{name}` is for what is attached in the kernel; this is attached by {self.mechanism}")
        return self.link

    def close(self) -> None:
        self.link.close()
        if self.link in self._collection.links:
            self._collection.links.remove(self.link)
        if self._own:
            self._collection.close()

    def __repr__(self) -> str:
        closed = self.link not in self._collection.links
        return f"<bpf.Attachment of {self.program.name} by {self.mechanism}{', closed' if closed else ''}>"

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def spec_of(*programs: Program | StructOps | type) -> CollectionSpec:
    """Programs that share their maps, those in their program arrays, the operations of the kernel (`@bpf.struct_ops`) that are
    given, and the maps, as plain data. Nothing is loaded."""
    return spec_and_declarations(*programs)[0]


def spec_and_declarations(
    *programs: Program | StructOps | type,
) -> tuple[CollectionSpec, dict[str, MapDeclaration]]:
    """As `spec_of`, with the declarations behind the maps, by their names in the spec."""
    from purebpf.held import with_entries, with_tables

    own, operations = [each for each in programs if isinstance(each, Program)], []
    for each in programs:
        if found := getattr(each, "__bpf_operations__", None):
            own += found.values()
            operations.append(each)
    spec, declarations, names = compile_together(with_tables(own, Program.compiled), Program.compiled)
    if operations:
        from purebpf.operations_map import with_operations

        spec = with_operations(spec, operations, names)
    return with_entries(spec, declarations, names), declarations


if TYPE_CHECKING:

    @overload
    def load(
        source: CollectionSpec | str | os.PathLike[str] | bytes,
        /,
        *,
        engine: str | Engine = "auto",
        programs: Iterable[str] | None = None,
        maps: Mapping[str, Given] | None = None,
        variables: Mapping[str, object] | None = None,
        pin_path: str | os.PathLike[str] | None = None,
        btf: str | os.PathLike[str] | Btf | None = None,
        targets: Mapping[str, Target] | None = None,
    ) -> Objects: ...
    @overload
    def load(*programs: Program | MapDeclaration | type, engine: str = "auto") -> Collection: ...
    def load(*programs: Any, **options: Any) -> Any: ...

else:

    @told_here
    def load(*programs: Any, engine: Any = "auto", **options: Any) -> Any:
        """Load programs together, so that they share their maps; the programs of operations (`@bpf.struct_ops`, a class for
        type checkers); and maps that are wanted without a program, too.

        Or load an object file, given by its path, its bytes or its spec (`purebpf.objects.load` tells the options).
        """
        if len(programs) == 1 and isinstance(programs[0], CollectionSpec | str | bytes | os.PathLike):
            from purebpf.objects import load as load_spec

            return load_spec(programs[0], engine=engine, **options)
        if options:
            raise Error(f"`load` of programs takes only `engine`; {', '.join(options)} are for object files")
        chosen, _ = choose_engine(engine)
        own = [each for each in programs if isinstance(each, Program)]
        alone: list[Any] = []
        for each in programs:
            if operations := getattr(each, "__bpf_operations__", None):
                own += operations.values()
            elif isinstance(each, Program):
                continue
            else:
                from purebpf.lang.maps.declaration import MapDeclaration  # what has no maps is not to wait for them

                if not isinstance(each, MapDeclaration):
                    raise Error(f"`load` takes programs and maps, or an object file by its path or bytes, not {each!r:.60}")
                alone.append(each)
        return Collection(own, chosen, alone=alone).load()


def plain_decorator(kind: ProgramKind) -> Callable[[Callable[..., Any]], Program]:
    """A decorator without arguments."""
    name = kind.decorator

    def decorate(function: Callable[..., Any]) -> Program:
        if isinstance(function, str):
            raise declaring.error(f"@bpf.{name} takes no argument", f"what to attach to is said in `attach`: @bpf.{name} alone")
        return Program(function, kind, "")  # type: ignore[arg-type]

    decorate = declaring.explained(
        f"@bpf.{name}", f"@bpf.{name} alone, over a function; what to attach to is said in `attach`"
    )(decorate)
    decorate.__name__ = name
    decorate.__doc__ = f"Make a function a program of type `{name}`{f'; it returns {kind.returns}' if kind.returns else ''}."
    return decorate


def _hooked(name: str) -> Callable[..., Callable[[Callable[..., Any]], Program]]:
    """A decorator that takes its hook."""
    plain = KINDS[name]

    def with_hook(hook: str | Program, *, sleepable: bool = False) -> Callable[[Callable[..., Any]], Program]:
        if isinstance(hook, Program) and name in ("fentry", "fexit"):
            return _tracing(hook, plain, sleepable)
        if not isinstance(hook, str):
            raise declaring.error(f"@bpf.{name} takes its hook: {plain.hook}", f'@bpf.{name}("...")')
        if sleepable and not plain.may_sleep:
            able = ", ".join(kind.decorator for kind in KINDS.values() if kind.may_sleep)
            raise declaring.error(f"a program of type `{name}` cannot be sleepable", f"these can: {able}")
        kind = plain.sleeping() if sleepable else plain
        return lambda function: Program(function, kind, hook)  # type: ignore[arg-type]

    with_hook = declaring.explained(f"@bpf.{name}", f'@bpf.{name}("..."): its argument is {plain.hook}')(with_hook)
    with_hook.__name__ = name
    with_hook.__doc__ = f"Make a function a program of type `{name}`; the argument is {plain.hook}."
    if plain.may_sleep:
        with_hook.__doc__ += " `sleepable`: it may call what sleeps."
    return with_hook


def _tracing(whole: Program, plain: ProgramKind, sleepable: bool) -> Callable[[Callable[..., Any]], Program]:
    """A decorator of programs that run where another one starts or ends."""
    if sleepable:
        raise declaring.error("a program that traces another cannot be sleepable", f"@bpf.{plain.decorator}({whole.name})")
    if whole.kind.of is not None or whole.kind.type is ProgramType.TRACING:
        raise declaring.error(f"`{whole.name}` traces something itself: the kernel does not let programs trace such a one")
    kind = replace(plain, of=whole.kind.type)

    def decorate(function: Callable[..., Any]) -> Program:
        made = Program(function, kind, whole.name)  # type: ignore[arg-type]
        made.whole = whole
        return made

    return decorate


tc = plain_decorator(KINDS["tc"])
socket_filter = plain_decorator(KINDS["socket_filter"])
perf_event = plain_decorator(KINDS["perf_event"])
lirc_mode2 = plain_decorator(KINDS["lirc_mode2"])
syscall = plain_decorator(KINDS["syscall"])
tracepoint = _hooked("tracepoint")
fentry = _hooked("fentry")
fexit = _hooked("fexit")
fmod_ret = _hooked("fmod_ret")
lsm = _hooked("lsm")
lsm_cgroup = _hooked("lsm_cgroup")
tp_btf = _hooked("tp_btf")
