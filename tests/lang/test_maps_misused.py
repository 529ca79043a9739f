"""What user space does wrong with maps that are loaded: each mistake is told."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

import purebpf as bpf
from purebpf import be32, u32, u64

flows = bpf.Hash[u32, u64](max_entries=8)
hosts = bpf.Hash[be32, u64](max_entries=8)
numbers = bpf.Array[u32](max_entries=4)
inner = bpf.Hash[u32, u64](max_entries=8)
outer = bpf.HashOfMaps[u32](inner, max_entries=4)
wider = bpf.Hash[u64, u64](max_entries=8)


@pytest.mark.parametrize("address", ["10.0.0.1", ipaddress.IPv4Address("10.0.0.1")])
@pytest.mark.parametrize("table", [flows, hosts])
def test_an_address_for_a_number_is_told_how_it_becomes_one(table: Any, address: Any) -> None:
    said = r': an integer is wanted, not .*: int\(ipaddress\.IPv4Address\("10\.0\.0\.1"\)\) makes a number of it$'
    with bpf.load(table, engine="vm"):
        for use in (lambda: table[address], lambda: table.get(address), lambda: table.update({address: 1})):
            with pytest.raises(TypeError, match=said):
                use()
        with pytest.raises(TypeError, match=r"not 'host'$"):
            table["host"]
        table[int(ipaddress.IPv4Address("10.0.0.1"))] = 5
        assert list(table) == [0x0A000001]


def test_what_is_no_pairs_is_told() -> None:
    with bpf.load(flows, numbers, engine="vm"):
        with pytest.raises(TypeError, match=r"`numbers` is updated by pairs .* list of int: `update\(enumerate\(values\)\)`$"):
            numbers.update([1, 2, 3])  # type: ignore[list-item]
        with pytest.raises(TypeError, match=r"`flows` is updated by pairs of a key and a value, not by a list of tuple$"):
            flows.update([(1, 2, 3)])  # type: ignore[list-item]
        numbers.update(enumerate([1, 2, 3]))
        flows.update([(1, 2)])
        assert numbers.to_dict() == {0: 1, 1: 2, 2: 3, 3: 0} and flows.to_dict() == {1: 2}


def test_pop_takes_a_default_as_that_of_a_dictionary() -> None:
    with bpf.load(flows, engine="vm"):
        flows[1] = 7
        assert (flows.pop(1, 0), flows.pop(1, 0), flows.pop(1)) == (7, 0, None)


def test_a_map_that_is_not_like_the_inner_ones_is_told_and_not_loaded() -> None:
    with bpf.load(outer, engine="vm"):
        with pytest.raises(TypeError, match="`outer` holds maps as `inner`: key_size of `wider` is 8, not 4"):
            outer[1] = wider
        assert not wider.bound and list(outer) == []


def test_maps_of_maps_are_mappings() -> None:
    with bpf.load(outer, engine="vm"):
        one, two = outer.create(1), outer.create(2)
        assert sorted(outer.keys()) == [1, 2]
        assert dict(outer.items()) == {1: one, 2: two} and set(outer.values()) == {one, two}
        del outer[1]
        assert list(outer.items()) == [(2, two)]
