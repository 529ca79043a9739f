"""Counts packets by the number of their inner VLAN; looks through up to two tags."""

import purebpf as bpf
from purebpf import u64
from purebpf.net import ETH_P_8021AD, ETH_P_8021Q, Ethernet, Vlan

by_vlan = bpf.PerCpuArray[u64](max_entries=4096)


@bpf.xdp
def vlan_count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.XDP_PASS
    proto = eth.proto
    offset = 14
    number = 0
    for _ in range(2):
        if proto != ETH_P_8021Q and proto != ETH_P_8021AD:
            break
        tag = ctx.packet.at(offset, Vlan)
        if tag is None:
            return bpf.XDP_DROP
        number = tag.tci & 0xFFF
        proto = tag.proto
        offset += 4
    by_vlan[number] += 1
    return bpf.XDP_PASS
