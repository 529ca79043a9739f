"""Python data becomes the bytes that `value` reads again; what a type has no room for is an error that says where."""

from __future__ import annotations

from typing import Literal

import pytest

from purebpf.btf.builder import encoded
from purebpf.btf.errors import BtfError
from purebpf.btf.pack import bytes_of
from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, Enum, Float, Int, Member, Ptr, Struct, Type, Typedef, Union, Var
from purebpf.btf.types import Linkage as L

U32, S16, CHAR, BOOL, U64 = range(1, 6)
TYPES: tuple[Type, ...] = (
    Int("u32", 4, 32),
    Int("s16", 2, 16, signed=True),
    Int("char", 1, 8, signed=True, char=True),
    Int("bool", 1, 8, bool=True),
    Int("u64", 8, 64),
    Array(CHAR, U32, 8),  # 6
    Array(S16, U32, 3),
    Enum("mode", 4, True, (("OFF", 0), ("ON", 1), ("LESS", -2))),  # 8
    Ptr(U32),
    Float("double", 8),  # 10
    Struct("bits", 4, (Member("low", U32, 0, 3), Member("high", U32, 3, 29))),
    Union("", 4, (Member("word", U32, 0), Member("half", S16, 0))),  # 12
    Struct("all", 56, (
        Member("name", 6, 0),
        Member("three", 7, 64),
        Member("mode", 8, 128),
        Member("at", 9, 192),
        Member("real", 10, 256),
        Member("bits", 11, 320),
        Member("", 12, 352),
        Member("yes", BOOL, 384),
    )),
    Typedef("all_t", 13),
    Var("variable", 14, L.GLOBAL),
    Array(14, U32, 2),
)  # fmt: skip
VALUE = {
    "name": "abc",
    "three": [1, -2, 3],
    "mode": "LESS",
    "at": 0xFFFF_8000_0000_0000,
    "real": 2.5,
    "bits": {"low": 5, "high": 1000},
    "word": 70000,
    "yes": True,
}


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("number", [13, 14, 15])
def test_what_is_packed_is_read(order: Literal["little", "big"], number: int) -> None:
    btf = Btf(encoded(TYPES, order))
    raw = bytes_of(btf, number, VALUE)
    assert len(raw) == 56
    found = btf.value(number, raw)
    assert isinstance(found, dict) and {name: found[name] for name in VALUE} == VALUE
    assert bytes_of(btf, 16, [VALUE, VALUE]) == raw + raw
    assert bytes_of(btf, 16, [VALUE]) == raw + bytes(56)
    assert bytes_of(btf, number, raw) == raw


@pytest.mark.parametrize(
    "number, value, said",
    [
        (U32, -1, "the value has 32 bits: -1 does not fit"),
        (S16, 1 << 15, "the value has 16 signed bits: 32768 does not fit"),
        (U32, "x", "the value is an integer; 'x' is not"),
        (U64, b"abc", "the value has 8 bytes; these are 3"),
        (6, "12345678", "takes 7 bytes of text and a zero"),
        (7, [1, 2, 3, 4], "give a list of at most 3 elements"),
        (8, "UP", "is one of OFF, ON, LESS, not 'UP'"),
        (13, {"names": 1}, "has no member 'names'; it has name, three, mode"),
        (13, [1], "is a struct `all`: give a dictionary"),
        (13, {"three": [0, 1 << 20]}, "element 1 of `three` of the value has 16 signed bits"),
        (13, {"bits": {"low": 8}}, "`low` of `bits` of the value has 3 bits: 8 does not fit"),
    ],
)
def test_what_has_no_room_is_told(number: int, value: object, said: str) -> None:
    with pytest.raises(BtfError) as error:
        bytes_of(Btf(encoded(TYPES, "little")), number, value)
    assert said in str(error.value)
