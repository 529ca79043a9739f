"""CO-RE: how answers get into instructions."""

from __future__ import annotations

import pytest

from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.isa.asm import (
    DW,
    R0,
    R1,
    R2,
    Add,
    Atomic,
    B,
    Exit,
    H,
    LoadImm64,
    LoadMapPtr,
    LoadMem,
    Mov,
    StoreImm,
    StoreMem,
    W,
)  # fmt: skip
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.relocate import POISON, relocated, unresolved
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType
from tests.btf.kit import Kit

OFFSET, EXISTS, VALUE = CoreKind.FIELD_BYTE_OFFSET, CoreKind.FIELD_EXISTS, CoreKind.ENUMVAL_VALUE
POISONED = Instruction(0x85, imm=POISON)


class Two:
    """A local struct and the same in a kernel, with one field `a` at byte 4 here and at 8 there."""

    def __init__(self, here: str = "u32", there: str = "u32", pad: int = 8) -> None:
        self.local, self.kernel = Kit(), Kit()
        self.s = self.local.struct("s", ("p", self.local.u32), ("a", getattr(self.local, here)))
        self.kernel.struct("s", ("p", self.kernel.array(self.kernel.u8, pad)), ("a", getattr(self.kernel, there)))
        self.e = self.local.enum("e", A=5, B=6)

    def spec(self, *code: Instruction, **asked: CoreRelocation) -> ProgramSpec:
        types = tuple(self.local.builder.types())
        return ProgramSpec("p", ProgramType.XDP, code, types=types, relocations=tuple(asked.values()))

    def patch(self, instruction: Instruction, kind: CoreKind = OFFSET, access: str = "0:1", type: int = 0) -> Instruction:
        spec = self.spec(instruction, Exit(), one=CoreRelocation(0, kind, type or self.s, access))
        return relocated(spec, [self.kernel.btf()])[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda at: Mov.imm(R1, at),
        lambda at: Add.imm(R1, at),
        lambda at: replace(Add.imm(R1, at), opcode=Add.imm(R1, at).opcode & ~7 | 4),  # 32 bits
        lambda at: LoadImm64(R1, at),
        lambda at: LoadMem(R0, R1, at, W),
        lambda at: StoreMem(R1, at, R2, W),
        lambda at: StoreImm(R1, at, 7, W),
        lambda at: Atomic.add(R1, at, R2, W),
    ],
)
def test_each_kind_of_instruction_takes_the_answer(make: object) -> None:
    assert callable(make)
    assert Two().patch(make(4)) == make(8)


@pytest.mark.parametrize("make", [lambda at: Mov.imm(R1, at), lambda at: LoadImm64(R1, at), lambda at: LoadMem(R0, R1, at, W)])
def test_an_instruction_that_holds_another_value_is_an_error(make: object) -> None:
    assert callable(make)
    with pytest.raises(Error, match=r"about `s\.a` at slot 0: the instruction holds 3, but the program's own types say 4"):
        Two().patch(make(3))


@pytest.mark.parametrize("size, there", [(B, "u8"), (H, "u16"), (DW, "u64")])
def test_loads_and_stores_take_the_size_of_the_field(size: int, there: str) -> None:
    two = Two(there=there)
    assert two.patch(LoadMem(R0, R1, 4, W)) == LoadMem(R0, R1, 8, size)
    assert two.patch(StoreMem(R1, 4, R0, W)) == StoreMem(R1, 8, R0, size)
    assert two.patch(StoreImm(R1, 4, 1, W)) == StoreImm(R1, 8, 1, size)
    assert two.patch(Add.imm(R1, 4)) == Add.imm(R1, 8)


@pytest.mark.parametrize("here, there", [("s32", "s64"), ("u32", "s64"), ("s32", "u64")])
def test_signed_fields_of_another_size_are_not_read(here: str, there: str) -> None:
    two = Two(here, there)
    assert two.patch(LoadMem(R0, R1, 4, W)) == POISONED
    assert two.patch(Add.imm(R1, 4)) == Add.imm(R1, 8)  # the address is right all the same


def test_a_load_of_part_of_a_field_cannot_change_its_size() -> None:
    two = Two(there="u64")
    with pytest.raises(Error, match="the instruction takes 1 bytes, but the field has 4"):
        two.patch(LoadMem(R0, R1, 4, B))
    assert Two().patch(LoadMem(R0, R1, 4, B)) == LoadMem(R0, R1, 8, B)


def test_atomics_have_at_least_4_bytes() -> None:
    assert Two(there="u64").patch(Atomic.add(R1, 4, R2, W)) == Atomic.add(R1, 8, R2, DW)
    with pytest.raises(Error, match="no atomic instruction takes"):
        Two(there="u16").patch(Atomic.add(R1, 4, R2, W))


