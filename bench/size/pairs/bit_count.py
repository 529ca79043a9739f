"""Counts the set bits of the first 32 bytes of an IPv4 packet's header and payload, and keeps a histogram."""

import purebpf as bpf
from purebpf import u64
from purebpf.net import ETH_P_IP, Ethernet

histogram = bpf.PerCpuArray[u64](max_entries=257)


@bpf.struct
class Words:
    words: list[u64] = bpf.array(u64, 4)


@bpf.xdp
def bit_count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    data = ctx.packet.at(14, Words)
    if data is None:
        return bpf.XDP_PASS
    total = 0
    for i in range(4):
        total += data.words[i].bit_count()
    if total <= 256:
        histogram[total] += 1
    return bpf.XDP_PASS
