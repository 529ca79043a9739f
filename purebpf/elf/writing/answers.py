"""Questions whether the kernel has a function, as other loaders answer them.

purebpf's loader answers with 1 or 0. Others load the address of a weak symbol, which is 0 where there is no such function: two
instructions behind the load make 1 of any other address.
"""

from __future__ import annotations

from purebpf.data import replace
from purebpf.errors import Error
from purebpf.isa.instruction import WIDE_LOAD, Instruction, asks
from purebpf.isa.opcodes import ALU64, CALL, CALL_LOCAL, CALL_OPCODE, CLASS_MASK, EXIT, JA, JEQ, JMP, JMP32, MOV, PSEUDO_FUNC, K
from purebpf.spec import ProgramSpec

MORE = 2  # slots behind a question


def with_answers(spec: ProgramSpec) -> ProgramSpec:
    """The program with these instructions, if it has questions."""
    if not any(asks(instruction) for instruction in spec.instructions):
        return spec
    try:
        return _with_answers(spec)
    except KeyError as error:
        raise Error(f"The program {spec.name!r} refers to its slot {error.args[0]}, where no instruction begins.") from None


def _with_answers(spec: ProgramSpec) -> ProgramSpec:
    moved, old, new = {}, 0, 0
    for instruction in spec.instructions:
        moved[old] = new
        old += instruction.slots
        new += instruction.slots + MORE * bool(asks(instruction))
    moved[old] = new
    code, slot = [], 0
    for instruction in spec.instructions:
        code.append(_moved(instruction, slot, moved))
        if asks(instruction):
            code.append(Instruction(JMP | JEQ | K, instruction.dst, 0, 1, 0, source=instruction.source))
            code.append(Instruction(ALU64 | MOV | K, instruction.dst, 0, 0, 1, source=instruction.source))
        slot += instruction.slots
    return replace(
        spec,
        instructions=tuple(code),
        functions=tuple(replace(function, slot=moved[function.slot]) for function in spec.functions),
        relocations=tuple(replace(relocation, slot=moved[relocation.slot]) for relocation in spec.relocations),
    )


def _moved(instruction: Instruction, slot: int, moved: dict[int, int]) -> Instruction:
    """The instruction that was at a slot, with the distance to where it leads now."""
    after = slot + 1

    def distance(old: int) -> int:
        return moved[after + old] - (moved[slot] + 1)

    if instruction.opcode == WIDE_LOAD and instruction.src == PSEUDO_FUNC:
        return replace(instruction, imm=distance(_signed(instruction.imm)) & 0xFFFF_FFFF)
    if instruction.opcode == CALL_OPCODE:
        return replace(instruction, imm=distance(instruction.imm)) if instruction.src == CALL_LOCAL else instruction
    group, operation = instruction.opcode & CLASS_MASK, instruction.opcode & 0xF0
    if group not in (JMP, JMP32) or operation in (CALL, EXIT):
        return instruction
    if group == JMP32 and operation == JA:
        return replace(instruction, imm=distance(instruction.imm))
    return replace(instruction, offset=distance(instruction.offset))


def _signed(value: int) -> int:
    return (value & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
