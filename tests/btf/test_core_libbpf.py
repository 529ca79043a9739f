"""CO-RE: our answers are libbpf's, instruction by instruction, for random types and for what clang compiles."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.size import clang
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.running import targets
from purebpf.errors import Error
from purebpf.isa.asm import R0, R1, Exit, LoadMem, Mov, W
from purebpf.isa.instruction import Instruction
from purebpf.isa.opcodes import ALU64, LD, LDX, STX
from purebpf.relocate import relocated, unresolved
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType
from tests.btf.kit import Kit
from tests.btf.libbpf import Refused, as_object, by_libbpf, libbpf, of_object, slots
from tests.btf.random_types import pair

SOURCE = Path(__file__).parent / "core_all.c"
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(libbpf() is None, reason="libbpf.so.1 is not installed (Debian: libbpf1)"),
]


def judge(spec: ProgramSpec, target: Btf, path: Path) -> str:
    """Assert that libbpf and we make the same of a program; "same", or "refused" where both refuse it."""
    path.write_bytes(bytes(target.raw))
    try:
        expected = by_libbpf(as_object(spec), path)
    except Refused:
        with pytest.raises(Error):
            relocated(spec, [target])
        return "refused"
    assert slots(relocated(spec, [target])) == expected
    return "same"


def test_a_simple_program(tmp_path: Path) -> None:
    local, target = Kit(), Kit()
    s = local.struct("s", ("a", local.u32), ("b", local.u32))
    target.struct("s", ("b", target.u64), ("c", target.u32), ("a", target.u32))
    code = (Mov.imm(R0, 4), LoadMem(R0, R1, 4, W), Exit())
    asked = tuple(CoreRelocation(slot, CoreKind.FIELD_BYTE_OFFSET, s, "0:1") for slot in range(2))
    spec = ProgramSpec("p", ProgramType.XDP, code, types=tuple(local.builder.types()), relocations=asked)
    assert judge(spec, target.btf(), tmp_path / "btf") == "same"
    spec2, _ = of_object(as_object(spec))
    assert (spec2.instructions, spec2.types, spec2.relocations) == (spec.instructions, spec.types, spec.relocations)


@given(st.integers(0, (1 << 32) - 1))
@settings(max_examples=300)
def test_random_types(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    judge(*pair(seed), tmp_path_factory.getbasetemp() / "btf")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What clang makes of relocations of every kind."""
    if not clang.available():
        pytest.skip(f"{clang.CLANG} is not installed")
    path = tmp_path_factory.mktemp("core") / "all.o"
    command = (clang.CLANG, "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wno-visibility", "-c", str(SOURCE), "-o", str(path))
    subprocess.run(command, check=True)
    return path.read_bytes()


def test_what_clang_compiles_has_every_kind(compiled: bytes) -> None:
    spec, _ = of_object(compiled)
    assert {each.kind for each in spec.relocations} == set(CoreKind)
    groups = {instruction.opcode & 7 for instruction in at_slots(spec)}
    assert groups >= {LD, LDX, STX, ALU64}


def at_slots(spec: ProgramSpec) -> list[Instruction]:
    """The instructions that have a relocation."""
    code, slot = {}, 0
    for instruction in spec.instructions:
        code[slot] = instruction
        slot += instruction.slots
    return [code[each.slot] for each in spec.relocations]


def test_what_clang_compiles_is_the_same_for_this_kernel(compiled: bytes) -> None:
    spec, _ = of_object(compiled)
    ours = slots(relocated(spec, targets()))
    assert ours == by_libbpf(compiled, None)
    assert ours != slots(spec.instructions)
    assert set(unresolved(spec, targets()).values()) == {
        "the enum `bpf_map_type` has no constant `BPF_MAP_TYPE_OF_THE_FUTURE` there",
        "`task_struct` has no field `no_such_field` there",
    }


def test_what_clang_compiles_is_the_same_for_its_own_types(compiled: bytes, tmp_path: Path) -> None:
    spec, btf = of_object(compiled)
    (tmp_path / "btf").write_bytes(bytes(btf.raw))
    assert slots(relocated(spec, [btf])) == by_libbpf(compiled, tmp_path / "btf")
    assert len(unresolved(spec, [btf])) == 0
