"""Instructions to bytes and back, in both byte orders. Layout: RFC 9669 section 3.

Strict both ways: whatever is no valid instruction is an AssemblerError that names the slot. Names (maps, functions,
kfuncs) and source lines are not in the bytes. In big endian the two register nibbles of the second byte swap as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from purebpf.errors import AssemblerError
from purebpf.isa.forms import form_of
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import PSEUDO_FUNC

TYPE_CHECKING = False  # the checker takes it as true; importing it from typing would cost milliseconds
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    ByteOrder: TypeAlias = Literal["little", "big"]
    # What was found good: by opcode and registers what offset and imm must be, None where they are free.
    Checked: TypeAlias = dict[tuple[int, int], tuple[int | None, int | None]]

SLOT_BYTES = 8
UNRESOLVED = 0xFFFF_FFFF  # the distance of a call to a function that has a name but no place yet, as clang marks it

LAYOUTS = {"little": Struct("<BBhi"), "big": Struct(">BBhi")}  # opcode, registers, offset, imm


def layout(byteorder: ByteOrder) -> Struct:
    try:
        return LAYOUTS[byteorder]
    except KeyError:
        raise ValueError(f"byteorder is {byteorder!r}; it must be 'little' or 'big'") from None


def encode(instructions: Iterable[Instruction], byteorder: ByteOrder = "little") -> bytes:
    """The program's bytes, 8 a slot. Raises AssemblerError for an invalid instruction or an unresolved jump or local call."""
    pack = layout(byteorder).pack
    low, high = (0, 4) if byteorder == "little" else (4, 0)  # by how much dst and src shift
    parts: list[bytes] = []
    checked: Checked = {}
    for instruction in instructions:
        opcode, registers, offset, imm = (
            instruction.opcode,
            instruction.dst << low | instruction.src << high,
            instruction.offset,
            instruction.imm,
        )
        must = checked.get((opcode, registers)) if instruction.symbol is None else None
        if must is not None and must[0] in (None, offset) and must[1] in (None, imm) and fits(offset, imm):
            parts.append(pack(opcode, registers, offset, imm))
            continue
        try:
            form = form_of(instruction)
            if instruction.symbol is not None:
                check_resolved(instruction, "{label}" in form.symbolic)
            if opcode != WIDE_LOAD:
                checked[opcode, registers] = form.offset, form.imm
        except AssemblerError as error:
            raise AssemblerError(f"slot {len(parts)}: {error}") from None
        if opcode == WIDE_LOAD:
            parts.append(pack(WIDE_LOAD, registers, 0, signed32(instruction.imm)))
            parts.append(pack(0, 0, 0, signed32(instruction.imm >> 32)))
        else:
            parts.append(pack(opcode, registers, offset, imm))
    return b"".join(parts)


def fits(offset: int, imm: int) -> bool:
    """Whether an instruction has room for them."""
    return -0x8000 <= offset <= 0x7FFF and -0x8000_0000 <= imm <= 0x7FFF_FFFF


def check_resolved(instruction: Instruction, jump: bool) -> None:
    """Raise AssemblerError for a jump that still has a label, or a function that has no distance."""
    function = instruction.slots == 1 or instruction.src == PSEUDO_FUNC
    if jump:
        raise AssemblerError(f"the jump to {instruction.symbol!r} is not resolved; pass the program through assemble()")
    if function and is_unresolved(instruction):
        raise AssemblerError(f"the function {instruction.symbol!r} is not resolved; pass the program through assemble()")


def is_unresolved(instruction: Instruction) -> bool:
    """True for a reference to a function by name whose distance is not known."""
    return instruction.symbol is not None and instruction.imm & 0xFFFF_FFFF == UNRESOLVED


def decode(data: bytes | bytearray | memoryview, byteorder: ByteOrder = "little") -> tuple[Instruction, ...]:
    """The instructions in `data`. Raises AssemblerError for anything that is not a sequence of valid instructions."""
    reader = layout(byteorder)
    if len(data) % SLOT_BYTES:
        raise AssemblerError(f"the program is {len(data)} bytes long; instructions are {SLOT_BYTES} bytes each")
    slots = list(reader.iter_unpack(data))
    instructions: list[Instruction] = []
    checked: Checked = {}
    position = 0
    while position < len(slots):
        opcode, registers, offset, imm = slots[position]
        low, high = registers & 15, registers >> 4
        dst, src = (low, high) if byteorder == "little" else (high, low)
        must = checked.get((opcode, registers))
        if must is not None and must[0] in (None, offset) and must[1] in (None, imm):
            instructions.append(Instruction(opcode, dst, src, offset, imm))
            position += 1
            continue
        try:
            if opcode == WIDE_LOAD:
                imm = wide_constant(imm, slots[position + 1 : position + 2])
            instruction = Instruction(opcode, dst, src, offset, imm)
            form = form_of(instruction)
            if opcode != WIDE_LOAD:
                checked[opcode, registers] = form.offset, form.imm
        except AssemblerError as error:
            raise AssemblerError(f"slot {position}: {error}") from None
        instructions.append(instruction)
        position += instruction.slots
    return tuple(instructions)


def wide_constant(low: int, following: list[tuple[int, int, int, int]]) -> int:
    """The 64-bit constant of a wide load, from its own constant and the slot after it."""
    if not following:
        raise AssemblerError("the program ends in the middle of a wide load, which takes two slots")
    opcode, registers, offset, high = following[0]
    if opcode or registers or offset:
        raise AssemblerError("the second slot of a wide load must be empty but for its constant")
    return (high & 0xFFFF_FFFF) << 32 | low & 0xFFFF_FFFF


def signed32(value: int) -> int:
    """The low 32 bits of `value`, read as a signed number."""
    return (value & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
