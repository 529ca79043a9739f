"""A program's instructions as the kernel takes them: CO-RE's questions answered, maps as descriptors, functions as numbers.

What is known by name until then is looked up in the running kernel; nothing is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable

from purebpf.data import replace
from purebpf.isa.instruction import Instruction, asks
from purebpf.isa.opcodes import CALL_KFUNC, CALL_OPCODE
from purebpf.spec import MAP_SOURCES, ProgramSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.kernel.kfuncs import Kfuncs

BY_INDEX = {5: 1, 6: 2}  # BPF_PSEUDO_MAP_IDX and _IDX_VALUE refer to fd_array; here a descriptor takes the index's place
HIGH_HALF = 0xFFFF_FFFF_0000_0000


def linked(spec: ProgramSpec, descriptor: Callable[[str], int], calls: Kfuncs | None) -> tuple[Instruction, ...]:
    """The instructions for this kernel. `descriptor` gives a map's number by its name, `calls` is that of `kfuncs(spec)`.

    Raises Error for a relocation that makes no sense, Unsupported for a kernel function that is not there.
    """
    instructions = spec.instructions
    if spec.relocations:
        from purebpf.kernel.relocations import for_this_kernel

        instructions = for_this_kernel(spec)
    return tuple(_resolved(instruction, descriptor, calls) for instruction in instructions)


def without_descriptors(spec: ProgramSpec) -> tuple[Instruction, ...]:
    """The instructions for this kernel with 0 in place of each descriptor: for looking at them, and for comparing."""
    calls = kfuncs(spec)
    try:
        return linked(spec, lambda name: 0, calls)
    finally:
        if calls is not None:
            calls.close()


def kfuncs(spec: ProgramSpec) -> Kfuncs | None:
    """The kernel functions that it names; None for a program without."""
    if not any(_names_kfunc(instruction) for instruction in spec.instructions):
        return None
    from purebpf.kernel.kfuncs import Kfuncs

    return Kfuncs(spec)


def _names_kfunc(instruction: Instruction) -> bool:
    if instruction.symbol is None:
        return False
    return (instruction.opcode, instruction.src) == (CALL_OPCODE, CALL_KFUNC) or bool(asks(instruction))


def _resolved(instruction: Instruction, descriptor: Callable[[str], int], calls: Kfuncs | None) -> Instruction:
    """The instruction with the map's descriptor, or the kernel function's number, in place of its name."""
    name = instruction.symbol
    if calls is not None and _names_kfunc(instruction):
        return calls.resolved(instruction)
    if name is None or instruction.slots == 1 or instruction.src not in MAP_SOURCES:
        return instruction
    source = BY_INDEX.get(instruction.src, instruction.src)
    return replace(instruction, src=source, imm=instruction.imm & HIGH_HALF | descriptor(name), symbol=None)
