"""BTF for kernels that lack kinds: what each type becomes, and that kernels take it."""

from __future__ import annotations

import sys

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.check import check
from purebpf.btf.reader import Btf
from purebpf.btf.sanitize import SINCE, sanitized
from purebpf.btf.types import (
    Const,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Int,
    Linkage,
    Member,
    Section,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Var,
)
from tests.btf.graphs import INT

TYPES = [
    INT,
    Float("float", 4),
    Struct("s", 8, (Member("a", 1, 0), Member("b", 2, 32))),
    DeclTag("t", 3, 1),
    FuncProto(1, ()),
    Func("f", 5, Linkage.GLOBAL),
    Var("v", 3, Linkage.GLOBAL),
    DataSec(".data.x", 8, (Section(7, 0, 8),)),
    Enum64("wide", 8, False, (("A", 1 << 40), ("B", 2))),
    Enum("signed", 4, True, (("C", -1),)),
    TypeTag("user", 1),
    TypeTag("attribute", 1, attribute=True),
]
BYTE = Int("", 1, 8)


def became(lacks: str) -> dict[int, Type]:
    """Number -> type, of those that changed, and of new ones."""
    made = sanitized(TYPES, {lacks})
    return {number: type for number, type in enumerate(made, 1) if number > len(TYPES) or type != TYPES[number - 1]}


@pytest.mark.parametrize(
    ("lacks", "changed"),
    [
        ("func", {5: Enum("", 4, False, ()), 6: Typedef("f", 5)}),
        ("func_global", {6: Func("f", 5, Linkage.STATIC)}),
        ("datasec", {7: Int("v", 1, 8), 8: Struct("_data_x", 8, (Member("v", 7, 0),))}),
        ("float", {2: Struct("float", 4, ())}),
        ("decl_tag", {4: Int("t", 1, 8)}),
        ("type_tag", {11: Const(1), 12: Const(1)}),
        ("tag_attribute", {12: Const(1)}),
        (
            "enum64",
            {
                9: Union("wide", 8, (Member("A", 13, 0), Member("B", 13, 0))),
                10: Enum("signed", 4, False, (("C", 0xFFFF_FFFF),)),
                13: Int("enum64_value", 1, 8),
            },
        ),
    ],
)
def test_what_is_lacking_is_replaced(lacks: str, changed: dict[int, Type]) -> None:
    assert became(lacks) == changed


def test_nothing_lacking_nothing_changed() -> None:
    assert sanitized(TYPES, ()) == TYPES


def encoded(types: list[Type]) -> bytes:
    builder = BtfBuilder(sys.byteorder)
    for type in types:
        builder.define(builder.reserve(), type)
    return builder.encode()


@pytest.mark.parametrize("lacks", [*SINCE, "all"])
def test_what_comes_out_is_sound(lacks: str) -> None:
    btf = Btf(encoded(sanitized(TYPES, set(SINCE) if lacks == "all" else {lacks})))
    check(btf)
    assert btf.size_of(3) == 8 and btf.size_of(9) == 8


@pytest.mark.kernel
@pytest.mark.parametrize("lacks", [*SINCE, "all"])
def test_the_kernel_takes_what_comes_out(lacks: str) -> None:
    from purebpf.kernel.btf import load_btf

    load_btf(encoded(sanitized(TYPES, set(SINCE) if lacks == "all" else {lacks})), "a test").close()


@pytest.mark.kernel
def test_the_kernel_takes_all_kinds_or_what_they_become() -> None:
    """On an old kernel `load_btf` replaces what it lacks, and says so."""
    from purebpf.kernel.btf import load_btf
    from purebpf.kernel.btf_features import has_btf

    lacks = [name for name in SINCE if not has_btf(name)]
    with load_btf(encoded(TYPES), "a test") as loaded:
        assert loaded.what == "the BTF of a test" + (f" (without {', '.join(lacks)})" if lacks else "")


@pytest.mark.kernel
@pytest.mark.parametrize("name", SINCE)
def test_kernels_have_what_came_before_them(name: str) -> None:
    from purebpf.kernel.btf_features import has_btf
    from purebpf.kernel.errors import kernel_version

    assert has_btf(name) or kernel_version() < SINCE[name]


@pytest.mark.kernel
def test_unknown_feature_is_told() -> None:
    from purebpf.errors import Error
    from purebpf.kernel.btf_features import has_btf

    with pytest.raises(Error, match="no probe of BTF for 'magic'"):
        has_btf("magic")


@pytest.mark.kernel
def test_nonsense_is_still_refused() -> None:
    from purebpf.errors import KernelError
    from purebpf.kernel.btf import load_btf

    for data in (b"nonsense", encoded([Struct("s", 4, (Member("a", 1, 0),))])):
        with pytest.raises(KernelError, match="Loading the BTF of a test"):
            load_btf(data, "a test")