def test_offsets_beyond_16_bits() -> None:
    with pytest.raises(Error, match="the field is at byte 40000; loads and stores reach 32767"):
        Two(pad=40000).patch(LoadMem(R0, R1, 4, W))
    assert Two(pad=40000).patch(Add.imm(R1, 4)) == Add.imm(R1, 40000)


def test_existence_is_a_constant() -> None:
    two = Two()
    assert two.patch(Mov.imm(R0, 1), EXISTS) == Mov.imm(R0, 1)
    two.kernel = Kit()
    assert two.patch(Mov.imm(R0, 1), EXISTS) == Mov.imm(R0, 0)


def test_constants_of_64_bits_need_a_wide_load() -> None:
    two = Two()
    two.kernel.enum("e", size=8, A=1 << 40, B=(1 << 64) - 1)
    assert two.patch(LoadImm64(R0, 5), VALUE, "0", two.e) == LoadImm64(R0, 1 << 40)
    assert two.patch(LoadImm64(R0, 6), VALUE, "1", two.e) == LoadImm64(R0, (1 << 64) - 1)
    assert two.patch(Mov.imm(R0, 6), VALUE, "1", two.e) == Mov.imm(R0, -1)  # the sign extends it
    with pytest.raises(Error, match="does not fit into the instruction's 32 bits"):
        two.patch(Mov.imm(R0, 5), VALUE, "0", two.e)


def test_negative_constants() -> None:
    two = Two()
    two.kernel.enum("e", signed=True, A=-5, B=1)
    assert two.patch(LoadImm64(R0, 5), VALUE, "0", two.e) == LoadImm64(R0, (1 << 64) - 5)
    assert two.patch(Mov.imm(R0, 5), VALUE, "0", two.e) == Mov.imm(R0, -5)


def test_a_wide_load_without_answer_becomes_two_invalid_calls() -> None:
    two = Two()
    two.kernel = Kit()
    spec = two.spec(
        LoadImm64(R1, 4), LoadMem(R0, R1, 4, W), Exit(),
        one=CoreRelocation(0, OFFSET, two.s, "0:1"), two=CoreRelocation(2, OFFSET, two.s, "0:1"),
    )  # fmt: skip
    assert relocated(spec, [two.kernel.btf()]) == (POISONED, POISONED, POISONED, Exit())
    assert unresolved(spec, [two.kernel.btf()]) == dict.fromkeys((0, 2), "there is no struct of that name")
    assert unresolved(spec, [Two().kernel.btf()]) == {}


def test_an_invalid_call_keeps_its_source_line() -> None:
    line = SourceLine("f.py", 3, 1, "x = s.a")
    two = Two("s32", "s64")
    patched = two.patch(replace(LoadMem(R0, R1, 4, W), source=line))
    assert patched == POISONED and patched.source == line


@pytest.mark.parametrize("instruction", [Exit(), Mov.reg(R1, R2), LoadMapPtr(R1, "m")])
def test_other_instructions_take_no_answer(instruction: Instruction) -> None:
    with pytest.raises(Error, match="takes no answer"):
        Two().patch(instruction)


def test_loads_take_offsets_only() -> None:
    with pytest.raises(Error, match="takes a field's offset, not its field_exists"):
        Two().patch(LoadMem(R0, R1, 1, W), EXISTS)


def test_errors_name_the_line_and_the_slot() -> None:
    two = Two()
    code = (LoadImm64(R1, 4), replace(Mov.imm(R0, 3), source=SourceLine("f.py", 7, 1, "x")), Exit())
    with pytest.raises(
        Error, match=r"The program 'p' \(f\.py:7\): its CO-RE relocation field_byte_offset about `s\.a` at slot 2"
    ):
        relocated(two.spec(*code, one=CoreRelocation(2, OFFSET, two.s, "0:1")), [two.kernel.btf()])
    for slot in (1, 4, -1):
        with pytest.raises(Error, match=f"there is no instruction at slot {slot}"):
            relocated(two.spec(*code, one=CoreRelocation(slot, OFFSET, two.s, "0:1")), [two.kernel.btf()])


def test_a_program_for_the_very_same_types_stays_as_it_is() -> None:
    two = Two()
    code = (Add.imm(R1, 4), LoadMem(R0, R1, 4, W), LoadImm64(R0, 5), Exit())
    asked = [
        CoreRelocation(0, OFFSET, two.s, "0:1"),
        CoreRelocation(1, OFFSET, two.s, "0:1"),
        CoreRelocation(2, VALUE, two.e, "0"),
    ]
    spec = two.spec(*code, **dict(zip("abc", asked, strict=True)))
    assert relocated(spec, [two.local.btf()]) == code
