"""CO-RE: fields found again in another kernel's types, and what is answered about them."""

from __future__ import annotations

import pytest

from purebpf.btf.core import Answer, resolve
from purebpf.btf.relocation import ANYTHING, CoreKind, CoreRelocation
from purebpf.btf.types import Member, Struct
from purebpf.errors import Error
from tests.btf.kit import Kit

OFFSET, SIZE, EXISTS, SIGNED = (
    CoreKind.FIELD_BYTE_OFFSET,
    CoreKind.FIELD_BYTE_SIZE,
    CoreKind.FIELD_EXISTS,
    CoreKind.FIELD_SIGNED,
)
LSHIFT, RSHIFT = CoreKind.FIELD_LSHIFT_U64, CoreKind.FIELD_RSHIFT_U64


def ask(local: Kit, type: int, access: str, kind: CoreKind, *targets: Kit) -> Answer:
    return resolve(local.btf(), CoreRelocation(0, kind, type, access), [target.btf() for target in targets])


def simple(**change: int) -> tuple[Kit, int]:
    k = Kit()
    return k, k.struct("s", ("first", k.u32), ("second", k.u32))


def test_a_field_has_the_offset_of_the_target() -> None:
    local, s = simple()
    target = Kit()
    target.struct("s", ("new", target.u64), ("second", target.u32), ("first", target.u32))
    assert ask(local, s, "0:0", OFFSET, target) == Answer(12, 0, size=4, local_size=4)
    assert ask(local, s, "0:1", OFFSET, target) == Answer(8, 4, size=4, local_size=4)


def test_the_same_types_give_the_same_answer() -> None:
    local, s = simple()
    assert ask(local, s, "0:1", OFFSET, local) == Answer(4, 4, size=4, local_size=4)


def test_existence_is_answered_with_0_and_other_questions_have_no_answer() -> None:
    local, s = simple()
    target = Kit()
    target.struct("s", ("first", target.u32))
    assert ask(local, s, "0:1", EXISTS, target) == Answer(0, 1)
    assert ask(local, s, "0:0", EXISTS, target) == Answer(1, 1)
    for kind in (OFFSET, SIZE, SIGNED, LSHIFT, RSHIFT):
        assert ask(local, s, "0:1", kind, target).missing == "`s` has no field `second` there"
        assert ask(local, s, "0:1", kind, Kit()).missing == "there is no struct of that name"
        assert ask(local, s, "0:1", kind).missing == "there is no struct of that name"


def test_flavours_of_a_name_are_one_type() -> None:
    local, target = Kit(), Kit()
    old = local.struct("s___old", ("a", local.u32))
    target.struct("s", ("b", target.u32), ("a", target.u32))
    assert ask(local, old, "0:0", OFFSET, target).value == 4
    other, plain = Kit(), Kit()
    other.struct("s___2", ("b", other.u64), ("a", other.u32))
    mine = plain.struct("s", ("a", plain.u32))
    assert ask(plain, mine, "0:0", OFFSET, other).value == 8


@pytest.mark.parametrize("name", ["s____old", "s__old", "s___", "other___s", "xs___old", "s___a___b"])
def test_other_names_are_no_flavours(name: str) -> None:
    local, s = simple()
    target = Kit()
    target.struct(name, ("second", target.u32))
    assert ask(local, s, "0:1", EXISTS, target).value == 0


def test_anonymous_structs_and_unions_do_not_matter() -> None:
    local, s = simple()
    target = Kit()
    inner = target.union("", ("x", target.u64), ("second", target.u32))
    outer = target.struct("", ("y", target.u32), ("", inner))
    target.struct("s", ("z", target.u32), ("", outer), ("first", target.u32))
    assert ask(local, s, "0:1", OFFSET, target).value == 16
    # and the other way round: access "0:1:1:1" goes through the anonymous ones
    number = next(n for n in target.btf().types_named("s"))
    assert ask(target, number, "0:1:1:1", OFFSET, local) == Answer(4, 16, size=4, local_size=4)


