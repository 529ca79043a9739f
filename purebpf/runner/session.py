"""Runs of a program as Python: its functions made ready, the memory of a run, and the run itself on the virtual machine.

The virtual machine lays out packet and context and gives the result, exactly as for the program's bytecode; only what stands
between, the instructions, is the author's function.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any

from purebpf.compiler.frontend.source import Source, source_of
from purebpf.compiler.meaning import TURN, Meaning, Spot, Way, Ways, loop_of
from purebpf.engine import RunResult
from purebpf.errors import Error, Unsupported, VmError
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.program_types import ProgramKind
from purebpf.lang.types import BoolType, IntType, StructType, Type
from purebpf.runner import (  # noqa: F401 (some register themselves)
    callbacks,
    calls,
    dynptrs,
    idioms,
    kfuncs,
    locks,
    maps,
    names,
    places,
    reading,
    rings,
    variables,
)
from purebpf.runner.context import ProgramContext
from purebpf.runner.maps import TailCall
from purebpf.runner.transform import Transformer, hidden, transformed
from purebpf.runner.views import Block, Record, View, copied, narrow, own, own_text, place_of, view
from purebpf.spec import PER_CPU_MAPS
from purebpf.tables.enums import ProgramType
from purebpf.vm.engine import VmProgram
from purebpf.vm.machine import Machine
from purebpf.vm.memory import SHIFT, Fault
from purebpf.vm.runtime import signed

if TYPE_CHECKING:
    from purebpf.collection import Collection
    from purebpf.program import Program

OF_EVENTS = ("ProbeContext", "TracingContext", "IterContext", "StructOpsContext")
WITH_RECORDS = (ProgramType.SYSCALL, ProgramType.RAW_TRACEPOINT_WRITABLE)
SCALARS: list[IntType | BoolType] = [
    BoolType(),
    *(IntType(n, s, b) for n in (8, 16, 32, 64) for s in (False, True) for b in (False, True)),
]


class Runner:
    """One program, ready to run as Python in one machine. `others` gives the runner of a program by its handle, for tail
    calls."""

    def __init__(
        self,
        function: FunctionType,
        kind: ProgramKind,
        hook: str,
        meaning: Meaning,
        program: VmProgram,
        others: Callable[[int], Runner],
    ) -> None:
        self.kind, self.hook = kind, hook
        self.meaning = meaning
        self.wraps = meaning.wrapping()
        self.turns: dict[Spot, Spot] = {}  # by loop, the turn that it is in
        self.program = program
        self.machine: Machine = program.machine
        self.others = others
        self.known: dict[int, tuple[Any, Any]] = {}
        self.context = ProgramContext(self)
        self._functions: dict[FunctionType, FunctionType] = {}
        self._files: set[str] = set()
        self._placed: list[tuple[Block, int]] = []
        self._own = self._hidden()
        self.main = function

    # -- running

    def run(self, packet: bytes | None, context: bytes | None) -> RunResult:
        """One run on a packet and/or a context, which the virtual machine lays out."""
        return self.program.run(data=packet, context=context, code=_Python(self.machine, self.execute))

    def execute(self) -> int:
        """The program's result, from the machine as it stands; follows tail calls."""
        runner = self
        while True:
            try:
                result = runner.function(runner.main)(*runner.arguments())
            except TailCall as call:
                runner = runner.others(call.handle)
                continue
            except Fault as fault:
                raise VmError(f"The program {runner.main.__name__!r} {fault}.") from None
            finally:
                runner._forget_memory()
            if result is not None and not isinstance(result, int):
                raise Error(f"`{runner.main.__name__}` returned {result!r}, which is no integer")
            return (result or 0) & (1 << 64) - 1

    def arguments(self) -> tuple[Any, ...]:
        """What the program is called with: its context, or the record that this is."""
        code = self.main.__code__
        types, _ = self.meaning.annotations.get(code, ({}, None))
        layouts = [types.get(name) for name in code.co_varnames[: code.co_argcount]]
        if self.kind.context in OF_EVENTS and not self._takes_context():
            what = f"`{self.main.__name__}` takes what its {self.kind.decorator} is called with"
            raise Unsupported(f"{what}, which there is in the kernel only: attach it there, and run what it calls as Python")
        record = next((layout for layout in layouts if isinstance(layout, StructType)), None)
        if record is None or self.kind.type not in WITH_RECORDS:
            return (self.context,)
        if self.kind.type is ProgramType.RAW_TRACEPOINT_WRITABLE:
            raise Unsupported("what a writable tracepoint points to is the kernel's alone: attach the program there")
        return (self.context.record(record),)

    def _takes_context(self) -> bool:
        """Whether the context is all that the program takes."""
        code = self.main.__code__
        names = code.co_varnames[: code.co_argcount]
        annotation = self.main.__annotations__.get(names[0]) if len(names) == 1 else None
        return len(names) == 1 and (names[0] == "ctx" if annotation is None else "Context" in str(annotation))

    def _forget_memory(self) -> None:
        for block, first in self._placed:
            block.address = None
            self.machine.memory.release(first)
        self._placed.clear()

    # -- what the program's own Python calls

    def helper(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        return calls.call(self, name, arguments, keywords)

    @staticmethod
    def signed(value: int) -> int:
        return signed(value, 64)

    def shared(self, declaration: MapDeclaration) -> bool:
        """Whether others may write a value of the map while the program runs."""
        return declaration.kind not in PER_CPU_MAPS or self.kind.type == ProgramType.PERF_EVENT

    def zeroed(self, type: Type) -> Any:
        """Local memory of the program."""
        return view(Block(bytearray(type.size), self.function), 0, type)

    def address(self, reference: View) -> int:
        """Where the machine has what a reference refers to; mapped until the run ends."""
        block, at, _ = place_of(reference)
        if block.address is None:
            block.address = self._place(block)
        return block.address + at

    def placed(self, data: bytes) -> int:
        """The address of these bytes, until the run ends."""
        return self._place(Block(bytearray(data), self.function))

    def _place(self, block: Block) -> int:
        address = self.machine.memory.share("a value of the program's own", block.data, writable=block.writable)
        self._placed.append((block, address >> SHIFT))
        return address

    # -- making functions ready

    def function(self, function: FunctionType) -> FunctionType:
        """A plain function as the program has it; once for each."""
        made = self._functions.get(function)
        if made is None:
            made = self._functions[function] = self._ready(function)
        return made

    def _ready(self, function: FunctionType) -> FunctionType:
        source = source_of(function)
        outside = {**_outside(function, source), **self.meaning.names.get(function, {})}
        local = _local_names(function.__code__)
        types, result = self.meaning.annotations.get(function.__code__, ({}, None))

        def resolve(node: Any) -> Any:
            return _resolved(node, outside, local)

        code = transformed(
            function, source, lambda: Transformer(source, self.wraps, types, result, self.meaning.inner, resolve, places.TAKERS)
        )
        self._files.add(source.file)
        scope = {**function.__globals__, "__builtins__": builtins}
        made = FunctionType(code, scope, function.__name__)
        made.__qualname__ = function.__qualname__
        self._functions[function] = made
        made.__defaults__ = names.seen(self, function.__defaults__)
        made.__kwdefaults__ = names.seen(self, function.__kwdefaults__)
        for name, value in function.__globals__.items():  # not used here, but good to have at a debugger's prompt
            if value is sys.modules["purebpf"] or isinstance(value, MapDeclaration):
                outside.setdefault(name, value)
        scope.update({name: names.seen(self, value) for name, value in outside.items()})
        scope.update(self._own)
        return made

    def _hidden(self) -> dict[str, Any]:
        """The runner's own functions, under names that no source can write."""
        functions: dict[str, Any] = {
            "floor": places.floor_divide, "modulo": places.modulo, "item": places.item, "member": places.member,
            "finish": places.finish, "copies": _copies, "own": own, "text": own_text, "shown": _shown, "wrap": self._wrap,
            "turns": self._turns,
        }  # fmt: skip
        narrowing = {f"to {type}": _narrower(type) for type in SCALARS}
        return {hidden(name): function for name, function in (functions | narrowing).items()}

    # -- results that leave 64 bits

    def _wrap(self, value: Any, place: Spot) -> Any:
        """A result as 64 bits hold it, where that depends on the way by which inlined code was reached."""
        if isinstance(value, tuple):
            return tuple(self._wrap(item, place) for item in value)
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        if 0 <= value < 1 << 63:
            return value
        signs = self._signs(self.wraps[place], self._way(sys._getframe(1)))
        if len(signs) > 1:
            raise Error(
                "this result is signed for one item of the loop and unsigned for another, and does not fit both; Python cannot "
                "tell which it is: cast it, as in `s64(a - b)`"
            )
        return signed(value, 64) if True in signs else value & (1 << 64) - 1

    def _signs(self, ways: Ways, here: Way) -> set[bool]:
        """Those of the longest of the compiler's ways whose calls are all in this one, in this order (generators add calls of
        their own), and whose turns are those of the loops that are being gone through."""

        def fits(way: Way) -> bool:
            calls = iter(here)
            return all(self.turns.get(loop_of(each)) == each if each[0].startswith(TURN) else each in calls for each in way)

        fitting = [way for way in ways if fits(way)]
        return ways[max(fitting, key=len)] if fitting else set().union(*ways.values())

    def _turns(self, loop: Spot, items: Any) -> Iterator[Any]:
        """The items of a loop over a tuple, with a note of which it is."""
        for index, item in enumerate(items):
            self.turns[loop] = (f"{TURN}{index}", *loop[1:])
            yield item
        self.turns.pop(loop, None)

    def _way(self, frame: FrameType | None) -> Way:
        """The calls in the program's source that led here, outermost first."""
        found: list[Spot] = []
        frame = frame.f_back if frame is not None else None
        while frame is not None:
            code = frame.f_code
            if code.co_filename in self._files:
                line, end_line, column, end_column = list(code.co_positions())[frame.f_lasti // 2]
                found.append(("Call", code.co_filename, line or 0, column or 0, end_line or 0, end_column or 0))
            frame = frame.f_back
        return tuple(reversed(found))


class _Python:
    """Stands for a program's code on the machine."""

    def __init__(self, machine: Machine, execute: Callable[[], int]) -> None:
        self.machine = machine
        self.main: Callable[..., int] = lambda *_: execute()

    def run(self, main: Callable[..., int], *arguments: int) -> int:
        self.machine.start()
        try:
            return main(*arguments)
        finally:
            self.machine.finish()


def _resolved(node: Any, outside: dict[str, Any], local: set[str]) -> Any:
    """The object that a dotted outside name stands for, None for anything else."""
    match node:
        case ast.Name(id=name) if name not in local:
            return outside.get(name)
        case ast.Attribute(value=base, attr=attr):
            owner = _resolved(base, outside, local)
            plain = owner is not None and (isinstance(owner, type) or type(owner).__name__ == "module")
            return getattr(owner, attr, None) if plain else None
    return None


def _outside(function: FunctionType, source: Source) -> dict[str, Any]:
    """The objects behind the names in a function that are its closure's, its module's or Python's own."""
    closure = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    found: dict[str, Any] = {}
    for statement in source.node.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id in closure:
                with suppress(ValueError):  # a cell that is still empty: Python tells when it is used
                    found[node.id] = closure[node.id].cell_contents
            elif isinstance(node, ast.Name) and node.id in function.__globals__:
                found[node.id] = function.__globals__[node.id]
            elif isinstance(node, ast.Name) and hasattr(builtins, node.id):
                found[node.id] = getattr(builtins, node.id)
    return {name: value for name, value in found.items() if name not in function.__code__.co_varnames}


def _local_names(code: CodeType) -> set[str]:
    """The names that code assigns, functions and generators inside it included."""
    inner = [_local_names(each) for each in code.co_consts if isinstance(each, CodeType)]
    return {*code.co_varnames, *code.co_cellvars}.union(*inner)


def _narrower(type: IntType | BoolType) -> Callable[[Any], Any]:
    return lambda value: narrow(type, value) if isinstance(value, int) else value


def _shown(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _copies(values: Any, are_names: tuple[bool | None, ...]) -> tuple[Any, ...]:
    """The values of a tuple assignment, those that another part may overwrite copied; a name that gets a record refers to
    it. None is a starred name, for as many values as there are left."""
    values = tuple(values)
    if None in are_names:
        star = are_names.index(None)
        rest = len(values) - len(are_names) + 1
        are_names = (*are_names[:star], *[True] * rest, *are_names[star + 1 :])
    return tuple(
        value if is_name and isinstance(value, Record) else copied(value)
        for value, is_name in zip(values, are_names, strict=True)
    )


def runner_of(collection: Collection, program: Program) -> Runner:
    """The program of a collection on the virtual machine, ready to run as Python; made once."""
    if program not in collection.runners:
        loaded = collection.of(program)
        assert isinstance(loaded, VmProgram)

        def other(handle: int) -> Runner:
            return next(runner_of(collection, each) for each in collection.programs if collection.of(each).handle == handle)

        meaning = program.compiled(True).meaning
        collection.runners[program] = Runner(program.function, program.kind, program.hook, meaning, loaded, other)
    return collection.runners[program]
