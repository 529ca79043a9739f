"""CO-RE relocations of a program: its instructions with the answers of the kernel that it will run on.

What answers mean is told in `btf/core.py`. An instruction whose answer is missing becomes the call of a helper that no kernel
has: the verifier drops it where it is never reached, and refuses the program where it is. libbpf does the same, with the same
number, which tools know.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from purebpf.btf.builder import encoded
from purebpf.btf.core import Answer, Resolver, described
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.data import replace
from purebpf.errors import Error, Unsupported
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import (
    ALU,
    ALU64,
    CALL_OPCODE,
    CLASS_MASK,
    LDX,
    MODE_ATOMIC,
    SIZE_BYTES,
    ST,
    STX,
    X,
)
from purebpf.spec import ProgramSpec

POISON = 0xBAD2310  # "bad relo"
SIZE_MASK, MODE_MASK = 0x18, 0xE0
SIZES = {count: bits for bits, count in SIZE_BYTES.items()}
FARTHEST = (1 << 15) - 1
Code = dict[int, Instruction]  # by slot


def relocated(spec: ProgramSpec, targets: Iterable[Btf] | Resolver) -> tuple[Instruction, ...]:
    """The program's instructions for a kernel. `targets` are the kernel's BTF, then its modules', as `btf.core.resolve` takes
    them, or a resolver for the program's types that several programs share. Raises Error for a relocation that makes no sense,
    is ambiguous, or does not fit its instruction."""
    return _patched(spec, targets)[0]


def unresolved(spec: ProgramSpec, targets: Iterable[Btf] | Resolver) -> dict[int, str]:
    """Why instructions have no answer in a kernel, by slot: words such as "`task_struct` has no field `state` there"."""
    return _patched(spec, targets)[1]


def local_types(spec: ProgramSpec) -> Btf:
    """The program's own types as BTF."""
    return Btf(encoded(spec.types, sys.byteorder), origin=f"the types of the program {spec.name!r}")


def _patched(spec: ProgramSpec, targets: Iterable[Btf] | Resolver) -> tuple[tuple[Instruction, ...], dict[int, str]]:
    resolver = targets if isinstance(targets, Resolver) else Resolver(local_types(spec), targets)
    local = resolver.local
    code, slot, why = {}, 0, {}
    for instruction in spec.instructions:
        code[slot] = instruction
        slot += instruction.slots
    for relocation in spec.relocations:
        try:
            if missing := _apply(code, relocation, resolver.answer(relocation)):
                why[relocation.slot] = missing
        except Unsupported:
            raise
        except Error as error:
            raise Error(f"{_where(spec, local, relocation, code)}: {error}") from error
    return tuple(code[slot] for slot in sorted(code)), why


def _apply(code: Code, relocation: CoreRelocation, answer: Answer) -> str:
    """Patch the instruction of a relocation; words why it is poisoned, if it is."""
    instruction = code.get(relocation.slot)
    if instruction is None:
        raise Error(f"there is no instruction at slot {relocation.slot}")
    missing = answer.missing
    if not missing and instruction.opcode & CLASS_MASK in (LDX, ST, STX):
        missing = _other_size(answer)
    if missing:
        poison = Instruction(CALL_OPCODE, imm=POISON, source=instruction.source)
        code.update((relocation.slot + at, poison) for at in range(instruction.slots))
    else:
        code[relocation.slot] = patched(instruction, relocation.kind, answer)
    return missing


def _other_size(answer: Answer) -> str:
    if answer.resizable or answer.size == answer.local_size:
        return ""
    if not answer.size or not answer.local_size:
        return f"the field is {'no' if answer.size else 'a'} bit field there"
    return (
        f"the field has {answer.size} bytes there, not {answer.local_size}; only pointers and unsigned integers are loaded "
        "with another size"
    )


def patched(instruction: Instruction, kind: CoreKind, answer: Answer) -> Instruction:
    """The instruction with an answer in place of the one it holds. Raises Error when that is not the one of the program's own
    types, or when it has no room for the new one."""
    group = instruction.opcode & CLASS_MASK
    if instruction.opcode == WIDE_LOAD and not instruction.src and not instruction.symbol:
        _expect(instruction.imm, answer, 64)
        return replace(instruction, imm=answer.value & (1 << 64) - 1)
    if group in (ALU, ALU64) and not instruction.opcode & X:
        return replace(instruction, imm=_immediate(instruction, answer, 32 if group == ALU else 64))
    if group in (LDX, ST, STX):
        return _memory(instruction, kind, answer)
    raise Error("it is for an instruction that takes no answer: constants, loads and stores do")


def _expect(present: int, answer: Answer, bits: int) -> None:
    """What an instruction holds must be the local answer."""
    if answer.exact and (present - answer.local) % (1 << bits):
        raise Error(f"the instruction holds {present}, but the program's own types say {answer.local}")


def _immediate(instruction: Instruction, answer: Answer, bits: int) -> int:
    """The constant of an arithmetic instruction: 32 bits, extended by their sign for 64-bit arithmetic."""
    _expect(instruction.imm, answer, bits)
    value = (answer.value + (1 << 31)) % (1 << 32) - (1 << 31)
    if (value - answer.value) % (1 << bits):
        raise Error(f"the answer {answer.value} does not fit into the instruction's 32 bits; a wide load has room for it")
    return value


def _memory(instruction: Instruction, kind: CoreKind, answer: Answer) -> Instruction:
    """A load or store: its offset, and its size where the field has another one."""
    if kind is not CoreKind.FIELD_BYTE_OFFSET:
        raise Error(f"it is for a load or store, which takes a field's offset, not its {kind.name.lower()}")
    _expect(instruction.offset, answer, 64)
    if answer.value > FARTHEST:
        raise Error(f"the field is at byte {answer.value}; loads and stores reach {FARTHEST}")
    if answer.size == answer.local_size:
        return replace(instruction, offset=answer.value)
    present = SIZE_BYTES[instruction.opcode & SIZE_MASK]
    if present != answer.local_size:
        raise Error(f"the instruction takes {present} bytes, but the field has {answer.local_size}")
    atomic = instruction.opcode & MODE_MASK == MODE_ATOMIC
    if answer.size not in SIZES or (atomic and answer.size < 4):
        raise Error(f"the field has {answer.size} bytes there, which no {'atomic ' if atomic else ''}instruction takes")
    return replace(instruction, opcode=instruction.opcode & ~SIZE_MASK | SIZES[answer.size], offset=answer.value)


def _where(spec: ProgramSpec, local: Btf, relocation: CoreRelocation, code: Code) -> str:
    """The relocation in words, for the beginning of an error."""
    instruction = code.get(relocation.slot)
    source = instruction.source if instruction else None
    line = f" ({source.file}:{source.line})" if source and source.line else ""
    try:
        about = f" about `{described(local, relocation)}`"
    except Error:
        about = ""
    return (
        f"The program {spec.name!r}{line}: its CO-RE relocation {relocation.kind.name.lower()}{about} at slot {relocation.slot}"
    )
