"""CO-RE: which types of a kernel are asked, and what happens when they disagree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from purebpf.btf.core import Resolver, resolve
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.errors import Error
from tests.btf.kit import Kit

OFFSET, EXISTS = CoreKind.FIELD_BYTE_OFFSET, CoreKind.FIELD_EXISTS


def local() -> tuple[Btf, int]:
    k = Kit()
    number = k.struct("s", ("a", k.u32), ("b", k.u32))
    return k.btf(), number


def test_types_of_one_name_that_agree_are_no_trouble() -> None:
    mine, s = local()
    k = Kit()
    k.struct("s", ("x", k.u32), ("a", k.u32))
    k.struct("s", ("y", k.u32), ("a", k.u32), ("c", k.u32))
    assert resolve(mine, CoreRelocation(0, OFFSET, s, "0:0"), [k.btf()]).value == 4


def test_types_of_one_name_that_disagree_are_an_error() -> None:
    mine, s = local()
    k = Kit()
    k.struct("s", ("a", k.u32))
    k.struct("s___2", ("y", k.u32), ("a", k.u32))
    with pytest.raises(Error, match=r"several types for s\.a, and they do not agree: 0, 4"):
        resolve(mine, CoreRelocation(0, OFFSET, s, "0:0"), [k.btf()])
    with pytest.raises(Error, match="do not agree: bit 0, bit 32"):  # where it is matters for every question
        resolve(mine, CoreRelocation(0, EXISTS, s, "0:0"), [k.btf()])


def test_of_types_that_agree_the_first_tells_the_size() -> None:
    mine, s = local()
    k = Kit()
    k.struct("s___2", ("a", k.u64))
    k.struct("s", ("a", k.u32))
    assert resolve(mine, CoreRelocation(0, OFFSET, s, "0:0"), [k.btf()]).size == 8


def test_those_without_the_field_do_not_count() -> None:
    mine, s = local()
    k = Kit()
    k.struct("s", ("a", k.u32))
    k.struct("s", ("y", k.u32), ("b", k.u32))
    assert resolve(mine, CoreRelocation(0, OFFSET, s, "0:1"), [k.btf()]).value == 4


def test_a_type_that_had_an_earlier_field_stays_the_only_one() -> None:
    mine, s = local()
    k = Kit()
    k.struct("s", ("a", k.u32))
    k.struct("s", ("y", k.u32), ("a", k.u32), ("b", k.u32))
    resolver = Resolver(mine, [k.btf()])
    assert resolver.answer(CoreRelocation(0, OFFSET, s, "0:1")).value == 8
    assert resolver.answer(CoreRelocation(0, OFFSET, s, "0:0")).value == 4  # of both it would be ambiguous
    with pytest.raises(Error, match="do not agree"):
        Resolver(mine, [k.btf()]).answer(CoreRelocation(0, OFFSET, s, "0:0"))


def test_what_no_type_has_takes_none_away() -> None:
    mine, s = local()
    k = Kit()
    k.struct("s", ("y", k.u32), ("a", k.u32))
    resolver = Resolver(mine, [k.btf()])
    assert resolver.answer(CoreRelocation(0, EXISTS, s, "0:1")).value == 0
    assert resolver.answer(CoreRelocation(0, OFFSET, s, "0:0")).value == 4


def module(base: Btf, *names: str) -> Btf:
    k = Kit(base=base)
    for name in names:
        k.struct(name, ("pad", k.u64), ("a", k.u32))
    return k.btf()


def test_modules_are_asked_if_the_kernel_has_no_type_of_the_name() -> None:
    mine, s = local()
    k = Kit()
    k.struct("other", ("a", k.u32))
    kernel = k.btf()
    targets = [kernel, module(kernel, "x"), module(kernel, "s"), module(kernel, "s___3")]
    assert resolve(mine, CoreRelocation(0, OFFSET, s, "0:0"), targets).value == 8


def test_modules_are_not_opened_if_the_kernel_has_one() -> None:
    mine, s = local()
    k = Kit()
    k.struct("s", ("a", k.u32))

    def targets() -> Iterator[Btf]:
        yield k.btf()
        raise AssertionError("opened")

    assert resolve(mine, CoreRelocation(0, OFFSET, s, "0:0"), targets()).value == 0
    assert resolve(mine, CoreRelocation(0, EXISTS, s, "0:1"), targets()).value == 0


def test_a_modules_type_may_be_named_by_a_string_of_the_kernel() -> None:
    mine, s = local()
    k = Kit()
    k.union("s", ("a", k.u32))
    kernel = k.btf()
    split = Kit(base=kernel)
    split.builder._offsets["s"] = next(i for i in range(kernel.strings_size) if kernel.string(i) == "s")
    split.struct("s", ("pad", split.u64), ("a", split.u32))
    assert resolve(mine, CoreRelocation(0, OFFSET, s, "0:0"), [kernel, split.btf()]).value == 8


def test_modules_that_disagree_are_an_error() -> None:
    mine, s = local()
    kernel = Kit().btf()
    k = Kit(base=kernel)
    k.struct("s", ("a", k.u32))
    with pytest.raises(Error, match="do not agree"):
        resolve(mine, CoreRelocation(0, OFFSET, s, "0:0"), [kernel, module(kernel, "s"), k.btf()])
