"""Labels to distances: the last step of the assembler, shared by the constructors and the text form.

A jump to a label carries the label's name in `symbol` until here. Distances count slots from the next instruction
(RFC 9669 section 4.3).
"""

from __future__ import annotations

from collections.abc import Iterable

from purebpf.data import data, replace
from purebpf.errors import AssemblerError
from purebpf.isa.codec import is_unresolved
from purebpf.isa.forms import check_label, form_of
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import CALL_LOCAL, CALL_OPCODE, GOTO_OPCODE, GOTOL_OPCODE, PSEUDO_FUNC


@data
class Label:
    """A place in the program: the next instruction. Also the name of a function that begins there."""

    name: str

    def __post_init__(self) -> None:
        check_label(self.name)


Item = Instruction | Label


def assemble(items: Iterable[Item]) -> tuple[Instruction, ...]:
    """The program, with every label replaced by its distance.

    A `Jump` that is out of reach (more than 32,767 slots) becomes the 32-bit `gotol` (cpu v4, Linux 6.6). Raises
    AssemblerError for a label that is unknown or set twice, and for a conditional jump that is out of reach.
    """
    program = list(items)
    labels = label_slots(program)
    resolved: list[Instruction] = []
    slot = 0
    for item in program:
        if isinstance(item, Label):
            continue
        try:
            resolved.append(resolve(item, slot, labels))
        except AssemblerError as error:
            raise AssemblerError(f"slot {slot}{place(item)}: {error}") from None
        slot += item.slots
    return tuple(resolved)


def place(instruction: Instruction) -> str:
    source = instruction.source
    return f" ({source.file}:{source.line})" if source is not None else ""


def label_slots(items: Iterable[Item]) -> dict[str, int]:
    """The slot of every label. Raises AssemblerError for a label that is set twice."""
    slots: dict[str, int] = {}
    slot = 0
    for item in items:
        if isinstance(item, Instruction):
            slot += item.slots
        elif isinstance(item, Label):
            if item.name in slots:
                raise AssemblerError(
                    f"the label {item.name!r} is at slot {slots[item.name]} and again at slot {slot}; rename one"
                )
            slots[item.name] = slot
        else:
            raise AssemblerError(f"{item!r} is neither an Instruction nor a Label")
    return slots


def resolve(instruction: Instruction, slot: int, labels: dict[str, int]) -> Instruction:
    """`instruction`, which stands at `slot`, with the label or function it names replaced by the distance."""
    form = form_of(instruction)
    name = instruction.symbol
    if name is None:
        return instruction
    if "{label}" in form.symbolic:
        return resolve_jump(instruction, distance_to(name, slot, labels))
    if refers_to_function(instruction) and is_unresolved(instruction):
        # For a wide load too, the distance counts from slot + 1, its own second slot (add_subprog in verifier.c).
        distance = distance_to(name, slot, labels)
        return replace(instruction, imm=distance & 0xFFFF_FFFF if instruction.opcode == WIDE_LOAD else distance)
    return instruction


def refers_to_function(instruction: Instruction) -> bool:
    """True for a call of a function of this program, and for the load of its address."""
    local = CALL_LOCAL if instruction.opcode == CALL_OPCODE else PSEUDO_FUNC
    return instruction.opcode in (CALL_OPCODE, WIDE_LOAD) and instruction.src == local


def distance_to(name: str, slot: int, labels: dict[str, int]) -> int:
    if name not in labels:
        raise AssemblerError(f"there is no label {name!r}; labels are {', '.join(sorted(labels)) or '(none)'}")
    return labels[name] - slot - 1


def resolve_jump(instruction: Instruction, distance: int) -> Instruction:
    if instruction.opcode == GOTOL_OPCODE:
        return replace(instruction, imm=distance, symbol=None)
    if -0x8000 <= distance <= 0x7FFF:
        return replace(instruction, offset=distance, symbol=None)
    if instruction.opcode == GOTO_OPCODE:
        return replace(instruction, opcode=GOTOL_OPCODE, imm=distance, symbol=None)
    raise AssemblerError(
        f"the conditional jump to {instruction.symbol!r} goes {distance} slots; it reaches -32768 to 32767. "
        "Jump to a Jump, which reaches 32 bits, or around one"
    )
