"""What must hold for any instruction, any bytes and any text."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purebpf.errors import AssemblerError
from purebpf.isa import cpu_level, decode, disassemble, encode, format_instruction, parse, parse_instruction
from purebpf.isa.instruction import Instruction
from tests.isa.strategies import ODD, instructions, resolved

ByteOrder = Literal["little", "big"]
both_orders = pytest.mark.parametrize("byteorder", ["little", "big"])


@given(instructions)
def test_text_gives_back_the_instruction(instruction: Instruction) -> None:
    assert parse_instruction(format_instruction(instruction)) == instruction


@given(st.lists(resolved, max_size=20))
def test_a_listing_gives_back_the_program(program: list[Instruction]) -> None:
    assert parse(disassemble(program)) == tuple(program)


@both_orders
@given(program=st.lists(resolved, max_size=20))
def test_bytes_give_back_the_program(program: list[Instruction], byteorder: ByteOrder) -> None:
    assert decode(encode(program, byteorder), byteorder) == tuple(program)


@given(st.lists(resolved, max_size=20))
def test_a_program_has_eight_bytes_a_slot(program: list[Instruction]) -> None:
    assert len(encode(program)) == 8 * sum(instruction.slots for instruction in program)


@both_orders
@given(data=st.binary(max_size=64))
def test_bytes_are_refused_or_encode_to_themselves(data: bytes, byteorder: ByteOrder) -> None:
    try:
        program = decode(data, byteorder)
    except AssemblerError:
        return
    assert encode(program, byteorder) == data


@given(program=st.lists(resolved, min_size=1, max_size=6), flip=st.integers(min_value=0))
def test_one_flipped_bit_is_refused_or_encodes_to_itself(program: list[Instruction], flip: int) -> None:
    data = bytearray(encode(program))
    data[flip // 8 % len(data)] ^= 1 << flip % 8
    try:
        changed = decode(bytes(data))
    except AssemblerError as error:
        assert "slot" in str(error)
        return
    assert encode(changed) == bytes(data)
    assert parse(disassemble(changed)) == changed


@given(st.text(ODD, max_size=40) | st.text(alphabet="rw0123456789+-*&|<>=!s()[]u468 gotopcif;#ll\"'\n", max_size=40))
def test_any_text_is_a_program_or_an_assembler_error(text: str) -> None:
    try:
        program = parse(text)
    except AssemblerError:
        return
    assert parse(disassemble(program)) == program


@given(
    instruction=instructions, at=st.integers(0, 40), cut=st.integers(0, 3), put=st.text('rwNpc0x9+-*%@[]()"#;: ll', max_size=3)
)
def test_a_damaged_line_is_an_instruction_or_an_assembler_error(instruction: Instruction, at: int, cut: int, put: str) -> None:
    text = format_instruction(instruction)
    try:
        read = parse_instruction(text[:at] + put + text[at + cut :])
    except AssemblerError:
        return
    assert parse_instruction(format_instruction(read)) == read


@given(resolved)
def test_every_instruction_has_a_level(instruction: Instruction) -> None:
    assert cpu_level(instruction) in (1, 2, 3, 4)


integers = st.integers(-(2**70), 2**70)


@given(opcode=st.integers(-1, 300), dst=integers, src=integers, offset=integers, imm=integers)
def test_encode_refuses_what_is_invalid(opcode: int, dst: int, src: int, offset: int, imm: int) -> None:
    instruction = Instruction(opcode, dst, src, offset, imm)
    try:
        data = encode([instruction])
    except AssemblerError:
        return
    assert decode(data) == (instruction,)
