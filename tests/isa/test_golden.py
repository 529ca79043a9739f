"""Every form of instruction, three ways: written in Python, as text, as bytes."""

from __future__ import annotations

import pytest

from purebpf.data import replace
from purebpf.isa import decode, encode, format_instruction, parse_instruction
from purebpf.isa.forms import form_of, rows
from purebpf.isa.instruction import Instruction
from tests.isa.golden import ROWS

each_row = pytest.mark.parametrize(("instruction", "text", "code"), ROWS, ids=[row[1] for row in ROWS])


def test_the_table_has_every_form() -> None:
    tested = {form_of(instruction) for instruction, _, _ in ROWS}
    assert [form.text for form in rows() if form not in tested] == []


@each_row
def test_instruction_to_text(instruction: Instruction, text: str, code: str) -> None:
    assert format_instruction(instruction) == text


@each_row
def test_text_to_instruction(instruction: Instruction, text: str, code: str) -> None:
    assert parse_instruction(text) == instruction


@each_row
def test_instruction_to_bytes(instruction: Instruction, text: str, code: str) -> None:
    assert encode([instruction]).hex() == code


@each_row
def test_bytes_to_instruction(instruction: Instruction, text: str, code: str) -> None:
    assert decode(bytes.fromhex(code)) == (replace(instruction, symbol=None),)


@each_row
def test_big_endian_bytes_are_the_little_endian_ones_field_by_field_reversed(
    instruction: Instruction, text: str, code: str
) -> None:
    little, expected = bytes.fromhex(code), b""
    for at in range(0, len(little), 8):
        opcode, registers, offset, imm = little[at], little[at + 1], little[at + 2 : at + 4], little[at + 4 : at + 8]
        expected += bytes([opcode, registers << 4 & 0xF0 | registers >> 4]) + offset[::-1] + imm[::-1]
    assert encode([instruction], "big") == expected
    assert decode(expected, "big") == (replace(instruction, symbol=None),)
