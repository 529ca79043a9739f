"""Objects that programs make (`bpf.new`): the number of their type among those of a map, told so that it may become another.

The compiler writes the number into the instruction that gives it to the kernel; in an object file the types have others, and a
CO-RE relocation (TYPE_ID_LOCAL) says so, as compilers of C do it.
"""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.btf.graph import renumbered
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import ALU, ALU64, CALL_KFUNC, CALL_OPCODE, CLASS_MASK, EXIT_OPCODE, JMP, JMP32, LDX, MOV, K
from purebpf.spec import MapSpec, ProgramSpec

MAKERS = ("bpf_obj_new_impl", "bpf_percpu_obj_new_impl", "bpf_obj_new", "bpf_percpu_obj_new")
NUMBER = 1  # the register of the first argument
CONSTANTS = (ALU64 | MOV | K, ALU | MOV | K)


def with_own_types(spec: ProgramSpec, maps: Mapping[str, MapSpec]) -> ProgramSpec:
    """The program with the types of that map among its own, and a relocation for each number of one. Raises Error where a
    number does not come from a constant before the call."""
    if not spec.types_of:
        return spec
    map = maps.get(spec.types_of)
    if map is None or map.types is None:
        raise Error(
            f"The program {spec.name!r} makes objects of types of {spec.types_of!r}, which the collection does not have."
        )
    first = len(spec.types)
    types = tuple(renumbered(type, lambda old: old + first if old else 0) for _, type in Btf(map.types.btf))
    asked = []
    for slot, number in _numbers(spec):
        if not 0 < number <= len(types):
            raise Error(f"The program {spec.name!r} makes an object of the type {number}; {spec.types_of!r} has {len(types)}.")
        asked.append(CoreRelocation(slot, CoreKind.TYPE_ID_LOCAL, number + first, "0"))
    return replace(spec, types=spec.types + types, relocations=spec.relocations + tuple(asked), types_of="")


def _numbers(spec: ProgramSpec) -> list[tuple[int, int]]:
    """(slot, number) of the constants that calls get which make objects."""
    found: dict[int, int] = {}
    before: list[tuple[int, Instruction]] = []
    slot, starts = 0, _targets(spec)
    for instruction in spec.instructions:
        if slot in starts:
            before.clear()
        if (instruction.opcode, instruction.src) == (CALL_OPCODE, CALL_KFUNC) and instruction.symbol in MAKERS:
            place = next((each for each in reversed(before) if _writes(each[1])), None)
            if place is None or not (place[1].opcode in CONSTANTS or (place[1].opcode == WIDE_LOAD and not place[1].src)):
                raise Error(
                    f"The program {spec.name!r} makes an object (slot {slot}), and the number of its type comes from elsewhere "
                    "than a constant right before: an object file cannot tell it."
                )
            found[place[0]] = place[1].imm
        if instruction.opcode & CLASS_MASK in (JMP, JMP32):
            before.clear()
        before.append((slot, instruction))
        slot += instruction.slots
    return sorted(found.items())


def _writes(instruction: Instruction) -> bool:
    """Whether it sets the register of the number."""
    group = instruction.opcode & CLASS_MASK
    return instruction.dst == NUMBER and (group in (ALU, ALU64, LDX) or instruction.opcode == WIDE_LOAD)


def _targets(spec: ProgramSpec) -> set[int]:
    """The slots that jumps lead to, and where functions begin."""
    found, slot = {function.slot for function in spec.functions}, 0
    for instruction in spec.instructions:
        slot += instruction.slots
        if instruction.opcode & CLASS_MASK in (JMP, JMP32) and instruction.opcode not in (CALL_OPCODE, EXIT_OPCODE):
            long = instruction.opcode & CLASS_MASK == JMP32 and not instruction.opcode & 0xF0
            found.add(slot + (instruction.imm if long else instruction.offset))
    return found
