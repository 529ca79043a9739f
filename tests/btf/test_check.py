"""What the kernel asks of whole BTF is asked here: each rule by a BTF that breaks it, and the fuzzer's inputs."""

from __future__ import annotations

import resource

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.check import check
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import (
    Array,
    Const,
    DataSec,
    DeclTag,
    Enum,
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
from purebpf.errors import Unsupported
from tests.btf.graphs import INT, task_btf
from tests.fuzz.btf import batch


def of(*types: Type) -> Btf:
    """`int` as 1, these from 2 on."""
    builder = BtfBuilder("little")
    for type in (INT, *types):
        builder.define(builder.reserve(), type)
    return Btf(builder.encode())


def test_sound_btf_passes() -> None:
    check(task_btf()[0])
    check(of(Var("v", 1, Linkage.STATIC), DataSec(".data", 8, (Section(2, 0, 4),))))


def test_function_that_takes_itself_passes() -> None:
    check(of(FuncProto(0, (Parameter("f", 3),)), Ptr(2)))


def test_kernel_passes() -> None:
    try:
        btf = kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))
    check(btf)


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ((Typedef("", 1),), r"type 2 \(typedef\) has no name"),
        ((Struct("a b", 0, ()),), "has the name 'a b', which is no identifier"),
        ((Struct("s", 4, (Member("1a", 1, 0),)),), "has the name '1a'"),
        ((Enum("e", 4, False, (("", 1),)),), "has the name ''"),
        ((Int("x", 1, 8, signed=True, bool=True),), "more than one encoding"),
        ((Struct("s", 4, (Member("a", 0, 0),)),), "has the member 'a', which is a void"),
        ((Struct("s", 8, (Member("a", 1, 32), Member("b", 1, 0))),), "'b' at bit 0, which is not in order"),
        ((Union("s", 8, (Member("a", 1, 32),)),), "'a' at bit 32, which is not in order"),
        ((Struct("s", 4, (Member("a", 1, 8),)),), "'a', which ends outside of its 4 bytes"),
        ((Struct("s", 8, (Member("a", 1, 4),)),), "'a' at bit 4, though it is no bit field"),
        ((Struct("s", 8, (Member("a", 1, 0, 33),)),), "of 33 bits, more than its type has"),
        ((Ptr(0), Struct("s", 8, (Member("a", 2, 0, 3),))), "bit field 'a', which is no integer"),
        ((Array(0, 1, 1),), "is of a void"),
        ((Array(1, 3, 1), Ptr(0)), "has an index that is a ptr"),
        ((Typedef("t", 3), Ptr(0), Array(1, 2, 1)), "has an index that is no integer"),
        ((Array(1, 1, 1 << 31), Array(2, 1, 1 << 31)), "an array of"),
        ((Func("f", 1, Linkage.STATIC),), "is described by a int, not by a func_proto"),
        ((FuncProto(0, (Parameter("a", 0), Parameter("", 0))),), "has the parameter 'a' of type void"),
        ((FuncProto(0, (Parameter("", 2),)),), "has a parameter that is a func_proto"),
        ((FuncProto(2, ()),), "returns a func_proto"),
        ((Var("v", 0, Linkage.STATIC),), "is of a void"),
        ((DataSec(".data", 4, (Section(1, 0, 4),)),), "has a int where variables are"),
        ((Var("v", 1, Linkage.STATIC), DataSec(".data", 4, (Section(2, 2, 4),))), "which does not fit there"),
        (
            (Var("v", 1, Linkage.STATIC), DataSec(".data", 4, (Section(2, 0, 2),))),
            "2 bytes for the variable 'v', which is larger",
        ),
        ((DeclTag("t", 1, -1),), "is on a int"),
        ((Struct("s", 4, (Member("a", 1, 0),)), DeclTag("t", 2, 1)), "is on the component 1; there are 1"),
        ((Struct("s", 4, (Member("a", 2, 0),)),), r"type 2 \(struct\) contains itself"),
        ((Struct("s", 4, (Member("a", 3, 0),)), Array(2, 1, 1)), "contains itself"),
        ((Typedef("t", 3), Const(2)), "contains itself"),
        ((Ptr(3), Const(2)), "refers to itself without a struct between"),
        ((Typedef("t", 3), DeclTag("t", 2, -1)), "refers to a decl_tag"),
    ],
)
def test_what_is_wrong_is_told(types: tuple[Type, ...], said: str) -> None:
    with pytest.raises(BtfError, match=said):
        check(of(*types))


def test_no_types_are_none() -> None:
    with pytest.raises(BtfError, match="there are no types"):
        check(Btf(BtfBuilder("little").encode()))


def test_chain_of_pointers_as_long_as_may_be() -> None:
    check(of(*(Ptr(number) for number in range(1, 50_000))))


def test_damaged_btf_is_refused_or_can_be_used() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    counts, problems = batch(1_000_000, 3000, kernel=False)
    assert problems == []
    assert min(counts[outcome] for outcome in ("refused", "damaged", "decoded", "sound")) > 50
    assert counts["megabytes at most"] - before < 100


@pytest.mark.kernel
def test_what_the_kernel_takes_is_taken() -> None:
    counts, problems = batch(2_000_000, 1000, kernel=True)
    assert problems == [] and counts["taken by the kernel"] > 30
