"""What is checked when a program is loaded: that every instruction is one, and that control stays inside the program.

Much less than the kernel's verifier checks: whatever depends on values is checked while the program runs.
"""

from __future__ import annotations

from purebpf.errors import AssemblerError, VmError
from purebpf.isa import opcodes as op
from purebpf.isa.codec import is_unresolved
from purebpf.isa.disassembler import format_instruction
from purebpf.isa.forms import form_of
from purebpf.isa.instruction import WIDE_LOAD, Instruction, asks
from purebpf.vm.flow import ENDS, called, target, writes

FRAME_POINTER = 1 << op.LAST_REGISTER
MOST_SLOTS = 1_000_000  # BPF_COMPLEXITY_LIMIT_INSNS, include/linux/bpf.h


def place(name: str, slot: int, instruction: Instruction) -> str:
    """An instruction as messages name it."""
    try:
        text = format_instruction(instruction)
    except AssemblerError:
        text = f"opcode {instruction.opcode:#04x}"
    where = instruction.source
    line = f" ({where.file}:{where.line}: {where.text.strip()})" if where is not None else ""
    return f"instruction {slot} of program {name!r}, `{text}`{line}"


def check(name: str, code: list[Instruction | None]) -> None:
    """Raise VmError for a program that cannot be run."""
    if not code:
        raise VmError(f"Program {name!r} has no instructions; the least is `r0 = 0; exit`.")
    if len(code) > MOST_SLOTS:
        raise VmError(f"Program {name!r} has {len(code)} instruction slots; no engine takes more than {MOST_SLOTS}.")
    last: Instruction | None = None
    for slot, instruction in enumerate(code):
        if instruction is None:
            continue
        last = instruction
        problem = find_problem(code, slot, instruction)
        if problem:
            raise VmError(f"I{place(name, slot, instruction)[1:]} {problem}.")
    if last is not None and last.opcode not in ENDS:
        raise VmError(f"Program {name!r} can run past its end: the last instruction must be an exit or a jump.")


def find_problem(code: list[Instruction | None], slot: int, instruction: Instruction) -> str | None:
    """What is wrong with one instruction, as the end of a sentence."""
    try:
        form = form_of(instruction)
    except AssemblerError as error:
        return f"is not valid: {error}"
    if instruction.symbol is not None and ("{label}" in form.symbolic or is_unresolved(instruction)):
        return (
            f"goes to {instruction.symbol!r}, and where that is nobody has said: instructions made by hand go through "
            "purebpf.isa.assemble() first, which finds labels"
        )
    if writes(instruction) & FRAME_POINTER:
        return "writes r10; the frame pointer is read-only"
    destination = target(instruction, slot)
    if destination is None:
        destination = called(instruction, slot)
    if destination is not None:
        if not 0 <= destination < len(code):
            return f"goes to {destination}, outside of the program's {len(code)} slots"
        if code[destination] is None:
            return f"goes to {destination}, the second half of a wide load"
    if instruction.opcode == op.GOTOX_OPCODE:
        return "jumps by an instruction array map, which the virtual machine does not have"
    if instruction.opcode == WIDE_LOAD and instruction.src == op.PSEUDO_BTF_ID and not asks(instruction):
        return (
            f"refers to the kernel's {instruction.symbol or 'variables'}, which the virtual machine does not have: run it in "
            'the kernel (engine="kernel")'
        )
    return None
