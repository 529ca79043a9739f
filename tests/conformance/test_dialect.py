"""The conformance suite's programs through our codec, disassembler and assembler, and the reader of its dialect itself."""

from __future__ import annotations

from typing import Literal

import pytest

from purebpf.isa import Instruction, decode, disassemble, encode, format_instruction, parse, parse_instruction
from tests.conformance.dialect import Case, DialectError, parse_case, parse_program, require_cases


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return require_cases()


def test_the_whole_suite_is_read(cases: list[Case]) -> None:
    assert len(cases) == 313
    assert [case.name for case in cases if case.result is None and case.error is None] == []


def test_raw_sections_are_our_bytes(cases: list[Case]) -> None:
    raw = [case for case in cases if case.raw is not None]
    assert raw != []
    assert [case.name for case in raw if encode(case.instructions) != case.raw] == []


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_all_programs_survive_encoding(cases: list[Case], byteorder: Literal["little", "big"]) -> None:
    changed = [case.name for case in cases if decode(encode(case.instructions, byteorder), byteorder) != case.instructions]
    assert changed == []


def test_all_programs_survive_the_disassembler(cases: list[Case]) -> None:
    assert [case.name for case in cases if parse(disassemble(case.instructions)) != case.instructions] == []


def test_all_instructions_survive_alone(cases: list[Case]) -> None:
    every = {instruction for case in cases for instruction in case.instructions}
    assert [i for i in every if parse_instruction(format_instruction(i)) != i] == []


def test_a_case_has_all_its_sections() -> None:
    program = "# c\n-- asm\nldxb %r0, [%r1+2] # load\nexit\n-- mem\naa bb\ncc\n"
    text = program + "-- raw\n0x0000000000020171\n-- result\n0xcc\n-- error\nno\n"
    assert parse_case("x", text) == Case(
        name="x",
        instructions=(Instruction(0x71, 0, 1, 2), Instruction(0x95)),
        memory=b"\xaa\xbb\xcc",
        result=0xCC,
        error="no",
        raw=bytes.fromhex("7101020000000000"),
    )


def test_the_first_exit_is_a_label_and_a_label_of_that_name_goes_first() -> None:
    assert parse_program(["ja exit", "exit", "exit"])[0].offset == 0
    assert parse_program(["ja exit", "mov %r0, 1", "exit:", "exit"])[0].offset == 1


DIALECT = {
    "add %r1, -1": Instruction(0x07, 1, imm=-1),
    "add32 %r1, 0xffffffff": Instruction(0x04, 1, imm=-1),
    "smod32 %r1, %r2": Instruction(0x9C, 1, 2, 1),
    "movsx1664 %r1, %r2": Instruction(0xBF, 1, 2, 16),
    "swap32 %r3": Instruction(0xD7, 3, imm=32),
    "le16 %r3": Instruction(0xD4, 3, imm=16),
    "ldxsw %r1, [%r10-4]": Instruction(0x81, 1, 10, -4),
    "stdw [%r10-0x8], 7": Instruction(0x7A, 10, 0, -8, 7),
    "lock fetch add32 [%r10-8], %r1": Instruction(0xC3, 10, 1, -8, 1),
    "lock cmpxchg [%r1], %r2": Instruction(0xDB, 1, 2, 0, 0xF1),
    "jset32 %r1, 0x80000000, +3": Instruction(0x46, 1, 0, 3, -0x8000_0000),
    "ja32 -4": Instruction(0x06, imm=-4),
    "call 5": Instruction(0x85, imm=5),
    "call %r2": Instruction(0x8D, 2),
    "call runtime 7": Instruction(0x85, src=2, imm=7),
    "lddw %r1, 0xffffffffffffffff": Instruction(0x18, 1, imm=2**64 - 1),
}


@pytest.mark.parametrize(("line", "instruction"), DIALECT.items())
def test_a_line_of_the_dialect(line: str, instruction: Instruction) -> None:
    assert parse_program([line]) == (instruction,)


@pytest.mark.parametrize("line", ["frob %r1", "mov r1, 2", "ldxw %r1, %r2"])
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(DialectError):
        parse_program([line])
