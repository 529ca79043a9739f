"""Bytes as values: as Python data and as text, in both byte orders."""

from __future__ import annotations

import struct

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.types import Array, Enum, Enum64, Float, FuncProto, Int, Linkage, Member, Ptr, Struct, Type, Union, Var
from tests.btf.graphs import BOOL, CHAR, INT, U8, U32, task_btf

TASK = struct.pack("<iIIB3xQ16sQQ", -7, 1, 5 | 9 << 3, 1, 0x1_0000_0002, b"init", 0xFFFF_8880_0000_0000, 0)
TEXT = """\
{
	.pid = -7,
	.state = SLEEPING,
	.low = 5,
	.high = 9,
	.flag = true,
	{
		.number = 4294967298,
		.parts = {2, 1},
	},
	.comm = "init",
	.next = 0xffff888000000000,
	.run = 0x0,
}"""


def of(*types: Type, order: str = "little") -> Btf:
    """char, int, unsigned char, unsigned int and _Bool as 1 to 5, these from 6 on."""
    builder = BtfBuilder(order)  # type: ignore[arg-type]
    for type in (CHAR, INT, U8, U32, BOOL, *types):
        builder.define(builder.reserve(), type)
    return Btf(builder.encode())


def test_struct_as_text() -> None:
    btf, number = task_btf()
    assert btf.format(number, TASK) == TEXT


def test_what_is_zero_can_be_left_out() -> None:
    btf, number = task_btf()
    assert ".run" not in btf.format(number, TASK, zeros=False)
    assert btf.format(number, bytes(56), zeros=False) == "{}"


def test_struct_as_data() -> None:
    btf, number = task_btf()
    assert btf.value(number, TASK) == {
        "pid": -7,
        "state": "SLEEPING",
        "low": 5,
        "high": 9,
        "flag": True,
        "number": 0x1_0000_0002,
        "parts": [2, 1],
        "comm": "init",
        "next": 0xFFFF_8880_0000_0000,
        "run": 0,
    }


@pytest.mark.parametrize(
    ("type", "raw", "value", "text"),
    [
        (Array(2, 4, 2), "ffffffff02000000", [-1, 2], "{-1, 2}"),
        (Array(1, 4, 4), "61620000", "ab", '"ab"'),
        (Array(1, 4, 4), "61220a00", 'a"\n', '"a\\"\\n"'),
        (Array(1, 4, 4), "61006200", [97, 0, 98, 0], "{'a', 0, 'b', 0}"),
        (Array(1, 4, 2), "ff00", [-1, 0], "{-1, 0}"),
        (Array(3, 4, 2), "6162", [97, 98], "{97, 98}"),
        (Enum("e", 4, True, (("A", -1),)), "ffffffff", "A", "A"),
        (Enum("e", 4, False, (("A", 1),)), "02000000", 2, "2"),
        (Enum64("e", 8, False, (("A", 1 << 40),)), "0000000000010000", "A", "A"),
        (Float("float", 4), "0000c03f", 1.5, "1.5"),
        (Float("double", 8), "000000000000f83f", 1.5, "1.5"),
        (Float("long double", 16), "00" * 16, None, "None"),
        (Int("__int128", 16, 128, signed=True), "ff" * 16, -1, "-1"),
        (Ptr(0), "0010000000000000", 4096, "0x1000"),
        (Var("v", 5, Linkage.STATIC), "01", True, "true"),
        (Struct("s", 0, ()), "", {}, "{}"),
    ],
)
def test_values_of_each_kind(type: Type, raw: str, value: object, text: str) -> None:
    btf, data = of(type), bytes.fromhex(raw)
    assert btf.value(6, data) == value
    assert btf.format(6, data) == text


def test_big_endian_bit_fields_count_from_the_highest_bit() -> None:
    fields = Struct("s", 4, (Member("a", 4, 0, 3), Member("b", 4, 3, 13), Member("c", 2, 16, 16)))
    data = (5 << 29 | 77 << 16 | 0xFFFE).to_bytes(4, "big")
    assert of(fields, order="big").value(6, data) == {"a": 5, "b": 77, "c": -2}


def test_signed_bit_field_of_old_structs() -> None:
    btf = of(Int("int", 4, 3, offset=2, signed=True), Struct("s", 4, (Member("a", 6, 8),)))
    assert btf.value(7, (0b111 << 10).to_bytes(4, "little")) == {"a": -1}


def test_structs_in_arrays_and_arrays_that_are_cut() -> None:
    btf = of(Struct("p", 2, (Member("x", 3, 0), Member("y", 3, 8))), Array(6, 4, 2), Array(3, 4, 1000))
    assert (
        btf.format(7, bytes([1, 2, 3, 4])) == "{\n\t{\n\t\t.x = 1,\n\t\t.y = 2,\n\t},\n\t{\n\t\t.x = 3,\n\t\t.y = 4,\n\t},\n}"
    )
    assert btf.format(8, bytes(1000), elements=3) == "{0, 0, 0, /* 997 more */}"


def test_union_shows_all_its_members() -> None:
    assert of(Union("u", 4, (Member("a", 4, 0), Member("b", 3, 0)))).value(6, b"\x01\x02\0\0") == {"a": 0x201, "b": 1}


def test_too_few_bytes_are_told() -> None:
    btf, number = task_btf()
    for use in (btf.value, btf.format):
        with pytest.raises(BtfError, match="has 56 bytes; there are 55"):
            use(number, TASK[:55])


def test_function_has_no_value() -> None:
    with pytest.raises(BtfError, match="has no size: it is a func_proto"):
        of(FuncProto(0, ())).value(6, b"")


def test_struct_in_itself_and_arrays_beyond_measure_end_in_an_error() -> None:
    looped = of(Struct("s", 4, (Member("a", 6, 0), Member("b", 2, 0))))
    empty = of(Struct("e", 0, ()), Array(6, 4, 0xFFFF_FFFF))
    beyond = of(Array(1, 4, 0xFFFF_FFFF), Struct("s", 8, (Member("a", 6, 0),)))
    for btf, number in ((looped, 6), (empty, 7), (beyond, 7)):
        with pytest.raises(BtfError, match=r"too deep or has too many parts|outside of the 8 bytes"):
            btf.value(number, bytes(8))
    with pytest.raises(BtfError, match="too deep or has too many parts"):
        looped.format(6, bytes(8))