def test_embedded_structs_are_walked_by_name() -> None:
    local, target = Kit(), Kit()
    li = local.struct("inner", ("a", local.u32), ("b", local.u32))
    s = local.struct("s", ("in", li))
    ti = target.union("whatever", ("b", target.u32), ("a", target.u32))
    target.struct("s", ("pad", target.u64), ("in", target.typedef("alias", ti)))
    assert ask(local, s, "0:0:1", OFFSET, target) == Answer(8, 4, size=4, local_size=4)


def test_a_typedef_of_a_struct_is_found_as_a_typedef_only() -> None:
    local, target = Kit(), Kit()
    s = local.typedef("t", local.struct("", ("a", local.u32)))
    target.typedef("t", target.struct("", ("b", target.u32), ("a", target.u32)))
    assert ask(local, s, "0:0", OFFSET, target).value == 4
    other = Kit()
    other.struct("t", ("b", other.u32), ("a", other.u32))
    assert ask(local, s, "0:0", EXISTS, other).value == 0


def test_structs_are_not_found_as_unions() -> None:
    local, s = simple()
    target = Kit()
    target.union("s", ("first", target.u32))
    assert ask(local, s, "0:0", EXISTS, target).value == 0


def test_elements_of_arrays_are_within_bounds() -> None:
    local, target = Kit(), Kit()
    s = local.struct("s", ("a", local.array(local.array(local.u16, 4), 8)))
    target.struct("s", ("b", target.u32), ("a", target.array(target.array(target.u16, 3), 6)))
    assert ask(local, s, "0:0:5:2", OFFSET, target) == Answer(4 + 5 * 6 + 2 * 2, 5 * 8 + 2 * 2, size=2, local_size=2)
    assert ask(local, s, "0:0:5", SIZE, target) == Answer(6, 8)
    assert ask(local, s, "0:0:6:0", OFFSET, target).missing == "`s.a` has no element 6 there"
    assert ask(local, s, "0:0:5:3", OFFSET, target).missing == "`s.a[5]` has no element 3 there"
    assert ask(local, s, "0:0:5:3", EXISTS, target).value == 0


def test_an_index_at_the_start_counts_whole_structs() -> None:
    local, s = simple()
    target = Kit()
    target.struct("s", ("first", target.u64), ("second", target.u32))
    assert ask(local, s, "3:1", OFFSET, target) == Answer(3 * 16 + 8, 3 * 8 + 4, size=4, local_size=4)


def test_flexible_arrays_have_any_element_at_the_end_of_a_struct_only() -> None:
    local, target = Kit(), Kit()
    s = local.struct("s", ("n", local.u32), ("a", local.array(local.u32, 0)))
    target.struct("s", ("n", target.u64), ("a", target.array(target.u32, 0)))
    assert ask(local, s, "0:1:7", OFFSET, target) == Answer(8 + 28, 4 + 28, size=4, local_size=4)
    inside = Kit()
    inside.struct("s", ("n", inside.u64), ("a", inside.array(inside.u32, 0)), ("end", inside.u32))
    assert ask(local, s, "0:1:0", EXISTS, inside).value == 0
    with pytest.raises(Error, match="leads into a array without a part 0"):
        k = Kit()
        wrong = k.struct("s", ("a", k.array(k.u32, 0)), ("n", k.u32))
        ask(k, wrong, "0:0:0", OFFSET, target)


def test_a_field_of_another_kind_is_not_the_field() -> None:
    for make, other in (
        (lambda k: k.ptr(), lambda k: k.u64),
        (lambda k: k.u64, lambda k: k.struct("x", ("y", k.u64))),
        (lambda k: k.u32, lambda k: k.array(k.u32, 1)),
        (lambda k: k.u32, lambda k: k.enum("e", A=1)),
        (lambda k: k.float("double", 8), lambda k: k.u64),
        (lambda k: k.enum("e", A=1), lambda k: k.enum("f", A=1)),
        (lambda k: k.array(k.u32, 2), lambda k: k.array(k.ptr(), 2)),
    ):
        local, target = Kit(), Kit()
        s = local.struct("s", ("a", make(local)))
        target.struct("s", ("a", other(target)))
        assert ask(local, s, "0:0", EXISTS, target).value == 0
        assert "a field `a` of another kind there" in ask(local, s, "0:0", OFFSET, target).missing


