"""BTF that is built is read back as it was, and the kernel takes it."""

from __future__ import annotations

import sys
from typing import Literal

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.types import (
    Array,
    DataSec,
    Func,
    FuncProto,
    Fwd,
    Int,
    Kind,
    Linkage,
    Member,
    Parameter,
    Ptr,
    Qualifier,
    Section,
    Struct,
    Type,
    Typedef,
    Var,
)
from purebpf.errors import Error


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
    constant = add(Qualifier(Kind.CONST, byte))
    add(Ptr(constant))
    record = add(
        Struct(Kind.STRUCT, "record", 24, (Member("a", number, 0), Member("b", number, 32, 3), Member("text", text, 64)))
    )
    add(Struct(Kind.UNION, "", 4, (Member("x", number, 0), Member("y", byte, 0))))
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


def test_a_kind_that_is_not_covered_is_refused() -> None:
    with pytest.raises(Error, match="BTF of a Fwd cannot be built"):
        BtfBuilder("little").add(Fwd("f", union=False))


@pytest.mark.kernel
def test_the_kernel_takes_it() -> None:
    from purebpf.kernel.btf import load_btf

    builder = BtfBuilder(sys.byteorder)
    types(builder)
    load_btf(builder.encode(), "a test").close()
