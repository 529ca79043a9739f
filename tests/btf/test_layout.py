"""Alignments and packing as C has them; tags; names without flavour."""

from __future__ import annotations

import pytest

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.names import essential_name
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.types import Array, Const, DeclTag, Func, Int, Kind, Linkage, Member, Ptr, Struct, Type, Union
from tests.btf.graphs import INT, LONG, U8, U64, task_btf

SCALARS = (U8, INT, U64, LONG, Int("__int128", 16, 128, signed=True))


def made(*types: Type) -> Btf:
    """BTF with the scalars as 1 to 5 (of 1, 4, 8, 8 and 16 bytes), and these from 6 on."""
    builder = BtfBuilder("little")
    for type in (*SCALARS, *types):
        builder.add(type)
    return Btf(builder.encode())


@pytest.mark.parametrize(
    ("type", "align", "packed"),
    [
        (Ptr(0), 8, False),
        (Array(2, 2, 3), 4, False),
        (Const(3), 8, False),
        (Struct("s", 16, (Member("a", 1, 0), Member("b", 3, 64))), 8, False),
        (Struct("s", 9, (Member("a", 1, 0), Member("b", 3, 8))), 1, True),
        (Struct("s", 12, (Member("a", 3, 0), Member("b", 2, 64))), 1, True),
        (Struct("s", 4, (Member("a", 2, 0, 3), Member("b", 2, 3, 29))), 4, False),
        (Struct("s", 8, (Member("a", 2, 0, 30), Member("b", 2, 30, 4))), 1, True),
        (Struct("s", 2, (Member("a", 1, 0, 5), Member("b", 1, 5, 5))), 1, True),
        (Struct("s", 32, (Member("a", 5, 128),)), 16, False),
        (Struct("s", 0, ()), 1, False),
        (Union("u", 8, (Member("a", 1, 0), Member("b", 3, 0))), 8, False),
        (Union("u", 9, (Member("a", 1, 0), Member("b", 3, 0))), 1, True),
    ],
)
def test_alignment_is_that_of_c(type: Type, align: int, packed: bool) -> None:
    btf = made(type)
    assert (btf.align_of(6), btf.is_packed(6)) == (align, packed)


def test_struct_that_contains_itself_has_no_alignment() -> None:
    btf = made(Struct("s", 8, (Member("a", 6, 0),)))
    with pytest.raises(BtfError, match="it contains itself"):
        btf.align_of(6)


def test_function_has_no_alignment() -> None:
    btf, _ = task_btf()
    with pytest.raises(BtfError, match="has no alignment: it is a func"):
        btf.align_of(btf.find("kick"))


def test_tags_are_found_by_what_they_are_on() -> None:
    btf, number = task_btf()
    assert btf.decl_tags(btf.find("kick", Kind.FUNC)) == ("bpf_kfunc",)
    assert btf.decl_tags(number) == ()
    assert btf.decl_tags(number, 7) == ("rcu",)


def test_tags_of_a_module_on_types_of_its_base_count() -> None:
    base, number = task_btf()
    builder = BtfBuilder("little", base=base)
    builder.add(DeclTag("more", number, 7))
    own = builder.add(Func("own", base.find("kick"), Linkage.STATIC))
    builder.add(DeclTag("bpf_kfunc", own, -1))
    module = Btf(builder.encode(), base=base, origin="module")
    assert module.decl_tags(number, 7) == ("rcu", "more")
    assert module.decl_tags(own) == ("bpf_kfunc",)
    assert base.decl_tags(number, 7) == ("rcu",)


def test_types_of_some_kinds() -> None:
    btf, number = task_btf()
    assert list(btf.numbers(Kind.STRUCT, Kind.UNION)) == [number, btf.type(number).members[5].type]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "essential"),
    [
        ("task_struct", "task_struct"),
        ("task_struct___old", "task_struct"),
        ("a___b___c", "a___b"),
        ("a____b", "a____b"),
        ("___a", "___a"),
        ("a___", "a___"),
        ("", ""),
    ],
)
def test_flavour_is_dropped(name: str, essential: str) -> None:
    assert essential_name(name) == essential


def test_many_names_are_found_like_few() -> None:
    builder = BtfBuilder("little")
    names = [f"n{i}" for i in range(40)]
    for name in names:
        builder.add(Struct(name, 0, ()))
    btf = Btf(builder.encode())
    assert [btf.find(name) for name in names] == list(range(1, 41))
    assert btf.types_named("n400") == []