def test_a_field_of_a_compatible_kind_is_the_field() -> None:
    for make, other in (
        (lambda k: k.ptr(), lambda k: k.ptr(k.u32)),
        (lambda k: k.u64, lambda k: k.int("char", 1, signed=True)),
        (lambda k: k.struct("x", ("y", k.u64)), lambda k: k.union("z", ("w", k.u64))),
        (lambda k: k.enum("e", A=1), lambda k: k.enum("e___v", size=8, B=1)),
        (lambda k: k.enum("", A=1), lambda k: k.enum("f", A=1)),
        (lambda k: k.float("float", 4), lambda k: k.float("double", 8)),
        (lambda k: k.array(k.u32, 2), lambda k: k.array(k.u8, 7)),
        (lambda k: k.typedef("t", k.u32), lambda k: k.u32),
    ):
        local, target = Kit(), Kit()
        s = local.struct("s", ("a", make(local)))
        target.struct("s", ("b", target.u64), ("a", other(target)))
        assert ask(local, s, "0:0", OFFSET, target).value == 8


def test_a_field_of_which_only_the_name_is_known_is_there_whatever_it_is() -> None:
    for make in (
        lambda k: k.ptr(),
        lambda k: k.struct("x", ("y", k.u64)),
        lambda k: k.array(k.ptr(), 3),
        lambda k: k.enum("e", A=1),
        lambda k: k.float("float", 4),
        lambda k: k.u8,
    ):
        local, target = Kit(), Kit()
        s = local.struct("s", ("a", local.typedef(ANYTHING, local.s32)))
        target.struct("s", ("b", target.u64), ("a", make(target)))
        assert ask(local, s, "0:0", EXISTS, target).value == 1
        assert ask(local, s, "0:0", EXISTS, Kit()).value == 0


def test_signs_are_told() -> None:
    local, target = Kit(), Kit()
    s = local.struct("s", ("a", local.u32), ("b", local.s32), ("c", local.enum("e", A=1)), ("d", local.ptr()))
    kinds = (target.s32, target.u32, target.enum("e", signed=True, A=1), target.ptr())
    target.struct("s", *zip("abcd", kinds, strict=True))
    assert [ask(local, s, f"0:{i}", SIGNED, target).value for i in range(4)] == [1, 0, 1, 0]
    assert [ask(local, s, f"0:{i}", SIGNED, target).local for i in range(4)] == [0, 1, 0, 0]


def test_sizes_and_whether_a_load_of_the_other_size_means_the_same() -> None:
    for make, other, resizable in (
        (lambda k: k.u32, lambda k: k.u64, True),
        (lambda k: k.s32, lambda k: k.s64, False),
        (lambda k: k.u32, lambda k: k.s64, False),
        (lambda k: k.enum("e", A=1), lambda k: k.enum("e", size=8, A=1), False),
        (lambda k: k.struct("x", ("y", k.u32)), lambda k: k.struct("x", ("y", k.u64)), False),
    ):
        local, target = Kit(), Kit()
        s = local.struct("s", ("a", make(local)))
        target.struct("s", ("a", other(target)))
        assert ask(local, s, "0:0", OFFSET, target) == Answer(0, 0, size=8, local_size=4, resizable=resizable)
        assert ask(local, s, "0:0", SIZE, target) == Answer(8, 4)


def test_pointers_of_a_32_bit_kernel_are_smaller() -> None:
    local, target = Kit(), Kit(word=4)
    s = local.struct("s", ("a", local.ptr()), ("b", local.ptr()))
    target.struct("s", ("a", target.ptr()), ("b", target.ptr()))
    assert ask(local, s, "0:1", OFFSET, target) == Answer(4, 8, size=4, local_size=8, resizable=True)


