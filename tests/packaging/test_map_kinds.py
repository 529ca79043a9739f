"""Maps of many kinds from a generated package: they are the maps that an author would have declared."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from tests.packaging.generated import generate, imported, source

PROGRAM = """
import ipaddress

import purebpf as bpf
from purebpf import be32, u16, u32, u64


@bpf.struct
class Flow:
    address: be32
    port: u16


networks = bpf.LpmTrie[ipaddress.IPv4Network, u32](max_entries=8)
flows = bpf.LruHash[Flow, u64](max_entries=8)
events = bpf.PerfEventArray[Flow]()
waiting = bpf.Queue[u32](max_entries=4)
known = bpf.BloomFilter[u32](max_entries=64)
inner = bpf.Hash[u32, u64](max_entries=4)
tables = bpf.ArrayOfMaps(inner, max_entries=2)
devices = bpf.DevMap(max_entries=2)


@bpf.xdp
def look(ctx: bpf.XdpContext) -> bpf.XdpAction:
    flow = Flow(address=0x0A000001, port=80)
    flows[flow] = 7
    events.output(flow)
    value = waiting.pop()
    if value is not None:
        waiting.push(value + 1)
    found = networks.get(0x0A000001)
    if found is None or 5 not in known:
        return bpf.XDP_DROP
    table = tables.get(1)
    if table is not None:
        table[3] = 9
    return bpf.XDP_PASS
"""


@pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def test_maps_of_many_kinds(tmp_path: Path, engine: str) -> None:
    made = generate(tmp_path, source(tmp_path, PROGRAM, "kinds.py"))
    with imported(made) as module, module.Kinds() as kinds:
        kinds.load(engine)
        maps = kinds.maps
        maps.networks["10.0.0.0/8"] = 1
        assert list(maps.networks) == [ipaddress.ip_network("10.0.0.0/8")]
        maps.waiting.push(41)
        maps.known.add(5)
        table = maps.tables.create(1)
        assert kinds.programs.look.run(packet=bytes(64)).value == 2
        assert table[3] == maps.tables[1][3] == 9
        assert maps.waiting.pop() == 42
        flow = module.Flow(address=0x0A000001, port=80)
        assert maps.flows.to_dict() == {flow: 7}
        assert maps.events.read(5.0) == [flow]
        assert "_s.LpmTrie[" in (made / "__init__.pyi").read_text()
