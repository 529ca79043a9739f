"""Bytes: the layout, and what is refused and why."""

from __future__ import annotations

import pytest

from purebpf.errors import AssemblerError
from purebpf.isa import Instruction, decode, encode
from purebpf.isa.asm import R1, Call, Exit, Jump, LoadFunc, LoadImm64, Mov

EXIT = bytes.fromhex("9500000000000000")

HOSTILE = {
    "95000000": "the program is 4 bytes long; instructions are 8 bytes each",
    "ff00000000000000": "slot 0: 0xff is not the opcode of any eBPF instruction",
    "0000000000000000": "slot 0: 0x00 is not the opcode of any eBPF instruction",
    "b70b000000000000": "slot 0: 0xb7 (rdst = imm) names register 11; registers are r0 to r10",
    "bfb1000000000000": "slot 0: 0xbf (rdst = rsrc) names register 11; registers are r0 to r10",
    "b711000000000000": "slot 0: 0xb7 (rdst = imm) does not use src: it must be 0, but is 1",
    "9501000000000000": "slot 0: 0x95 (exit) does not use dst: it must be 0, but is 1",
    "9500010000000000": "slot 0: 0x95 (exit) does not use offset: it must be 0, but is 1",
    "9500000001000000": "slot 0: 0x95 (exit) does not use imm: it must be 0, but is 1",
    "bf21000001000000": "slot 0: 0xbf (rdst = rsrc) does not use imm: it must be 0, but is 1",
    "bf21070000000000": "slot 0: opcode 0xbf has no variant with offset 0x7; there are 0x0, 0x1, 0x8, 0x10, 0x20",
    "dc01000008000000": "slot 0: opcode 0xdc has no variant with imm 0x8; there are 0x10, 0x20, 0x40",
    "8530000001000000": "slot 0: opcode 0x85 has no variant with src 0x3; there are 0x0, 0x1, 0x2",
    "8501000001000000": "slot 0: 0x85 (call helper) does not use dst: it must be 0, but is 1",
    "0500000001000000": "slot 0: 0x05 (goto pcoffset) does not use imm: it must be 0, but is 1",
    "0600010000000000": "slot 0: 0x06 (gotol pctarget) does not use offset: it must be 0, but is 1",
    "1801000005000000": "slot 0: the program ends in the middle of a wide load, which takes two slots",
    "18010000050000009500000000000000": "slot 0: the second slot of a wide load must be empty but for its constant",
    "18110000050000000000000001000000": "slot 0: the constant 4294967301 of 0x18 (rdst = map[map]) is not "
    "between 0 and 4294967295",
    "18710000050000000000000001000000": "slot 0: opcode 0x18 has no variant with src 0x7; there are "
    "0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0x6",
}


@pytest.mark.parametrize(("code", "message"), HOSTILE.items())
def test_decode_refuses(code: str, message: str) -> None:
    with pytest.raises(AssemblerError) as caught:
        decode(bytes.fromhex(code))
    assert str(caught.value) == message


def test_errors_name_the_slot_and_count_wide_loads_as_two() -> None:
    program = encode([LoadImm64(R1, 5), Exit()]) + b"\xff" + bytes(7)
    with pytest.raises(AssemblerError, match=r"^slot 3: 0xff is not"):
        decode(program)
    with pytest.raises(AssemblerError, match=r"^slot 3: 0xff is not"):
        encode([LoadImm64(R1, 5), Exit(), Instruction(0xFF)])


def test_big_endian_swaps_fields_and_register_nibbles() -> None:
    program = [Instruction(0x79, dst=1, src=10, offset=-8), LoadImm64(R1, 0x1122334455667788)]
    assert encode(program, "little").hex() == "79a1f8ff00000000" + "1801000088776655" + "0000000044332211"
    assert encode(program, "big").hex() == "791afff800000000" + "1810000055667788" + "0000000011223344"


def test_encode_refuses_a_jump_that_is_not_resolved() -> None:
    with pytest.raises(
        AssemblerError, match=r"slot 1: the jump to 'done' is not resolved; pass the program through assemble\(\)"
    ):
        encode([Exit(), Jump("done")])


@pytest.mark.parametrize("instruction", [Call.local("f"), LoadFunc(R1, "f")])
def test_encode_refuses_a_function_that_is_not_resolved(instruction: Instruction) -> None:
    with pytest.raises(AssemblerError, match="slot 0: the function 'f' is not resolved"):
        encode([instruction])


def test_names_and_sources_are_not_in_the_bytes() -> None:
    assert encode([Instruction(0x18, 1, 1, symbol="events")]) == encode([Instruction(0x18, 1, 1)])


def test_an_unknown_byte_order_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="'middle'"):
        encode([Exit()], "middle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'middle'"):
        decode(EXIT, "middle")  # type: ignore[arg-type]


def test_an_empty_program_is_no_bytes() -> None:
    assert encode([]) == b""
    assert decode(b"") == ()


def test_decode_takes_any_bytes_like_object() -> None:
    assert decode(bytearray(EXIT)) == decode(memoryview(EXIT)) == (Exit(),)


@pytest.mark.parametrize("instruction", [Instruction(0xB7, imm=2**31), Instruction(0xB7, imm=-(2**31) - 1)])
def test_a_constant_outside_32_signed_bits_is_refused(instruction: Instruction) -> None:
    with pytest.raises(AssemblerError, match="is not between -2147483648 and 2147483647"):
        encode([instruction])


def test_an_offset_outside_16_signed_bits_is_refused() -> None:
    with pytest.raises(AssemblerError, match=r"the offset 32768 of 0x05 \(goto pcoffset\) does not fit in 16 bits"):
        encode([Instruction(0x05, offset=0x8000)])


def test_a_symbol_where_nothing_is_referred_to_is_refused() -> None:
    with pytest.raises(AssemblerError, match="refers to nothing by name, but has the symbol 'x'"):
        encode([Instruction(Mov.imm(R1, 1).opcode, symbol="x")])
