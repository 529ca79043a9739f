"""Records, packet headers, contexts and fields of tracepoints, as an author declares and reads them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import purebpf as bpf
from purebpf import be16, net, s8, u8, u16, u32, u64
from purebpf.lang import contexts
from purebpf.lang.program_types import KINDS
from purebpf.lang.tracepoints import parse_format
from purebpf.lang.types import CharsType, IntType
from purebpf.tables.constants import constant
from purebpf.tables.contexts import context

SIZES = {
    "Ethernet": 14, "Vlan": 4, "Arp": 28, "IPv4": 20, "IPv6": 40, "TCP": 20, "UDP": 8, "ICMP": 8, "ICMPv6": 8,
    "VXLAN": 8, "GRE": 4,
}  # fmt: skip
FRAME = bytes.fromhex(
    "020000000001" "020000000002" "0800"  # Ethernet
    "4500001c000100004011b6cf" "c0000202" "c0000201"  # IPv4
    "9c400035" "00080000"  # UDP
)  # fmt: skip


@pytest.mark.parametrize("name, size", SIZES.items())
def test_headers_have_their_size_on_the_wire(name: str, size: int) -> None:
    assert len(getattr(net, name)().to_bytes()) == size


def test_headers_read_a_frame() -> None:
    eth, ip, udp = net.Ethernet.from_bytes(FRAME), net.IPv4.from_bytes(FRAME[14:]), net.UDP.from_bytes(FRAME[34:])
    assert (eth.proto, ip.version, ip.ihl, ip.protocol, ip.saddr) == (net.ETH_P_IP, 4, 5, 17, 0xC0000202)
    assert (udp.source, udp.dest, udp.len) == (40000, 53, 8)
    assert eth.to_bytes() + ip.to_bytes() + udp.to_bytes() == FRAME


def test_constants_are_those_of_the_kernel() -> None:
    explicit = {name: value for name, value in vars(net).items() if name.isupper() and isinstance(value, int)}
    assert len(explicit) >= 9
    assert explicit == {name: constant(name) for name in explicit}
    assert constant("ETH_P_LOOP") == net.ETH_P_LOOP


@pytest.mark.parametrize("name", ["xdp", "tc", "socket_filter"])
def test_contexts_name_the_fields_that_programs_may_use(name: str) -> None:
    kind = KINDS[name]
    table = context(kind.type)
    assert table is not None
    usable = {n for n, f in table.fields.items() if f.kind == "scalar" and (f.readable or f.writable)}
    named: set[str] = set()
    for each in getattr(contexts, kind.context).__mro__:
        named |= set(inspect.get_annotations(each))
    assert usable <= named


def test_records_have_c_layout() -> None:
    @bpf.struct
    class Mixed:
        a: u8
        b: u32 = 2
        c: u16 = 3
        d: u64 = 4
        name: str = bpf.chars(4)
        port: be16 = 80

    value = Mixed(a=1, name="abc")
    assert value.to_bytes().hex() == "0100000002000000030000000000000004000000000000006162630000500000"
    assert Mixed.from_bytes(value.to_bytes()) == value
    assert repr(value) == "Mixed(a=1, b=2, c=3, d=4, name='abc', port=80)"


@pytest.mark.parametrize(
    "annotations, message",
    [
        ({"a": float}, "no floats in the kernel"),
        ({"a": int}, "say how wide"),
        ({"a": str}, "bpf.chars"),
        ({"to_bytes": u8}, "the record's own"),
        ({}, "at least one field"),
    ],
)
def test_wrong_records_are_refused_at_the_declaration(annotations: dict[str, type], message: str) -> None:
    with pytest.raises(bpf.Error, match=message):
        bpf.struct(type("Wrong", (), {"__annotations__": annotations}))


def test_values_that_do_not_fit_are_refused() -> None:
    @bpf.struct
    class Small:
        a: u8 = 0
        name: str = bpf.chars(4)

    for wrong in ({"a": 256}, {"a": 1.5}, {"name": "abcd"}, {"name": 3}):
        with pytest.raises((TypeError, ValueError), match="Small"):
            Small(**wrong).to_bytes()
    with pytest.raises(TypeError, match="no field `b`"):
        Small(b=1)


def test_scalars_narrow() -> None:
    assert (u8(300), s8(200), u16(-1)) == (44, -56, 65535)


def test_a_map_that_is_not_loaded_says_so() -> None:
    table = bpf.Hash[u32, u64](max_entries=4, name="table")
    with pytest.raises(bpf.NotLoaded, match="map `table` is not loaded"):
        table[1]


def test_a_loop_over_a_ring_that_was_never_loaded_says_so() -> None:
    ring, perf = bpf.RingBuf[u32](size=4096, name="ring"), bpf.PerfEventArray[u32](name="perf")
    for loop in (ring, ring.records(0), perf, bpf.events(ring)):
        with pytest.raises(bpf.NotLoaded, match=r"map `(ring|perf)` is not loaded: load, run or attach"):
            list(loop)


def test_a_table_of_programs_takes_nothing_else() -> None:
    table = bpf.ProgArray(max_entries=4, name="table")
    with pytest.raises(TypeError, match="`table` holds programs, decorated functions, not <built-in function len>"):
        table[0] = len
    assert not table.entries


@pytest.mark.parametrize("name", ["LRUHash", "lruhash", "LruHahs"])
def test_a_name_in_other_letters_is_told_with_the_right_one(name: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; did you mean 'LruHash'"):
        getattr(bpf, name)


@pytest.mark.parametrize("wrong", [{"seconds": -1}, {"seconds": "1"}, {"seconds": None}, {"seconds": 1, "count": 2.5}])
def test_ticks_of_no_time_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(bpf.Error, match="`every` takes how "):
        bpf.every(**wrong)


def test_formats_of_events() -> None:
    fields = parse_format(
        "name: x\nID: 1\nformat:\n"
        "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
        "\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;\n"
        "\tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n"
        "\tfield:char comm[16];\toffset:32;\tsize:16;\tsigned:0;\n"
        '\nprint fmt: "x"\n'
    )
    assert fields["common_type"].type is None
    assert fields["dfd"].type == IntType(32, True)  # the declared type, not the slot
    assert fields["filename"].type == IntType(64)
    assert fields["comm"].type == CharsType(16)


@pytest.mark.parametrize("text", ["", "nonsense", "format:\n\tfield:int;\toffset:x;\n"])
def test_a_damaged_format_is_a_clean_error(text: str) -> None:
    with pytest.raises(bpf.Error):
        parse_format(text)


@pytest.mark.parametrize(
    ("annotation", "field", "message"),
    [
        (u32, bpf.chars(4), r"annotated `u32`, but `bpf\.chars\(4\)` makes a text(?s:.*)annotate `str`"),
        (bytes, bpf.chars(4), "annotated `bytes`(?s:.*)annotate `str`"),
        (str, bpf.bytes(4), "annotated `str`.* makes bytes(?s:.*)annotate `bytes`"),
        (bytes, bpf.array(u8, 4), r"makes a list(?s:.*)annotate `list\[u8\]`"),
        (list[u16], bpf.array(u32, 4), r"annotated as a list of `u16`, but `bpf\.array\(u32, 4\)` holds `u32`"),
        (list[u8], bpf.array(bpf.chars(8), 4), r"holds `chars\(8\)`"),
    ],
)
def test_an_annotation_must_fit_its_specifier(annotation: Any, field: Any, message: str) -> None:
    with pytest.raises(bpf.Error, match=message):
        bpf.struct(type("A", (), {"__annotations__": {"a": annotation}, "a": field}))


def test_annotations_that_fit_their_specifiers() -> None:
    @bpf.struct
    class A:
        a: list[list[u8]] = bpf.array(bpf.array(u8, 3), 4)
        b: Any = bpf.chars(4)
        c: list[str] = bpf.array(bpf.chars(5), 2)
        d: list[int] = bpf.array(u8, 2)
        e: list = bpf.array(u8, 2)  # type: ignore[type-arg]

    assert len(A().to_bytes()) == 12 + 4 + 10 + 2 + 2


def test_bits_across_a_border_of_a_packed_struct_are_refused() -> None:
    with pytest.raises(bpf.Error, match=r"A\.b: in a packed struct C lays these 5 bits across the border of a `u8`"):

        @bpf.struct(packed=True)
        class A:
            a: u8 = bpf.bits(5)
            b: u8 = bpf.bits(5)

    @bpf.struct(packed=True)
    class B:
        z: u8
        a: u32 = bpf.bits(20)
        c: u16

    assert B(z=1, a=0xABCDE, c=0x1234).to_bytes().hex() == "01debc0a3412"  # as GCC lays it out