def test_bit_fields_little_endian() -> None:
    local, target = Kit(), Kit()
    s = local.struct("s", ("a", local.u32, 3), ("b", local.u32, 7))
    target.struct("s", ("x", target.u32, 30), ("b", target.u32, 5), ("y", target.u64))
    # b is bits 0 to 4 of the word at byte 4
    assert ask(local, s, "0:1", OFFSET, target) == Answer(4, 0, exact=False)
    assert ask(local, s, "0:1", SIZE, target) == Answer(4, 4, exact=False)
    assert ask(local, s, "0:1", LSHIFT, target) == Answer(64 - 5, 64 - 10, exact=False)
    assert ask(local, s, "0:1", RSHIFT, target) == Answer(64 - 5, 64 - 7)
    assert ask(local, s, "0:1", SIGNED, target) == Answer(0, 0)


def test_bit_fields_big_endian() -> None:
    local, target = Kit("big"), Kit("big")
    s = local.struct("s", ("a", local.u32, 3), ("b", local.u32, 7))
    target.struct("s", ("x", target.u32, 11), ("b", target.u32, 5))
    assert ask(local, s, "0:1", LSHIFT, target) == Answer(32 + 11, 32 + 3, exact=False)
    assert ask(local, s, "0:1", RSHIFT, target) == Answer(64 - 5, 64 - 7)


def test_plain_fields_are_cut_out_of_64_bits_as_well() -> None:
    for order, shift in (("little", 48), ("big", 48)):
        k = Kit(order)  # type: ignore[arg-type]
        s = k.struct("s", ("x", k.u64), ("a", k.u16))
        assert ask(k, s, "0:1", LSHIFT, k) == Answer(shift, shift)
        assert ask(k, s, "0:1", RSHIFT, k) == Answer(48, 48)


def test_a_bit_field_across_two_words_is_in_a_wider_one() -> None:
    k = Kit()
    s = k.add(Struct("s", 8, (Member("a", k.u32, 0, 30), Member("b", k.u32, 30, 12))), 8, 4)
    assert ask(k, s, "0:1", SIZE, k).value == 8
    assert ask(k, s, "0:1", OFFSET, k).value == 0
    assert ask(k, s, "0:1", LSHIFT, k).value == 64 - 42
    wrong = k.add(Struct("t", 16, (Member("b", k.u32, 60, 12),)), 16, 8)
    with pytest.raises(Error, match="in no aligned integer of up to 8 bytes"):
        ask(k, wrong, "0:0", OFFSET, k)


def test_fields_that_are_no_integers_have_no_shifts() -> None:
    k = Kit()
    s = k.struct("s", ("a", k.array(k.u32, 4)), ("b", k.u32))
    with pytest.raises(Error, match="shifts are for integers"):
        ask(k, s, "0:0", LSHIFT, k)
    with pytest.raises(Error, match="cannot be asked of an element of an array"):
        ask(k, s, "0:0:1", SIGNED, k)


@pytest.mark.parametrize("access", ["", ":", "0:", ":0", "0:x", "-1", "0:-1", "0:2", "0:0:0", "0" + ":0" * 64, "0 :1", "٠"])
def test_an_access_that_leads_nowhere_is_an_error(access: str) -> None:
    local, s = simple()
    with pytest.raises(Error):
        ask(local, s, access, OFFSET, local)


@pytest.mark.parametrize("number", [0, -1, 99])
def test_a_type_that_is_not_there_is_an_error(number: int) -> None:
    local, _ = simple()
    with pytest.raises(Error, match="which the program does not have"):
        ask(local, number, "0:0", OFFSET, local)


def test_a_type_without_name_cannot_be_looked_for() -> None:
    k = Kit()
    s = k.struct("", ("a", k.u32))
    with pytest.raises(Error, match="without a name to look for"):
        ask(k, s, "0:0", OFFSET, k)
