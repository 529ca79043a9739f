"""A program's instructions as the kernel takes them: CO-RE's questions answered, maps as descriptors, functions as numbers.

What is known by name until then is looked up in the running kernel; nothing is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable

from purebpf.data import replace
from purebpf.isa.instruction import WIDE_LOAD, Instruction, asks
from purebpf.isa.opcodes import CALL_KFUNC, CALL_OPCODE, PSEUDO_BTF_ID
from purebpf.kernel.errors import kernel_version
from purebpf.spec import MAP_SOURCES, ProgramSpec
from purebpf.undefined import check_defined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.core import Resolver
    from purebpf.kernel.kfuncs import Kfuncs
    from purebpf.kernel.ksyms import Ksyms

BY_INDEX = {5: 1, 6: 2}  # BPF_PSEUDO_MAP_IDX and _IDX_VALUE refer to fd_array; here a descriptor takes the index's place
TWO_MEMORIES = (5, 5)
OLDER_READS = {112: 4, 113: 4, 114: 45, 115: 45}  # probe_read_user, _kernel, both _str: probe_read, probe_read_str
HIGH_HALF = 0xFFFF_FFFF_0000_0000


class Names:
    """What a program names of the kernel: functions that it calls, symbols that it refers to. A context manager: descriptors
    that belong to the answers are open within."""

    def __init__(self, spec: ProgramSpec) -> None:
        self.calls: Kfuncs | None = None
        self.symbols: Ksyms | None = None
        naming = [instruction for instruction in spec.instructions if instruction.symbol is not None]
        if any(_names_kfunc(instruction) for instruction in naming):
            from purebpf.kernel.kfuncs import Kfuncs

            self.calls = Kfuncs(spec)
        if any(_names_ksym(instruction) for instruction in naming):
            from purebpf.kernel.ksyms import Ksyms

            self.symbols = Ksyms(spec)

    def __enter__(self) -> Names:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.calls, self.symbols):
            if each is not None:
                each.close()


def linked(
    spec: ProgramSpec, descriptor: Callable[[str], int], named: Names, resolver: Resolver | None = None
) -> tuple[Instruction, ...]:
    """The instructions for this kernel. `descriptor` gives a map's number by its name; `resolver` answers the questions of
    several programs with the same types.

    Raises Error for a relocation that makes no sense and for what another object file has, Unsupported for a symbol of the
    kernel that is not there.
    """
    check_defined(spec)
    instructions = spec.instructions
    if spec.relocations:
        from purebpf.kernel.relocations import for_this_kernel

        instructions = for_this_kernel(spec, resolver)
    if kernel_version() < TWO_MEMORIES:
        instructions = tuple(map(_of_one_memory, instructions))
    return tuple([i if i.symbol is None else _resolved(i, descriptor, named) for i in instructions])


def _of_one_memory(instruction: Instruction) -> Instruction:
    """A call for an older kernel, whose helpers read memory of the kernel and of processes alike."""
    if (instruction.opcode, instruction.src) != (CALL_OPCODE, 0) or instruction.imm not in OLDER_READS:
        return instruction
    return replace(instruction, imm=OLDER_READS[instruction.imm])


def without_descriptors(spec: ProgramSpec, resolver: Resolver | None = None) -> tuple[Instruction, ...]:
    """The instructions for this kernel with 0 in place of each descriptor: for looking at them, and for comparing."""
    with Names(spec) as named:
        return tuple(_without_module(instruction) for instruction in linked(spec, lambda name: 0, named, resolver))


def _without_module(instruction: Instruction) -> Instruction:
    """The load of a module's symbol without the descriptor of the module's types."""
    if (instruction.opcode, instruction.src) != (WIDE_LOAD, PSEUDO_BTF_ID):
        return instruction
    return replace(instruction, imm=instruction.imm & ~HIGH_HALF)


def _names_kfunc(instruction: Instruction) -> bool:
    if instruction.symbol is None:
        return False
    return (instruction.opcode, instruction.src) == (CALL_OPCODE, CALL_KFUNC) or bool(asks(instruction))


def _names_ksym(instruction: Instruction) -> bool:
    if instruction.symbol is None or instruction.opcode != WIDE_LOAD or instruction.src != PSEUDO_BTF_ID:
        return False
    return not asks(instruction)


def _resolved(instruction: Instruction, descriptor: Callable[[str], int], named: Names) -> Instruction:
    """The instruction with the map's descriptor, or the number of what is the kernel's, in place of its name."""
    name = instruction.symbol
    if named.calls is not None and _names_kfunc(instruction):
        return named.calls.resolved(instruction)
    if named.symbols is not None and _names_ksym(instruction):
        return named.symbols.resolved(instruction)
    if name is None or instruction.slots == 1 or instruction.src not in MAP_SOURCES:
        return instruction
    source = BY_INDEX.get(instruction.src, instruction.src)
    return replace(instruction, src=source, imm=instruction.imm & HIGH_HALF | descriptor(name), symbol=None)
