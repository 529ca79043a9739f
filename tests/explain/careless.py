"""An engine that takes guards out of compiled programs, since the compiler itself makes none that is rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from purebpf.data import replace
from purebpf.engine import EngineMap
from purebpf.isa.asm import Jump
from purebpf.isa.instruction import Instruction
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.program import KernelProgram
from purebpf.spec import ProgramSpec


class Careless(KernelEngine):
    """Every instruction that `unwanted` picks becomes a jump to the next one."""

    def __init__(self, unwanted: Callable[[Instruction], bool]) -> None:
        self.unwanted = unwanted

    def load_program(self, spec: ProgramSpec, maps: Mapping[str, EngineMap], log_level: int = 0) -> KernelProgram:
        code = tuple(replace(Jump(0), source=i.source) if self.unwanted(i) else i for i in spec.instructions)
        return super().load_program(replace(spec, instructions=code), maps, log_level)
