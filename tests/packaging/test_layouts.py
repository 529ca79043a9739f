"""Classes of a package read and write bytes as BTF says: against `btf/values.py`, for random types and for hand-made ones."""

from __future__ import annotations

from enum import IntEnum
from random import Random
from struct import unpack
from typing import Any

import pytest

import purebpf.skeleton
from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.types import Int, Member, Ptr, Struct, Typedef, TypeTag
from purebpf.errors import Error
from purebpf.lang.fixed import record
from purebpf.lang.types import StructType, Type
from purebpf.objects.layouts import Layouts
from purebpf.packaging.classes import Classes
from tests.btf.kit import Kit
from tests.btf.random_types import build, draw_composite


def classes(btf: Btf, *numbers: int) -> tuple[list[str], dict[str, Any]]:
    """The expressions for types, and a namespace with the classes that a package would have for them."""
    layouts, made = Layouts(btf), Classes(set())
    expressions = [made.expression(layouts.layout(number, "unnamed")) for number in numbers]
    names: dict[str, Any] = {"_s": purebpf.skeleton, "IntEnum": IntEnum, "__name__": "made"}
    exec("\n".join(made.code), names)
    compile("\n".join(made.stubs), "stubs", "exec")
    return expressions, names


def same(mine: Any, theirs: Any) -> bool:
    """Whether a value of a generated class is what `btf.value` gives."""
    if isinstance(theirs, dict):
        return all(
            not value or same(getattr(mine, name), value) for name, value in theirs.items() if hasattr(mine, name) or value
        )
    if isinstance(theirs, list):
        if isinstance(mine, bytes):
            return list(mine) == theirs
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    if isinstance(mine, IntEnum):
        return bool(mine.name == theirs)
    if isinstance(mine, bytes):
        (number,) = unpack("<d", mine)
        return bool(number == theirs or number != number)
    return isinstance(theirs, str) or bool(mine == theirs)  # a value of an enum without a name is a number here


@pytest.mark.parametrize("part", range(8))
def test_random_types_mean_the_same_as_to_btf(part: int) -> None:
    random = Random(part)
    for _ in range(60):
        kit = Kit()
        number = build(kit, draw_composite(random, "made"))
        btf = kit.btf()
        (expression,), names = classes(btf, number)
        made = eval(expression, names)
        for _ in range(6):
            raw = random.choice((random.randbytes, lambda n: b"\xff" * n, bytes))(btf.size_of(number))
            value = made.from_bytes(raw)
            assert same(value, btf.value(number, raw)), (btf.value(number, raw), value)
            again = value.to_bytes()
            assert len(again) == len(raw)
            assert repr(btf.value(number, again)) == repr(btf.value(number, raw))  # NaN is not equal to itself
            assert made.from_bytes(again) == value


def test_fields_of_all_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Kit()
    char = kit.int("char", 1, signed=True)
    color = kit.enum("color", RED=1, mro=2, **{"None": 3})
    kinds = kit.struct(
        "kinds",
        ("name", kit.array(char, 6)),
        ("mac", kit.array(kit.u8, 6)),
        ("port", kit.typedef("__be16", kit.u16)),
        ("where", kit.ptr()),
        ("color", color),
        ("colors", kit.array(color, 2)),
        ("low", kit.s32, 3),
        ("flag", kit.u32, 1),
        ("shade", color, 4),
        ("from", kit.u16),
        ("to_bytes", kit.u8),
    )
    (expression,), names = classes(kit.btf(), kinds)
    made, color_class = names[expression], names["color"]
    value = made(
        name="ab", mac=b"\1\2\3\4\5\6", port=80, where=1 << 40, color=color_class.RED, low=-4, flag=1, from_=7, to_bytes_=9
    )
    value.colors, value.shade = [color_class.RED, 99], color_class.mro_
    raw = value.to_bytes()
    assert raw[12:14] == b"\0\x50"
    read = made.from_bytes(raw)
    assert read == value
    assert (read.color, read.colors, read.shade) == (color_class.RED, [color_class.RED, 99], color_class.mro_)
    assert isinstance(read.color, color_class) and isinstance(read.shade, color_class)
    assert (read.low, read.flag, read.name, read.port, read.from_, read.to_bytes_) == (-4, 1, "ab", 80, 7, 9)
    assert made.from_bytes(made(name="abcdef").to_bytes()).name == "abcdef"  # a char[6] in C need not have a NUL
    for wrong in ({"low": 4}, {"low": -5}, {"flag": 2}, {"name": "abcdefg"}, {"mac": b""}):
        with pytest.raises(ValueError):
            made(**wrong).to_bytes()


