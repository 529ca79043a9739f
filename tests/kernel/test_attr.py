"""Packing and reading the structures of bpf(2), against the running kernel's own BTF."""

from __future__ import annotations

import sys

import pytest

from purebpf.btf.reader import Btf
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind, Struct
from purebpf.errors import Unsupported
from purebpf.kernel.attr import members, pack, read, read_bytes, read_name
from purebpf.tables.attr import ARRAYS, BITS, COMMANDS, INTEGERS, SIZES
from purebpf.tables.enums import Command


@pytest.fixture(scope="module")
def btf() -> Btf:
    try:
        return kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))


def test_only_what_is_set_is_announced() -> None:
    buffer, size = pack("MAP_CREATE", {"map_type": 1, "key_size": 4, "value_size": 8, "max_entries": 16, "map_flags": 0})
    assert (len(buffer), size) == (SIZES["MAP_CREATE"], 16)
    assert pack("MAP_CREATE", {})[1] == 0
    assert pack("LINK_CREATE", {"prog_fd": 3, "perf_event_bpf_cookie": 0})[1] == 4


def test_values_land_where_the_layout_says() -> None:
    buffer, _ = pack("PROG_LOAD", {"prog_type": 6, "insns": 0x1122334455667788, "prog_name": b"name"})
    offset, size = INTEGERS["PROG_LOAD"]["insns"]
    assert int.from_bytes(buffer[offset : offset + size], sys.byteorder) == 0x1122334455667788
    assert read("PROG_LOAD", buffer, "prog_type") == 6
    assert read_name("PROG_LOAD", buffer, "prog_name") == "name"
    assert len(read_bytes("PROG_LOAD", buffer, "prog_name")) == 16


def test_bit_fields_do_not_disturb_each_other() -> None:
    buffer, _ = pack("perf_event_attr", {"disabled": 1, "freq": 1, "precise_ip": 2, "sample_freq": 99})
    assert [read("perf_event_attr", buffer, name) for name in ("disabled", "inherit", "freq", "precise_ip")] == [1, 0, 1, 2]
    with pytest.raises(OverflowError, match="has 2 bits"):
        pack("perf_event_attr", {"precise_ip": 4})


def test_negative_number_is_stored_in_twos_complement() -> None:
    buffer, _ = pack("LINK_CREATE", {"netfilter_priority": -5})
    assert read("LINK_CREATE", buffer, "netfilter_priority") == 2**32 - 5


def test_unknown_member_and_value_that_does_not_fit_are_errors() -> None:
    with pytest.raises(KeyError, match="MAP_CREATE has no member 'colour'; it has map_type"):
        pack("MAP_CREATE", {"colour": 1})
    with pytest.raises(OverflowError):
        pack("MAP_CREATE", {"key_size": 1 << 32})
    with pytest.raises(OverflowError, match="has 16 bytes"):
        pack("MAP_CREATE", {"map_name": b"x" * 17})


def test_every_command_has_a_part_of_the_union() -> None:
    assert set(COMMANDS) == {command.name for command in Command}
    assert set(COMMANDS.values()) <= set(SIZES)


@pytest.mark.parametrize("layout", sorted(SIZES))
def test_every_member_lies_inside_its_structure(layout: str) -> None:
    places = [*INTEGERS[layout].values(), *ARRAYS.get(layout, {}).values()]
    places += [place[:2] for place in BITS.get(layout, {}).values()]
    assert len(places) == len(members(layout))
    assert all(offset >= 0 and offset + size <= SIZES[layout] for offset, size in places)


@pytest.mark.parametrize("layout", [name for name in sorted(SIZES) if name.islower()])
def test_layout_agrees_with_the_running_kernel(btf: Btf, layout: str) -> None:
    """Members never move; another kernel may have fewer or more of them."""
    found = btf.type(btf.find(layout, Kind.STRUCT))
    assert isinstance(found, Struct)
    compared = 0
    for member in found.members:
        if place := INTEGERS[layout].get(member.name):
            assert place == (member.bit_offset // 8, btf.size_of(member.type)), member.name
            compared += 1
    assert compared
