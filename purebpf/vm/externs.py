"""What programs of object files want of the kernel by name: here are its functions, as far as the virtual machine has them, and
nothing else. What is weak may be missing: it is 0 then, as in a kernel without it."""

from __future__ import annotations

from purebpf.data import replace
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.isa.opcodes import PSEUDO_BTF_ID
from purebpf.spec import ExternKind, ExternSpec, ProgramSpec
from purebpf.undefined import check_defined
from purebpf.vm import kfuncs


def with_externs(spec: ProgramSpec) -> tuple[Instruction, ...]:
    """The instructions with addresses of functions as questions whether they are there, and 0 for what is weak and is not.
    Raises Error for what is another object file's."""
    check_defined(spec)
    if not spec.externs:
        return spec.instructions
    externs = {each.name: each for each in spec.externs}
    return tuple(
        _answered(i, externs[i.symbol]) if i.symbol in externs and (i.opcode, i.src) == (WIDE_LOAD, PSEUDO_BTF_ID) else i
        for i in spec.instructions
    )


def _answered(instruction: Instruction, extern: ExternSpec) -> Instruction:
    if extern.kind is ExternKind.FUNCTION and (extern.weak or extern.name in kfuncs.functions()):
        return replace(instruction, symbol=f"?{extern.name}")
    return replace(instruction, src=0, imm=0, symbol=None) if extern.weak else instruction
