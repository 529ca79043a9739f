"""A program of `programs.py`, loaded into the running kernel: its log."""

from __future__ import annotations

from contextlib import ExitStack

from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind
from purebpf.data import replace
from purebpf.errors import VerifierError
from purebpf.isa.assembler import parse
from purebpf.isa.instruction import Instruction
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import ProgramSpec
from tests.explain.programs import Rejected

KFUNC = 2  # BPF_PSEUDO_KFUNC_CALL


def spec_of(program: Rejected) -> ProgramSpec:
    code = tuple(map(_resolved, parse(program.text, f"{program.name}.s")))
    return ProgramSpec(program.name[:15], program.type, code, license=program.license, attach_type=program.attach_type)


def _resolved(instruction: Instruction) -> Instruction:
    """A call of a kernel function gets its number in this kernel."""
    if instruction.opcode != 0x85 or instruction.src != KFUNC or not instruction.symbol:
        return instruction
    return replace(instruction, imm=kernel_btf().find(instruction.symbol, Kind.FUNC))


def log_of(program: Rejected, kernel: KernelEngine) -> str:
    """The verifier's log; "" when the program is accepted."""
    with ExitStack() as stack:
        maps = {name: stack.enter_context(kernel.create_map(spec)) for name, spec in program.maps.items()}
        try:
            stack.enter_context(kernel.load_program(spec_of(program), maps))
        except VerifierError as error:
            return error.log
    return ""
