"""CO-RE: questions about types as a whole and about constants of enums."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from purebpf.btf.core import Answer, described, resolve
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.types import Array, FuncProto, Member, Parameter, Struct
from purebpf.errors import Error
from tests.btf.kit import Kit

EXISTS, SIZE, MATCHES = CoreKind.TYPE_EXISTS, CoreKind.TYPE_SIZE, CoreKind.TYPE_MATCHES
LOCAL, TARGET = CoreKind.TYPE_ID_LOCAL, CoreKind.TYPE_ID_TARGET
HAS, VALUE = CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE
Make = Callable[[Kit], int]


def ask(local: Kit, type: int, kind: CoreKind, *targets: Kit, access: str = "0") -> Answer:
    return resolve(local.btf(), CoreRelocation(0, kind, type, access), [target.btf() for target in targets])


def test_a_types_number_and_size() -> None:
    local, target = Kit(), Kit()
    s = local.struct("s", ("a", local.u32))
    target.struct("other", ("a", target.u32))
    number = target.struct("s", ("a", target.u32), ("b", target.u64))
    assert ask(local, s, LOCAL, target) == Answer(s, s, exact=False)
    assert ask(local, s, TARGET, target) == Answer(number, s, exact=False)
    assert ask(local, s, SIZE, target) == Answer(16, 4)
    assert ask(local, s, EXISTS, target) == Answer(1, 1)


def test_what_is_not_there_is_0_for_types() -> None:
    local = Kit()
    s = local.struct("s", ("a", local.u32))
    for kind in (TARGET, SIZE, EXISTS, MATCHES):
        answer = ask(local, s, kind, Kit())
        assert (answer.value, answer.missing) == (0, "")
    assert ask(local, s, LOCAL).value == s


def test_what_is_inside_does_not_matter_for_existence() -> None:
    local, target = Kit(), Kit()
    s = local.struct("s", ("a", local.u32))
    target.struct("s", ("b", target.ptr()))
    assert ask(local, s, EXISTS, target).value == 1
    assert ask(local, s, MATCHES, target).value == 0


@pytest.mark.parametrize(
    "mine, its, exists",
    [
        (lambda k: k.typedef("t", k.u32), lambda k: k.typedef("t", k.s64), 1),
        (lambda k: k.typedef("t", k.u32), lambda k: k.typedef("t", k.ptr()), 0),
        (lambda k: k.typedef("t", k.ptr(k.u32)), lambda k: k.typedef("t", k.ptr(k.struct("s", ("a", k.u32)))), 0),
        (lambda k: k.typedef("t", k.ptr(k.u32)), lambda k: k.typedef("t", k.ptr(k.u8)), 1),
        (lambda k: k.typedef("t", k.array(k.u32, 2)), lambda k: k.typedef("t", k.array(k.u32, 5)), 1),
        (lambda k: k.typedef("t", k.ptr()), lambda k: k.typedef("t", k.ptr()), 1),
        (lambda k: k.fwd("s"), lambda k: k.fwd("s"), 1),
        (lambda k: k.fwd("s"), lambda k: k.struct("s", ("a", k.u32)), 0),
        (lambda k: k.enum("e", A=1), lambda k: k.enum("e", size=8, B=1), 1),
        (lambda k: k.float("double", 8), lambda k: k.float("double", 8), 0),
        (lambda k: k.u32, lambda k: k.u32, 1),
    ],
)
def test_existence_of_types(mine: Make, its: Make, exists: int) -> None:
    local, target = Kit(), Kit()
    number = mine(local)
    its(target)
    assert ask(local, number, EXISTS, target).value == exists


def proto(k: Kit, *types: int, returns: int = 0) -> int:
    return k.ptr(k.add(FuncProto(returns, tuple(Parameter("", type) for type in types)), 0))


@pytest.mark.parametrize("kind", [EXISTS, MATCHES])
def test_functions_by_their_arguments(kind: CoreKind) -> None:
    local, target = Kit(), Kit()
    for name, mine in (("one", (local.u32, local.ptr())), ("two", (local.u32,)), ("three", (local.ptr(), local.u32))):
        local.typedef(name, proto(local, *mine, returns=local.s32))
    for name in ("one", "two", "three"):
        target.typedef(name, proto(target, target.u32, target.ptr(), returns=target.s32))
    types = {name: local.btf().find(name) for name in ("one", "two", "three")}
    assert {name: ask(local, number, kind, target).value for name, number in types.items()} == {"one": 1, "two": 0, "three": 0}
    other = Kit()
    other.typedef("one", proto(other, other.u32, other.ptr(), returns=other.ptr()))
    assert ask(local, types["one"], kind, other).value == 0


def test_a_match_takes_every_field_and_no_order() -> None:
    local, target = Kit(), Kit()
    inner = local.struct("inner", ("x", local.u32))
    s = local.struct("s", ("a", local.u32), ("in", inner), ("b", local.array(local.u8, 4)))
    its = target.struct("inner", ("more", target.u64), ("x", target.u32))
    target.struct("s", ("b", target.array(target.u8, 4)), ("in", its), ("new", target.u64), ("a", target.u32))
    assert ask(local, s, MATCHES, target).value == 1
    less = Kit()
    less.struct("s", ("b", less.array(less.u8, 4)), ("a", less.u32))
    assert ask(local, s, MATCHES, less).value == 0


@pytest.mark.parametrize(
    "mine, its, matches",
    [
        (lambda k: k.u32, lambda k: k.int("unsigned int", 8), 0),
        (lambda k: k.u32, lambda k: k.int("unsigned int", 4, signed=True), 0),
        (lambda k: k.u32, lambda k: k.int("unsigned int", 4), 1),
        (lambda k: k.u32, lambda k: k.int("u32", 4), 0),  # an integer's own name counts
        (lambda k: k.typedef("u32", k.u32), lambda k: k.typedef("__u32", k.u32), 1),  # a typedef's does not
        (lambda k: k.array(k.u8, 4), lambda k: k.array(k.u8, 5), 0),
        (lambda k: k.struct("x", ("a", k.u32)), lambda k: k.struct("y", ("a", k.u32)), 0),
        (lambda k: k.struct("x___f", ("a", k.u32)), lambda k: k.struct("x", ("a", k.u32)), 1),
        (lambda k: k.struct("x", ("a", k.u32)), lambda k: k.union("x", ("a", k.u32)), 0),
        (lambda k: k.ptr(k.struct("x", ("a", k.u32))), lambda k: k.ptr(k.struct("x", ("b", k.u32))), 1),
        (lambda k: k.ptr(k.struct("x", ("a", k.u32))), lambda k: k.ptr(k.fwd("x")), 1),
        (lambda k: k.ptr(k.struct("x", ("a", k.u32))), lambda k: k.ptr(k.fwd("x", union=True)), 0),
        (lambda k: k.ptr(k.fwd("x", union=True)), lambda k: k.ptr(k.union("x", ("b", k.u32))), 1),
        (lambda k: k.ptr(k.fwd("x")), lambda k: k.ptr(k.fwd("x")), 1),
        (lambda k: k.ptr(k.fwd("x")), lambda k: k.ptr(k.fwd("x", union=True)), 0),
        (lambda k: k.ptr(k.struct("x", ("a", k.u32))), lambda k: k.ptr(k.struct("y", ("a", k.u32))), 0),
        (lambda k: k.ptr(), lambda k: k.ptr(), 1),
        (lambda k: k.ptr(), lambda k: k.ptr(k.u8), 0),
        (lambda k: k.enum("e", A=1), lambda k: k.enum("e", B=0, A=2), 1),
        (lambda k: k.enum("e", A=1, C=2), lambda k: k.enum("e", B=0, A=2), 0),
        (lambda k: k.enum("e", A=1, C=2), lambda k: k.enum("e", A=1), 0),
        (lambda k: k.enum("e", size=8, A=1), lambda k: k.enum("e", A=1), 0),
        (lambda k: k.enum("e", A___v1=1), lambda k: k.enum("e", A___v2=1), 1),
        (lambda k: k.union("", ("a", k.u32)), lambda k: k.union("", ("b", k.u8), ("a", k.u32)), 1),
        (lambda k: k.float("float", 4), lambda k: k.float("float", 4), 0),
    ],
)
def test_what_a_member_must_have_to_match(mine: Make, its: Make, matches: int) -> None:
    local, target = Kit(), Kit()
    s = local.struct("s", ("f", mine(local)))
    target.struct("s", ("f", its(target)))
    assert ask(local, s, MATCHES, target).value == matches


def test_types_too_deep_are_an_error_and_not_a_hang() -> None:
    k = Kit()
    number = k.builder.reserve()
    k.builder.define(number, Struct("s", 8, tuple(Member(f"m{i}", number, 0) for i in range(9))))
    target = Kit()
    its = target.builder.reserve()
    target.builder.define(its, Struct("s", 8, tuple(Member(f"m{i}", its, 0) for i in range(9))))
    with pytest.raises(Error, match="inside of one another"):
        ask(k, number, MATCHES, target)
    a = k.builder.reserve()
    k.builder.define(a, Array(a, k.u32, 2))
    k.sizes[a] = 0, 1
    t = k.typedef("t", a)
    with pytest.raises(Error, match=r"behind more than 32|more than 64"):
        ask(k, t, EXISTS, k)


def test_constants_by_name() -> None:
    local, target = Kit(), Kit()
    e = local.enum("e", A=1, B=2, GONE=3)
    target.enum("e___new", NEW=0, B=7, A=9)
    assert ask(local, e, VALUE, target, access="0") == Answer(9, 1)
    assert ask(local, e, VALUE, target, access="1") == Answer(7, 2)
    assert ask(local, e, HAS, target, access="1") == Answer(1, 1)
    assert ask(local, e, HAS, target, access="2") == Answer(0, 1)
    assert ask(local, e, VALUE, target, access="2").missing == "the enum `e___new` has no constant `GONE` there"


def test_constants_of_64_bits_and_below_0() -> None:
    local, target = Kit(), Kit()
    e = local.enum("e", A=1, B=2)
    target.enum("e", size=8, A=1 << 40, B=(1 << 64) - 1)
    assert ask(local, e, VALUE, target).value == 1 << 40
    assert ask(local, e, VALUE, target, access="1").value == (1 << 64) - 1
    signed = Kit()
    signed.enum("e", signed=True, A=-5, B=1)
    assert ask(local, e, VALUE, signed).value == -5


def test_constants_have_flavours_and_enums_typedefs() -> None:
    local, target = Kit(), Kit()
    e = local.typedef("e_t", local.enum("", A___old=1))
    target.typedef("e_t", target.enum("other", A=4))
    assert ask(local, e, VALUE, target).value == 4
    target = Kit()
    target.typedef("e_t", target.u32)
    assert ask(local, e, VALUE, target).missing == "`e_t` is no enum there"


def test_enums_that_disagree_are_an_error() -> None:
    local, target = Kit(), Kit()
    e = local.enum("e", A=1)
    target.enum("e", A=2)
    target.enum("e", A=3)
    with pytest.raises(Error, match=r"several types for e\.A, and they do not agree: 2, 3"):
        ask(local, e, VALUE, target)


@pytest.mark.parametrize("kind, access", [(VALUE, "1"), (VALUE, "0:0"), (EXISTS, "1"), (SIZE, "0:0"), (HAS, "x")])
def test_an_access_that_makes_no_sense_is_an_error(kind: CoreKind, access: str) -> None:
    k = Kit()
    with pytest.raises(Error):
        ask(k, k.enum("e", A=1), kind, k, access=access)
    with pytest.raises(Error):
        ask(k, k.struct("s", ("a", k.u32)), VALUE, k)


def test_relocations_are_told_as_one_writes_them() -> None:
    k = Kit()
    inner = k.struct("inner", ("x", k.array(k.u32, 4)))
    s = k.struct("s", ("", k.struct("", ("in", inner))))
    e = k.enum("e", A=1)
    btf = k.btf()
    assert described(btf, CoreRelocation(0, CoreKind.FIELD_EXISTS, s, "0:0:0:0:3")) == "s.in.x[3]"
    assert described(btf, CoreRelocation(0, CoreKind.FIELD_EXISTS, s, "2:0:0")) == "s[2].in"
    assert described(btf, CoreRelocation(0, VALUE, e, "0")) == "e.A"
    assert described(btf, CoreRelocation(0, SIZE, s, "0")) == "s"