def test_members_that_share_bytes_are_views_of_them() -> None:
    kit = Kit()
    pair = kit.struct("", ("low", kit.u16), ("high", kit.s32, 5), ("rest", kit.s32, 11))
    shared = kit.union("", ("whole", kit.u64), ("", pair))
    named = kit.union("address", ("v4", kit.typedef("__be32", kit.u32)), ("v6", kit.array(kit.u8, 16)))
    outer = kit.struct("outer", ("id", kit.u32), ("", shared), ("address", named))
    (expression,), names = classes(kit.btf(), outer)
    value = names[expression](id=3, whole=0xF_FFFF)
    assert (value.low, value.high, value.rest) == (0xFFFF, 0b01111, 0)
    value.high = -1
    assert value.whole == 0x1F_FFFF
    value.address.v4 = 0x0A000001
    assert value.address.v6[:5] == b"\x0a\0\0\x01\0"
    assert value.to_bytes()[:16] == bytes.fromhex("0300000000000000ffff1f0000000000")
    assert names[expression].from_bytes(value.to_bytes()) == value
    with pytest.raises(TypeError, match="no field `none`"):
        names[expression](none=1)


def test_what_the_kernel_keeps_has_no_value() -> None:
    builder = BtfBuilder("little")
    word = builder.add(Int("unsigned int", 4, 32))
    lock = builder.add(Struct("bpf_spin_lock", 4, (Member("val", word, 0),)))
    task = builder.add(Struct("task_struct", 4, (Member("pid", word, 0),)))
    kept = builder.add(Ptr(builder.add(TypeTag("kptr", task))))
    plain = builder.add(Ptr(task))
    members = (Member("lock", lock, 0), Member("n", word, 32), Member("held", kept, 64), Member("address", plain, 128))
    value = builder.add(Struct("value", 24, members))
    (expression,), names = classes(Btf(builder.encode()), value)
    made = names[expression](n=5, address=6)
    assert repr(made) == "value(n=5, address=6)"
    assert names[expression].from_bytes(b"\xff" * 4 + made.to_bytes()[4:]).to_bytes() == made.to_bytes()


def test_structs_that_are_packed_keep_their_layout() -> None:
    builder = BtfBuilder("little")
    octet, wide = builder.add(Int("unsigned char", 1, 8)), builder.add(Int("unsigned long long", 8, 64))
    bits = builder.add(Int("unsigned int", 4, 32))
    members = (Member("a", octet, 0), Member("b", wide, 8), Member("c", bits, 72, 3), Member("d", bits, 75, 20))
    packed = builder.add(Struct("packed", 12, members))
    (expression,), names = classes(Btf(builder.encode()), packed)
    value = names[expression](a=1, b=2, c=5, d=0xABCDE)
    assert value.to_bytes().hex() == "010200000000000000" + (5 | 0xABCDE << 3).to_bytes(3, "little").hex()
    assert names[expression].from_bytes(value.to_bytes()) == value


def test_bits_that_no_integer_holds_are_an_error() -> None:
    builder = BtfBuilder("little")
    bits = builder.add(Int("unsigned int", 4, 32))
    tight = builder.add(Struct("tight", 3, (Member("a", bits, 0, 20),)))
    with pytest.raises(
        Error, match=r"the 20 bits of `tight\.a` from bit 0 on lie in no integer inside of the struct's 3 bytes"
    ):
        classes(Btf(builder.encode()), tight)


def test_equal_types_are_one_class_and_others_have_other_names() -> None:
    first, second = Kit(), Kit()
    here = [kit.struct("pair", ("a", kit.u32), ("b", kit.u32)) for kit in (first, second)]
    other = second.struct("pair", ("a", second.u64))
    nameless = second.typedef("pair_t", second.struct("", ("x", second.u8)))
    made = Classes({"Taken"})
    layouts: list[Type] = [Layouts(first.btf()).layout(here[0])]
    layouts += [Layouts(second.btf()).layout(number) for number in (here[1], other, nameless)]
    assert [made.expression(layout) for layout in layouts] == ["pair", "pair", "pair_", "pair_t"]


def test_types_that_contain_themselves_are_an_error() -> None:
    builder = BtfBuilder("little")
    number = builder.reserve()
    builder.define(number, Struct("self", 8, (Member("me", number, 0),)))
    loop = builder.reserve()
    builder.define(loop, Typedef("loop", loop))
    for each in (number, loop):
        with pytest.raises(Error):
            classes(Btf(builder.encode()), each)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", purebpf.skeleton.u32, 2)], "a `u32` of 4 bytes at 2 is outside of a record of 4"),
        ([("a", purebpf.skeleton.u8, 0, 5, 4)], "5 bits from bit 4 on are not in a `u8`"),
        ([("a", float, 0)], "has no layout"),
    ],
)
def test_layouts_that_cannot_be_are_refused(rows: list[tuple[Any, ...]], message: str) -> None:
    with pytest.raises(Error) as caught:
        record("made", "wrong", 4, 4, rows)
    assert message in str(caught.value)


def test_records_are_arrays_of_numpy_too() -> None:
    numpy = pytest.importorskip("numpy")
    kit = Kit()
    row = kit.struct("row", ("a", kit.u8), ("b", kit.u64), ("e", kit.enum("e", A=1)))
    (expression,), names = classes(kit.btf(), row)
    layout: StructType = names[expression].__bpf_type__
    assert names[expression].dtype.itemsize == layout.size == 24
    rows = numpy.frombuffer(names[expression](a=1, b=2, e=1).to_bytes(), names[expression].dtype)
    assert (rows["a"][0], rows["b"][0], rows["e"][0]) == (1, 2, 1)
