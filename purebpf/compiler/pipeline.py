"""The compiler from end to end: a Python function in, a `CollectionSpec` out.

Passes run in the order of `PASSES`, each once; `compile_ir` stops before the target, which is what `--emit ir` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from purebpf.compiler.diagnostics import ProgramError
from purebpf.compiler.frontend import functions
from purebpf.compiler.frontend.bounds import forget_bounds
from purebpf.compiler.frontend.lower import ZEROS, Unit
from purebpf.compiler.frontend.memory import LARGEST_SCRATCH
from purebpf.compiler.frontend.source import source_of
from purebpf.compiler.ir.ops import Function
from purebpf.compiler.loadable import Loadable
from purebpf.compiler.meaning import Meaning
from purebpf.compiler.options import Options
from purebpf.compiler.passes.cfg import remove_unreachable, simplify_cfg
from purebpf.compiler.passes.checks import merge_checks
from purebpf.compiler.passes.choices import name_choices
from purebpf.compiler.passes.dce import remove_dead
from purebpf.compiler.passes.demand import drop_unread_bits
from purebpf.compiler.passes.facts import propagate_facts
from purebpf.compiler.passes.fold import fold
from purebpf.compiler.passes.large_locals import move_large_locals
from purebpf.compiler.passes.memory import forward_memory
from purebpf.compiler.passes.sink import sink_operations
from purebpf.compiler.passes.sparing import spare_the_verifier
from purebpf.compiler.passes.stores import merge_stores
from purebpf.compiler.signatures import context_struct
from purebpf.compiler.target import allocation_check, layout, regalloc
from purebpf.compiler.target.forget import clear_left_slots
from purebpf.compiler.target.legalize import legalize
from purebpf.compiler.target.lengths import ask_for_lengths
from purebpf.compiler.target.repeats import drop_repeated_values
from purebpf.compiler.target.select import select
from purebpf.data import data, replace
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import MAY_GOTO_OPCODE, PSEUDO_FUNC
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.program_types import ProgramKind
from purebpf.spec import CollectionSpec, FunctionSpec, MapSpec, ProgramSpec
from purebpf.tables.enums import ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.relocation import CoreRelocation
    from purebpf.btf.types import Type

Pass = Callable[[Function], object]

PASSES: tuple[tuple[str, Pass], ...] = (  # each with the reason for its place
    ("cfg", simplify_cfg),  # first: lowering leaves constant branches and joins that nobody needs
    ("fold", fold),  # parameters that became constants
    ("choices", name_choices),  # wants the joins that threading could not avoid
    ("facts", propagate_facts),  # wants folded conditions
    ("cfg again", simplify_cfg),  # branches that facts decided
    ("memory", forward_memory),  # wants long blocks
    ("checks", merge_checks),  # wants edges that go straight
    ("sink", sink_operations),
    ("fold again", fold),  # forwarded constants, operations that came together
    ("facts again", propagate_facts),  # of values loaded once
    ("dce", remove_dead),  # blocks without work go away
    ("cfg last", simplify_cfg),
    ("fold last", fold),  # what threading made plain
    ("dce again", remove_dead),  # so that uses can be counted
    ("stores", merge_stores),  # wants forwarded memory and swaps of bytes that cancelled
    ("demand", drop_unread_bits),  # wants all uses final
    ("dce last", remove_dead),
)


ALONE = frozenset({ProgramType.XDP, ProgramType.SCHED_CLS, ProgramType.TRACEPOINT, ProgramType.KPROBE, ProgramType.PERF_EVENT})
"""Types of which one run on a CPU ends before the next begins: softirqs are off, or the kernel refuses to nest them."""
PREEMPTED = ("uprobe", "uretprobe", "usdt")  # of those types, but another thread may come between


@data(frozen=False)
class Compiled(Loadable):
    """A compiled program with its IR, and what its types say to whoever runs it as Python."""

    functions: list[Function]
    meaning: Meaning


def compile_ir(
    function: FunctionType,
    kind: ProgramKind,
    hook: str,
    license: str,
    options: Options,
    name: str | None = None,
    maps: dict[str, MapDeclaration] | None = None,
) -> tuple[Unit, list[Function]]:
    """The optimised IR of a program and its subprograms. `maps` are those of programs compiled before into the same
    collection."""
    unit = Unit(name or function.__name__, kind, hook, options, license, {} if maps is None else maps, own=function)
    functions.lower_program(unit, function)
    if unit.objects or unit.graph:
        from purebpf.compiler.frontend import objects

        objects.settle(unit)
    for fn in unit.functions.values():
        forget_bounds(fn)
        remove_unreachable(fn)
        for _, apply in PASSES:
            apply(fn)
        if options.sparing:
            spare_the_verifier(fn, unit.zero_name, ZEROS)
    return unit, _called(unit.functions, unit.name)


def _called(functions: dict[str, Function], first: str) -> list[Function]:
    """The program and what it still calls, in order: the verifier refuses a function that nobody calls."""
    wanted: dict[str, None] = {}
    work = [first]
    while work:
        name = work.pop()
        if name not in wanted:
            wanted[name] = None
            work += [op.imm[0] for block in functions[name].blocks for op in block.ops if op.kind in ("callsub", "func")]
    return [fn for name, fn in functions.items() if name in wanted]


def compile_program(
    function: FunctionType,
    kind: ProgramKind,
    hook: str = "",
    license: str = "GPL",
    options: Options | None = None,
    name: str | None = None,
    maps: dict[str, MapDeclaration] | None = None,
) -> Compiled:
    """Compile one program. Raises CompileError with place and hint."""
    options = options or Options()
    if not options.btf:
        return _compile(function, kind, hook, license, options, name, maps)
    from purebpf.btf.running import instead

    with instead(options.btf):
        return _compile(function, kind, hook, license, options, name, maps)


def _compile(
    function: FunctionType,
    kind: ProgramKind,
    hook: str,
    license: str,
    options: Options,
    name: str | None,
    maps: dict[str, MapDeclaration] | None,
) -> Compiled:
    given = function, kind, hook, license, options, name, maps
    unit, made = compile_ir(*given)
    try:
        emitted = [generate(fn, options) for fn in made]
        stack = _deepest(emitted)
    except layout.StackTooSmall as error:
        try:
            unit, made, emitted, stack = _with_scratch(given, error)
        except layout.StackTooSmall as final:
            source = source_of(function)
            raise ProgramError(final.message, source.place(source.node), final.label, final.hint) from None
    instructions, starts = link(emitted)
    budget = ("may_goto",) if any(i.opcode == MAY_GOTO_OPCODE for i in instructions) else ()
    named = tuple(FunctionSpec(e.name, starts[e.name]) for e in emitted)
    types: tuple[Type, ...] = ()
    asked: tuple[CoreRelocation, ...] = ()
    if unit.global_ or any(e.cores for e in emitted):
        from purebpf.compiler.relocations import types_and_relocations

        named, types, asked = types_and_relocations(unit, emitted, starts)
    named = (replace(named[0], context=context_struct(kind.type)), *named[1:])
    section = kind.section + (f"/{hook}" if hook else "")
    program = ProgramSpec(
        name=unit.name,
        type=ProgramType.EXT if kind.decorator == "freplace" else kind.type,
        instructions=tuple(instructions),
        license=license,
        section=section,
        attach_type=kind.attach,
        attach_to=hook,
        flags=kind.flags,
        functions=named,
        stack=stack,
        requires=(*unit.requires, *budget),
        types=types,
        relocations=asked,
        types_of=unit.types_of,
    )
    return Compiled(
        program, unit.map_specs(), unit.used, list(dict.fromkeys(unit.warnings)), _needed(options, made), made, unit.meaning
    )


def _needed(options: Options, made: list[Function]) -> Options:
    """The options, without the pointers into the kernel that the program has not: any engine may take it then."""
    ops = [op for fn in made for op in fn.ops() if op.kind in ("core_load", "core_store", "call", "kfunc")]
    called = {op.imm[0] for op in ops if not op.kind.startswith("core")}
    pointers = "get_current_task_btf" in called or any(op.kind.startswith("core") for op in ops)
    casts = "bpf_rdonly_cast" in called
    return replace(options, kernel_pointers=options.kernel_pointers and pointers, kernel_casts=options.kernel_casts and casts)


def _with_scratch(
    given: tuple[Any, ...], error: layout.StackTooSmall
) -> tuple[Unit, list[Function], list[layout.Emitted], int]:
    """Compile again, with large pieces of memory in a per-CPU map: first the largest, if need be the smaller ones too."""
    options = given[4]
    for smallest in (64, 16):
        unit, made = compile_ir(*given)
        if why := _may_meet_itself(unit, made):
            hint = f"{why}: make the pieces smaller, or use a map of your own, `bpf.PerCpuArray[T](max_entries=1)`"
            raise layout.StackTooSmall(error.message, error.label, hint)
        unit.scratch = move_large_locals(made, unit.scratch_name, smallest)
        if unit.scratch > LARGEST_SCRATCH:
            raise layout.StackTooSmall(
                f"the local memory of `{unit.name}` has {unit.scratch} bytes",
                f"beside the stack of {layout.STACK_LIMIT} bytes there are {LARGEST_SCRATCH} in a per-CPU map",
                "keep large things in an Array map",
            )
        try:
            emitted = [generate(fn, options) for fn in made]
            return unit, made, emitted, _deepest(emitted)
        except layout.StackTooSmall as again:
            error = again
    raise error


def _may_meet_itself(unit: Unit, made: list[Function]) -> str:
    """Why another run, or a part of this program, may begin on the same CPU before a run has ended; "" if it cannot."""
    if unit.later:
        return "a timer's function may interrupt this program"
    if unit.kind.type not in ALONE or unit.kind.decorator in PREEMPTED:
        return f"a program of type `{unit.kind.decorator}` may be interrupted by itself"
    if any(op.kind == "call" and op.imm[0] == "clone_redirect" for fn in made for op in fn.ops()):
        return "`clone_redirect` may run this program while it runs"
    return ""


def generate(fn: Function, options: Options) -> layout.Emitted:
    """IR to instructions: legal ops, selection, registers (checked), layout."""
    from purebpf.tables.helpers import helper

    def number(name: str) -> int:
        found = helper(name)
        assert found is not None, name
        return found.id

    ask_for_lengths(fn)
    legalize(fn, options.cpu)
    machine = select(fn, options, number)
    before = allocation_check.snapshot(machine)
    regalloc.allocate(machine)
    allocation_check.check(before, machine)
    if options.sparing:
        clear_left_slots(machine)
    drop_repeated_values(machine)
    return layout.emit(machine)


def link(emitted: list[layout.Emitted]) -> tuple[list[Instruction], dict[str, int]]:
    """Put the functions one after the other and resolve the calls between them."""
    starts: dict[str, int] = {}
    position = 0
    for e in emitted:
        starts[e.name] = position
        position += sum(i.slots for i in e.instructions)
    out: list[Instruction] = []
    at = 0
    for e in emitted:
        for instruction in e.instructions:
            at += instruction.slots
            if instruction.opcode == 0x85 and instruction.src == 1 and instruction.symbol is not None:
                distance = starts[instruction.symbol] - at
                instruction = Instruction(0x85, 0, 1, 0, distance, instruction.symbol, instruction.source)
            elif _refers(instruction) and instruction.symbol is not None:
                distance = starts[instruction.symbol] - at + 1  # from the second slot of the two
                instruction = replace(instruction, imm=distance & 0xFFFF_FFFF)
            out.append(instruction)
    return out, starts


def _refers(instruction: Instruction) -> bool:
    """Whether it loads the address of a function."""
    return instruction.opcode == WIDE_LOAD and instruction.src == PSEUDO_FUNC


def _deepest(emitted: list[layout.Emitted]) -> int:
    """Bytes of stack on the deepest chain of calls; each frame is rounded up as the verifier does."""
    frames = {e.name: max(-(-e.stack // 32) * 32, 32) if len(emitted) > 1 else e.stack for e in emitted}
    calls = {
        e.name: {i.symbol for i in e.instructions if i.symbol and ((i.opcode, i.src) == (0x85, 1) or _refers(i))}
        for e in emitted
    }

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        below = calls[name] - {*above, name}  # a timer's function may name itself, for the next time
        return frames[name] + max((depth(callee, (*above, name)) for callee in below), default=0)

    deepest = depth(emitted[0].name)
    if deepest > layout.STACK_LIMIT:
        raise layout.StackTooSmall(
            f"`{emitted[0].name}` and the functions it calls need {deepest} bytes of stack, the kernel gives "
            f"{layout.STACK_LIMIT}"
        )
    return deepest


def collection(programs: Mapping[str, Compiled]) -> CollectionSpec:
    """One spec for programs compiled together."""
    maps: dict[str, MapSpec] = {}
    for compiled in programs.values():
        maps |= compiled.maps
    return CollectionSpec({name: c.program for name, c in programs.items()}, maps)
