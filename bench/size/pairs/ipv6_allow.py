"""Lets IPv6 through only from one network of 64 bits or from link-local addresses, and never from multicast addresses."""

import purebpf as bpf
from purebpf import be64, u64
from purebpf.net import ETH_P_IPV6, Ethernet

NETWORK = 0x20010DB8_00000000
refused = bpf.PerCpuArray[u64](max_entries=3)


@bpf.struct
class Source:
    network: be64 = 0
    host: be64 = 0


@bpf.xdp
def ipv6_allow(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IPV6:
        return bpf.XDP_PASS
    source = ctx.packet.at(22, Source)
    if source is None:
        refused[0] += 1
        return bpf.XDP_DROP
    if source.network == NETWORK or source.network >> 54 == 0xFE80 >> 6:
        return bpf.XDP_PASS
    refused[2 if source.network >> 56 == 0xFF else 1] += 1
    return bpf.XDP_DROP
