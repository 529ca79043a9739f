"""BTF that is built is read back as it was, and the kernel takes it."""

from __future__ import annotations

import sys
from typing import Literal

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.types import (
    Array,
    Const,
    DataSec,
    Enum,
    Enum64,
    Func,
    FuncProto,
    Int,
    Linkage,
    Member,
    Parameter,
    Ptr,
    Section,
    Struct,
    Type,
    Typedef,
    Union,
    Var,
)


def types(builder: BtfBuilder) -> dict[int, Type]:
    """One type of each kind."""
    found: dict[int, Type] = {}

    def add(type: Type) -> int:
        number = builder.add(type)
        found[number] = type
        return number

    number = add(Int("int", 4, 32, signed=True))
    byte = add(Int("unsigned char", 1, 8))
    add(Int("_Bool", 1, 8, bool=True))
    text = add(Array(byte, number, 16))
    constant = add(Const(byte))
    add(Ptr(constant))
    record = add(Struct("record", 24, (Member("a", number, 0), Member("b", number, 32, 3), Member("text", text, 64))))
    add(Union("", 4, (Member("x", number, 0), Member("y", byte, 0))))
    add(Typedef("record_t", record))
    prototype = add(FuncProto(number, (Parameter("ctx", number), Parameter("n", number))))
    add(Func("entry", prototype, Linkage.STATIC))
    variable = add(Var("seen", number, Linkage.GLOBAL))
    add(DataSec(".data", 4, (Section(variable, 0, 4),)))
    return found


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_it_is_read_back_as_it_was(byteorder: Literal["little", "big"]) -> None:
    builder = BtfBuilder(byteorder)
    made = types(builder)
    btf = Btf(builder.encode())
    assert len(btf) == len(made) + 1
    assert {number: btf.type(number) for number in made} == made


def test_equal_types_have_one_number() -> None:
    builder = BtfBuilder("little")
    assert builder.add(Int("int", 4, 32)) == builder.add(Int("int", 4, 32)) != builder.add(Int("int", 4, 32, signed=True))


@pytest.mark.parametrize(
    ("type", "said"),
    [
        (Struct("big", 1 << 33, ()), "numbers there have 32 bits"),
        (Struct("wide", 1 << 26, (Member("a", 1, 1 << 25), Member("b", 1, 0, 3))), "no room for the member 'a'"),
        (Struct("many", 4, (Member("a", 1, 0),) * 65536), "has 65536 members; BTF has room for 65535"),
        (Enum("e", 4, False, (("A", -1),)), "the value -1 of enum 'e' does not fit"),
        (Enum64("e", 8, True, (("A", 1 << 63),)), "does not fit into 64 bits"),
        (Typedef("a\0b", 1), "has a NUL"),
    ],
)
def test_what_the_format_has_no_room_for_is_refused(type: Type, said: str) -> None:
    with pytest.raises(BtfError, match=said):
        BtfBuilder("little").add(type)


def test_types_in_a_circle_are_reserved_and_defined() -> None:
    builder = BtfBuilder("little")
    node = builder.reserve()
    pointer = builder.add(Ptr(node))
    with pytest.raises(BtfError, match="the number 1 is reserved, but was not defined"):
        builder.encode()
    builder.define(node, Struct("node", 8, (Member("next", pointer, 0),)))
    with pytest.raises(BtfError, match="not reserved, or was defined before"):
        builder.define(node, Ptr(0))
    assert Btf(builder.encode()).type(node) == Struct("node", 8, (Member("next", pointer, 0),))


@pytest.mark.kernel
def test_the_kernel_takes_it() -> None:
    from purebpf.kernel.btf import load_btf

    builder = BtfBuilder(sys.byteorder)
    types(builder)
    load_btf(builder.encode(), "a test").close()
