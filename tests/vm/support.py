"""What the tests of the virtual machine share: engines by name, and running a few instructions with maps around them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from purebpf.engine import Engine, EngineMap, EngineProgram, RunResult
from purebpf.isa.asm import FP, R0, R1, R2, Add, Call, Exit, JNe, Label, LoadMapPtr, Mov, StoreImm, W, assemble
from purebpf.isa.helpers import helper_id
from purebpf.isa.instruction import Instruction
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine

Code = Sequence[Instruction | Label]

ENGINES = ("vm", pytest.param("kernel", marks=pytest.mark.kernel))
"""For `parametrize`: what must hold in the virtual machine must hold in the kernel."""

OUT = MapSpec("out", MapType.ARRAY, 4, 512, 1)
"""Where a program leaves more than its 32-bit result."""


def engine_called(name: str) -> Engine:
    return VmEngine() if name == "vm" else KernelEngine()


def u32(value: int) -> bytes:
    return (value & 0xFFFF_FFFF).to_bytes(4, sys.byteorder)


def u64(value: int) -> bytes:
    return (value & (1 << 64) - 1).to_bytes(8, sys.byteorder)


def number(data: bytes | None) -> int:
    assert data is not None
    return int.from_bytes(data, sys.byteorder)


def helper(name: str) -> Instruction:
    return Call.helper(helper_id(name))


def lookup(map: str, register: int, key: int = 0) -> Code:
    """The address of `map[key]` into a register; the program ends with 99 when there is none. Uses the stack's last 4 bytes."""
    return (
        StoreImm(FP, -4, key, W),
        Mov.reg(R2, FP),
        Add.imm(R2, -4),
        LoadMapPtr(R1, map),
        helper("map_lookup_elem"),
        JNe.imm(R0, 0, 2),
        Mov.imm(R0, 99),
        Exit(),
        Mov.reg(register, R0),
    )


@dataclass
class Loaded:
    """A program and its maps on an engine."""

    program: EngineProgram
    maps: dict[str, EngineMap]

    def run(self, data: bytes | None = None, context: bytes | None = None) -> RunResult:
        return self.program.run(data=data, context=context)

    def out(self) -> bytes:
        """The value of OUT."""
        found = self.maps["out"].lookup(u32(0))
        assert found is not None
        return found


@contextmanager
def loaded(engine: Engine, code: Code, type: ProgramType = ProgramType.XDP, maps: Sequence[MapSpec] = ()) -> Iterator[Loaded]:
    with ExitStack() as stack:
        made = {}
        for spec in maps:
            made[spec.name] = engine.create_map(spec)
            stack.callback(made[spec.name].close)
        program = engine.load_program(ProgramSpec("test", type, assemble(code)), made)
        stack.callback(program.close)
        yield Loaded(program, made)


def run(
    engine: Engine,
    code: Code,
    type: ProgramType = ProgramType.XDP,
    maps: Sequence[MapSpec] = (),
    data: bytes | None = None,
    context: bytes | None = None,
) -> RunResult:
    with loaded(engine, code, type, maps) as made:
        return made.run(data, context)
