"""The BTF reader: every kind, both byte orders, the running kernel's own, and bytes that are damaged in every way."""

from __future__ import annotations

import contextlib
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purebpf.btf import running
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import (
    Array,
    Const,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Kind,
    Linkage,
    Member,
    Parameter,
    Ptr,
    Restrict,
    Section,
    Struct,
    Typedef,
    TypeTag,
    Union,
    Var,
    Void,
    Volatile,
)
from purebpf.errors import Error, Unsupported
from tests.btf.make import Order, Writer, everything

EVERY_KIND = [
    Int("int", 4, 32, signed=True),
    Ptr(1),
    Array(1, 1, 7),
    Struct("thing", 8, (Member("first", 1, 0), Member("second", 1, 32, 3))),
    Union("thing", 4, (Member("first", 1, 0),)),
    Enum("choice", 4, True, (("A", -1), ("B", 2))),
    Fwd("thing", union=True),
    Typedef("first", 1),
    Volatile(8),
    Const(9),
    Restrict(2),
    Func("main", 13, Linkage.GLOBAL),
    FuncProto(1, (Parameter("first", 2), Parameter("", 0))),
    Var("second", 10, Linkage.EXTERN),
    DataSec("section", 4, (Section(14, 0, 4),)),
    Float("first", 8),
    DeclTag("A", 4, -1),
    TypeTag("B", 10),
    Enum64("choice", 8, False, (("A", 0x7FFF_FFFF_FFFF_FFFF),)),
]


@pytest.fixture(params=["little", "big"])
def btf(request: pytest.FixtureRequest) -> Btf:
    return Btf(everything(request.param).bytes())


@pytest.fixture(scope="module")
def vmlinux() -> Btf:
    try:
        return kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))


def test_every_kind_is_decoded(btf: Btf) -> None:
    assert btf.type(0) == Void()
    assert [btf.type(number) for number in range(1, len(btf))] == EVERY_KIND
    assert [btf.kind(number) for number in range(len(btf))] == list(Kind)
    assert list(btf) == list(enumerate(EVERY_KIND, 1))


def test_types_are_found_by_name_and_kind(btf: Btf) -> None:
    assert btf.types_named("thing") == [4, 5, 7]
    assert btf.find("thing", Kind.UNION) == 5
    assert btf.find("choice", (Kind.ENUM, Kind.ENUM64)) == 6
    assert btf.types_named("") == btf.types_named("nothing") == btf.types_named("first\0second") == []
    with pytest.raises(BtfError, match="BTF has no struct or union named 'nothing'"):
        btf.find("nothing", (Kind.STRUCT, Kind.UNION))


def test_name_may_be_the_tail_of_another_string() -> None:
    w = Writer()
    w.add(1, "int", 4, 32)
    w.types = w.words(w.at("second") + len("seco")) + w.types[4:]
    btf = Btf(w.bytes())
    assert btf.type(1) == Int("nd", 4, 32)
    assert btf.types_named("nd") == [1]
    assert btf.types_named("second") == []


def test_typedefs_and_qualifiers_are_seen_through(btf: Btf) -> None:
    assert btf.resolve(10) == btf.resolve(18) == btf.resolve(1) == 1
    assert btf.resolve(11) == 2


@pytest.mark.parametrize(
    ("number", "size"), [(1, 4), (2, 8), (3, 28), (4, 8), (5, 4), (6, 4), (10, 4), (14, 4), (15, 4), (19, 8)]
)
def test_sizes(btf: Btf, number: int, size: int) -> None:
    assert btf.size_of(number) == size


@pytest.mark.parametrize("number", [0, 7, 12, 13])
def test_what_has_no_size_says_so(btf: Btf, number: int) -> None:
    with pytest.raises(BtfError, match=f"type {number} has no size: it is a {Kind(number).name.lower()}"):
        btf.size_of(number)


def test_pointer_is_as_large_as_a_long() -> None:
    w = Writer()
    w.add(1, "long unsigned int", 4, 32)
    w.add(2, "", 1)
    assert Btf(w.bytes()).size_of(2) == 4


