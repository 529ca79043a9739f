"""Longest prefix match with a plain hash table: tries prefix lengths 32, 28, ... 8; drops what has no route."""

from random import Random

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4


@bpf.struct
class Prefix:
    address: u32 = 0
    length: u32 = 0


routes = bpf.Hash[Prefix, u32](max_entries=4096)
by_hop = bpf.PerCpuArray[u64](max_entries=64)


@bpf.xdp
def prefix_match(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_DROP
    address = ip.daddr
    for skipped in range(0, 28, 4):
        hop = routes.get(Prefix(address=address >> skipped << skipped, length=32 - skipped))
        if hop is not None:
            if hop < 64:
                by_hop[hop] += 1
            return bpf.XDP_PASS
    return bpf.XDP_DROP


def fill(rng: Random) -> None:
    for address, length in ((0x0A000001, 32), (0x0A000000, 28), (0xC0A80000, 16), (0x7F000000, 8), (0xE0000000, 8)):
        routes[Prefix(address=address, length=length)] = rng.randrange(70)
