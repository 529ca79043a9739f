"""Instructions to text, in the syntax of the kernel verifier's log (`print_bpf_insn` in `kernel/bpf/disasm.c`).

Where that syntax does not tell what an instruction was, ours says more, so that the assembler gives back the same instruction:
a wide constant ends in `ll` (as LLVM writes it), references are written in brackets (see `references.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from purebpf.isa.forms import form_of
from purebpf.isa.helpers import names_by_id
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.isa.references import REFERENCES, high

UNKNOWN_HELPER = "unknown"  # what the kernel's log calls a helper number that it does not know

FIELDS: dict[str, Callable[[Instruction], str]] = {
    "dst": lambda i: str(i.dst),
    "src": lambda i: str(i.src),
    "offset": lambda i: f"{i.offset:+d}",
    "imm": lambda i: str(i.imm),
    "imm32": lambda i: str(i.imm),
    "hex": lambda i: f"{i.imm & 0xFFFF_FFFF:#x}",
    "target": lambda i: f"{i.imm:+d}",
    "wide": lambda i: f"{i.imm:#x}",
    "map_offset": lambda i: f"+{high(i)}",
    "to_space": lambda i: str(i.imm >> 16 & 0xFFFF),
    "from_space": lambda i: str(i.imm & 0xFFFF),
    "zero": lambda i: "0",
    "label": lambda i: str(i.symbol),
    "helper": lambda i: f"{names_by_id().get(i.imm, UNKNOWN_HELPER)}#{i.imm}",
    **REFERENCES,
}


@cache
def segments(template: str) -> tuple[str, ...]:
    """A form's text cut at its fields: literal, field, literal, field, ..., literal."""
    parts: list[str] = []
    for index, piece in enumerate(template.split("{")):
        if index == 0:
            parts.append(piece)
        else:
            parts.extend(piece.split("}"))
    return tuple(parts)


def format_instruction(instruction: Instruction) -> str:
    """One instruction as text. Raises AssemblerError when it is no valid one."""
    form = form_of(instruction)
    parts = segments(form.text if instruction.symbol is None else form.symbolic)
    return "".join(FIELDS[part](instruction) if index % 2 else part for index, part in enumerate(parts))


def disassemble(instructions: Iterable[Instruction], labels: Mapping[int, str] | None = None) -> str:
    """A listing as in the verifier's log: `  12: (b7) r0 = 0`, slot and opcode first.

    A label line precedes each slot that is in `labels` (slot to name, such as a program's functions), and a comment with
    the source line precedes the first instruction of each. `parse()` takes the whole text back.
    """
    return "".join(f"{line}\n" for line in listing(instructions, labels or {}))


def listing(instructions: Iterable[Instruction], labels: Mapping[int, str]) -> Iterator[str]:
    slot = 0
    source: SourceLine | None = None
    for instruction in instructions:
        if slot in labels:
            yield f"{labels[slot]}:"
        if instruction.source is not None and instruction.source != source:
            yield f"; {instruction.source.text.strip()} @ {instruction.source.file}:{instruction.source.line}"
        source = instruction.source
        yield f"{slot:4}: ({instruction.opcode:02x}) {format_instruction(instruction)}"
        slot += instruction.slots