def test_split_btf_goes_on_where_its_base_ends() -> None:
    base = Btf(everything("little").bytes())
    w = Writer()
    w.types = w.words(w.at("thing"), 8 << 24, 4)
    own = b"module_thing\0"
    w.types += w.words(base.strings_size, 8 << 24, 20)
    w.strings = own
    split = Btf(w.bytes(), base=base, origin="module")
    assert (split.first, len(split)) == (20, 22)
    assert split.type(20) == Typedef("thing", 4)
    assert split.type(21) == Typedef("module_thing", 20)
    assert split.string(base.strings_size) == "module_thing"
    assert split.type(4) == base.type(4)
    assert split.types_named("thing") == [4, 5, 7, 20]
    assert split.types_named("module_thing") == [21]
    assert split.size_of(20) == split.size_of(21) == 8
    assert [number for number, _ in split] == [20, 21]


@pytest.mark.parametrize("kind", [8, 9, 10, 11, 18])
def test_chain_that_refers_to_itself_ends_in_an_error(kind: int) -> None:
    w = Writer()
    w.add(kind, "first" if kind in (8, 18) else "", 2)
    w.add(kind, "first" if kind in (8, 18) else "", 1)
    btf = Btf(w.bytes())
    for use in (btf.resolve, btf.size_of):
        with pytest.raises(BtfError, match="it refers to itself"):
            use(1)


@pytest.mark.parametrize(
    ("length", "said"), [(1, "more than 64 dimensions; it refers to itself"), (2, "an array of 4294967296")]
)
def test_array_of_itself_ends_in_an_error(length: int, said: str) -> None:
    w = Writer()
    w.add(3, "", 0, 1, 1, length)
    with pytest.raises(BtfError, match=said):
        Btf(w.bytes()).size_of(1)


def whole(**changes: int) -> bytes:
    """A header with these fields changed, and one int type."""
    w = Writer()
    w.add(1, "int", 4, 32)
    fields = {"magic": 0xEB9F, "version": 1, "flags": 0, "header": 24, "type_at": 0, "type_size": 16, "string_at": 16}
    fields |= {"string_size": len(w.strings)} | changes
    return struct.pack("<HBBIIIII", *fields.values()) + w.types + w.strings


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "0 bytes are no BTF"),
        (bytes(24), "they begin with 0000"),
        (b"\x7fELF" + bytes(60), "they begin with 7f45"),
        (whole(version=2), "this is BTF version 2"),
        (whole(header=4), "sizes that cannot be"),
        (whole(type_size=15), "sizes that cannot be"),
        (whole(type_size=1 << 30), "the type section ends at byte"),
        (whole(string_at=1 << 31), "the string section ends at byte"),
        (whole(string_at=8), "overlap"),
        (whole(string_at=17, string_size=20), "does not begin with the empty string"),
        (whole(string_size=3), "does not end with a NUL"),
        (whole(string_size=0), "does not begin with the empty string"),
        (whole(type_size=12), "type 1 reaches beyond the end"),
    ],
)
def test_damaged_header_is_told(raw: bytes, said: str) -> None:
    with pytest.raises(BtfError, match=said):
        Btf(raw)


@pytest.mark.parametrize("kind", [20, 31])
def test_unknown_kind_is_told(kind: int) -> None:
    w = Writer()
    w.add(1, "int", 4, 32)
    w.add(kind)
    with pytest.raises(BtfError, match=f"type 2 is of kind {kind}, which is not known here"):
        Btf(w.bytes())


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((1, "int", 3, 24), {}, "24 bits at bit 0 in 3 bytes"),
        ((1, "int", 4, 33), {}, "33 bits at bit 0 in 4 bytes"),
        ((2, "", 9), {}, "refers to type 9, but the highest number is 1"),
        ((3, "", 0, 5, 1, 1), {}, "refers to type 5"),
        ((4, "thing", 4, 0, 1, 40), {"count": 1}, "at bit 40, outside of its 4 bytes"),
        ((6, "choice", 3), {}, "has 3 bytes; an enum has 1, 2, 4 or 8"),
        ((12, "main", 1), {"count": 3}, "has the linkage 3"),
        ((14, "A", 1, 7), {}, "has the linkage 7"),
        ((1 | 1 << 5, "int", 4, 32), {}, "has the info word"),
    ],
)
def test_damaged_type_is_told_when_it_is_decoded(arguments: tuple[int, ...], options: dict[str, int], said: str) -> None:
    w = Writer()
    w.add(*arguments, **options)  # type: ignore[arg-type]
    btf = Btf(w.bytes())
    with pytest.raises(BtfError, match=said):
        btf.type(1)


