"""A program's instructions as functions, each for itself: in an object file subprograms lie apart from the programs.

Programs bring their subprograms with them; those that are alike in all are one in the object. Loaders append what a program
calls, and what that calls.
"""

from __future__ import annotations

from collections.abc import Sequence

from purebpf.btf.relocation import CoreRelocation
from purebpf.data import data, replace
from purebpf.errors import Error
from purebpf.isa.codec import UNRESOLVED
from purebpf.isa.instruction import WIDE_LOAD, Instruction, SourceLine
from purebpf.isa.opcodes import CALL_LOCAL, CALL_OPCODE, PSEUDO_FUNC
from purebpf.spec import FunctionSpec, ProgramSpec
from purebpf.undefined import HOW

Form = tuple[object, ...]


@data(frozen=False, eq=False)
class Function:
    """`slot` of relocations and keys of `callees` count from its first instruction; `type` is a number of the program's types.
    `source` is a line to begin with where its first instruction has none."""

    name: str
    instructions: tuple[Instruction, ...]
    callees: dict[int, Function]
    relocations: tuple[CoreRelocation, ...]
    program: ProgramSpec
    type: int
    context: str
    source: SourceLine | None
    symbol: str = ""  # its name in the object


def functions_of(spec: ProgramSpec) -> list[Function]:
    """The program, then its subprograms. Raises Error for calls that lead nowhere."""
    told = {function.slot: function for function in spec.functions}
    calls = {slot: (target, name) for slot, target, name in _calls(spec)}
    for target, name in calls.values():
        told.setdefault(target, FunctionSpec(name or f"{spec.name}_{target}", target))
    told.setdefault(0, FunctionSpec(spec.name, 0))
    starts = sorted(told)
    known = next((i.source for i in spec.instructions if i.source is not None), None)
    made = {}
    by_slot = _by_slot(spec)
    for start, end in zip(starts, [*starts[1:], spec.slots], strict=True):
        inside = tuple(i for slot, i in by_slot if start <= slot < end)
        if sum(i.slots for i in inside) != end - start:
            raise Error(f"The program {spec.name!r} has a function at slot {end}, in the middle of an instruction.")
        relocations = tuple(replace(r, slot=r.slot - start) for r in spec.relocations if start <= r.slot < end)
        about = told[start]
        made[start] = Function(about.name, inside, {}, relocations, spec, about.type, about.context, known)
    for slot, (target, _) in calls.items():
        caller = max(start for start in starts if start <= slot)
        made[caller].callees[slot - caller] = made[target]
        if not target:
            raise Error(
                f"The program {spec.name!r} calls itself, at slot {slot}: an object file has no programs that are called."
            )
    return [made[start] for start in starts]


def _by_slot(spec: ProgramSpec) -> list[tuple[int, Instruction]]:
    found, slot = [], 0
    for instruction in spec.instructions:
        found.append((slot, instruction))
        slot += instruction.slots
    return found


def _calls(spec: ProgramSpec) -> list[tuple[int, int, str]]:
    """(slot, slot of the function that it calls or whose address it takes, its name if there is one)."""
    found = []
    for slot, i in _by_slot(spec):
        if (i.opcode, i.src) == (CALL_OPCODE, CALL_LOCAL) or (i.opcode, i.src) == (WIDE_LOAD, PSEUDO_FUNC):
            if i.symbol is not None and i.imm & 0xFFFF_FFFF == UNRESOLVED:
                raise Error(f"The program {spec.name!r} calls the function {i.symbol!r}, which is not defined here: {HOW}.")
            target = slot + 1 + ((i.imm & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000)
            if not 0 <= target < spec.slots:
                raise Error(f"The program {spec.name!r} calls slot {target}, at slot {slot}; it has {spec.slots} slots.")
            found.append((slot, target, i.symbol or ""))
    return found


class Library:
    """The subprograms of all programs, those that are alike once."""

    def __init__(self) -> None:
        self.functions: list[Function] = []
        self._known: dict[Form, Function] = {}

    def take(self, functions: Sequence[Function]) -> Function:
        """The program of these functions; its calls go to the subprograms that are kept."""
        main, *subprograms = functions
        kept = {each: self._known.setdefault(_form_of_all(each), each) for each in subprograms}
        new = [each for each in subprograms if kept[each] is each]
        for caller in (main, *new):
            caller.callees = {slot: kept[callee] for slot, callee in caller.callees.items()}
        self.functions += new
        return main


def _form_of_all(function: Function) -> Form:
    """All that a function does: it, and what it calls."""
    order = [function]
    for each in order:
        order += [callee for callee in dict.fromkeys(each.callees.values()) if callee not in order]
    places = {each: place for place, each in enumerate(order)}
    return tuple(_form(each, places) for each in order)


def _form(function: Function, places: dict[Function, int]) -> Form:
    code, slot = [], 0
    for instruction in function.instructions:
        called = function.callees.get(slot)
        plain = instruction if called is None else replace(instruction, imm=places[called], symbol=None)
        code.append((plain, instruction.source))
        slot += instruction.slots
    types = function.program.types if function.relocations or function.type else ()
    return function.name, tuple(code), function.relocations, function.type, function.context, types, function.program.externs
