"""CO-RE in the running kernel: what its BTF says is what a loaded program knows."""

from __future__ import annotations

import pytest

from purebpf.btf import running
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.running import kernel_btf, own_btf
from purebpf.data import replace
from purebpf.errors import Error, Unsupported, VerifierError
from purebpf.isa.asm import DW, R0, R1, R2, Exit, JEq, Label, LoadImm64, LoadMem, Mov, assemble
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.kernel.engine import KernelEngine
from purebpf.rejection import told
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType
from purebpf.vm.engine import VmEngine
from tests.btf.kit import Kit
from tests.kernel.programs import needs, offset

pytestmark = needs((5, 4), "the kernel's BTF")
OFFSET, EXISTS = CoreKind.FIELD_BYTE_OFFSET, CoreKind.FIELD_EXISTS
LINE = SourceLine("careful.py", 12, 5, "    return task.of_the_future", 29)


class Program:
    """With a `task_struct` of two real fields, and of one that no kernel has."""

    def __init__(self) -> None:
        self.kit = k = Kit()
        self.task = k.struct("task_struct", ("pid", k.s32), ("comm", k.array(k.u8, 16)), ("of_the_future", k.u64))
        self.maps = k.enum("bpf_map_type", BPF_MAP_TYPE_RINGBUF=1)

    def spec(self, code: tuple[Instruction, ...], *asked: CoreRelocation) -> ProgramSpec:
        return ProgramSpec("careful", ProgramType.XDP, code, types=tuple(self.kit.builder.types()), relocations=asked)

    def answer(self, kernel: KernelEngine, code: Instruction, kind: CoreKind, type: int, access: str) -> int:
        spec = self.spec((code, Exit()), CoreRelocation(0, kind, type, access))
        with kernel.load_program(spec, {}) as program:
            return program.run(data=bytes(64)).value


def test_offsets_and_constants_are_those_of_this_kernel(kernel: KernelEngine) -> None:
    p = Program()
    assert p.answer(kernel, Mov.imm(R0, 0), OFFSET, p.task, "0:0") == offset("task_struct", "pid")
    assert p.answer(kernel, LoadImm64(R0, 4), OFFSET, p.task, "0:1") == offset("task_struct", "comm")
    assert p.answer(kernel, LoadImm64(R0, 1), CoreKind.ENUMVAL_VALUE, p.maps, "0") == 27
    size = kernel_btf().size_of(kernel_btf().find("task_struct"))
    assert p.answer(kernel, Mov.imm(R0, 32), CoreKind.TYPE_SIZE, p.task, "0") == size
    assert [p.answer(kernel, Mov.imm(R0, 1), EXISTS, p.task, f"0:{field}") for field in range(3)] == [1, 1, 0]


def guarded(p: Program) -> ProgramSpec:
    """if exists(of_the_future): read it"""
    code = assemble((Mov.imm(R0, 0), Mov.imm(R1, 1), JEq.imm(R1, 0, "out"), LoadMem(R0, R1, 24, DW), Label("out"), Exit()))
    return p.spec(code, CoreRelocation(1, EXISTS, p.task, "0:2"), CoreRelocation(3, OFFSET, p.task, "0:2"))


def unguarded(p: Program) -> ProgramSpec:
    code = (Mov.imm(R2, 0), replace(LoadMem(R0, R1, 24, DW), source=LINE), Exit())
    return p.spec(code, CoreRelocation(1, OFFSET, p.task, "0:2"))


def test_what_is_never_reached_may_be_missing(kernel: KernelEngine) -> None:
    with kernel.load_program(guarded(Program()), {}) as program:
        assert program.run(data=bytes(64)).value == 0


def test_what_is_reached_and_missing_is_told_by_name_and_line(kernel: KernelEngine) -> None:
    spec = unguarded(Program())
    with pytest.raises(VerifierError) as caught:
        kernel.load_program(spec, {})
    assert caught.value.unresolved == {1: "`task_struct` has no field `of_the_future` there"}
    error = told(caught.value, spec)
    assert "this kernel has no `task_struct.of_the_future` as the program knows it" in str(error)
    assert "careful.py:12" in str(error) and "`task_struct` has no field `of_the_future` there" in str(error)
    assert 'guard it: `if bpf.exists(T, "field"):`' in str(error)
    assert error.explanation and error.explanation.rule == "core_poison"
    assert error.explanation.spot.slot == 1 and error.unresolved


def test_a_relocation_that_makes_no_sense_is_an_error(kernel: KernelEngine) -> None:
    p = Program()
    with pytest.raises(Error, match=r"its CO-RE relocation field_exists at slot 0: the access '0:9' of type"):
        kernel.load_program(p.spec((Mov.imm(R0, 1), Exit()), CoreRelocation(0, EXISTS, p.task, "0:9")), {})


def test_a_kernel_without_types_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(running, "VMLINUX", running.Path(str(tmp_path)) / "vmlinux")
    monkeypatch.setattr(running, "PLACES", (f"{tmp_path}/{{}}",))
    own_btf.cache_clear()
    try:
        with pytest.raises(Unsupported, match=r"'careful' asks for the kernel's own types\. This kernel offers no BTF"):
            KernelEngine().load_program(guarded(Program()), {})
    finally:
        own_btf.cache_clear()


def test_the_virtual_machine_plays_the_kernel_that_the_program_was_compiled_for() -> None:
    p = Program()
    spec = p.spec((LoadImm64(R0, 4), Exit()), CoreRelocation(0, OFFSET, p.task, "0:1"))
    assert VmEngine().load_program(spec, {}).run(data=bytes(64)).value == 4