@pytest.mark.parametrize("number", [-1, 20, 1 << 40])
def test_number_out_of_range_is_told(btf: Btf, number: int) -> None:
    for use in (btf.type, btf.kind, btf.resolve, btf.size_of):
        with pytest.raises(BtfError, match=f"there is no type {number}; numbers go from 0 to 19"):
            use(number)


def read_all(raw: bytes) -> None:
    """Use everything there is; only BtfError may come of it."""
    with contextlib.suppress(BtfError):
        btf = Btf(raw)
        for number in range(len(btf)):
            for use in (btf.type, btf.resolve, btf.size_of):
                with contextlib.suppress(BtfError):
                    use(number)
        btf.types_named("thing", Kind.STRUCT)


@given(order=st.sampled_from(["little", "big"]), seed=st.integers(0, 2**32), changes=st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_damaged_bytes_never_crash_the_reader(order: Order, seed: int, changes: int) -> None:
    raw, chance = bytearray(everything(order).bytes()), random.Random(seed)
    for _ in range(changes):
        raw[chance.randrange(len(raw))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    read_all(bytes(raw))


@pytest.mark.parametrize("order", ["little", "big"])
def test_cut_off_bytes_never_crash_the_reader(order: Order) -> None:
    raw = everything(order).bytes()
    for size in range(len(raw)):
        with pytest.raises(BtfError):
            Btf(raw[:size])


@given(raw=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_random_bytes_behind_a_header_never_crash_the_reader(raw: bytes) -> None:
    size = len(raw) // 4 * 4
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, size, size, 2)
    read_all(header + raw[:size] + b"\0\0")


def test_whole_kernel_is_decoded(vmlinux: Btf) -> None:
    kinds = dict.fromkeys(Kind, 0)
    for number, _decoded in vmlinux:
        kinds[vmlinux.kind(number)] += 1
    assert sum(kinds.values()) == len(vmlinux) - 1 > 10_000
    assert all(kinds[kind] for kind in (Kind.INT, Kind.PTR, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.FUNC, Kind.FUNC_PROTO))


def test_known_structures_of_the_kernel(vmlinux: Btf) -> None:
    xdp = vmlinux.type(vmlinux.find("xdp_md", Kind.STRUCT))
    assert isinstance(xdp, Struct)
    assert [member.name for member in xdp.members[:3]] == ["data", "data_end", "data_meta"]
    assert vmlinux.size_of(vmlinux.find("ethhdr", Kind.STRUCT)) == 14
    assert vmlinux.size_of(vmlinux.find("u32", Kind.TYPEDEF)) == 4
    assert vmlinux.pointer_size == struct.calcsize("P")
    function = vmlinux.type(vmlinux.find("bpf_prog_put", Kind.FUNC))
    assert isinstance(function, Func)
    assert isinstance(vmlinux.type(function.type), FuncProto)


def test_kernel_without_btf_is_unsupported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(running, "VMLINUX", tmp_path / "vmlinux")
    monkeypatch.setattr(running, "PLACES", (str(tmp_path / "boot-{}"),))
    running.own_btf.cache_clear()
    try:
        with pytest.raises(Unsupported, match=r"This kernel offers no BTF: .* CONFIG_DEBUG_INFO_BTF"):
            kernel_btf()
    finally:
        running.own_btf.cache_clear()


def test_errors_are_of_the_one_tree() -> None:
    assert issubclass(BtfError, Error)
