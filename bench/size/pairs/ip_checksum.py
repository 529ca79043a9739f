"""Drops IPv4 packets with a wrong header checksum (headers without options)."""

import purebpf as bpf
from purebpf import u16, u32
from purebpf.net import ETH_P_IP, Ethernet


@bpf.struct
class Words:
    words: list[u16] = bpf.array(u16, 10)


@bpf.xdp
def ip_checksum(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    header = ctx.packet.at(14, Words)
    if header is None:
        return bpf.XDP_DROP
    total: u32 = 0
    for i in range(10):
        total += header.words[i]
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return bpf.XDP_PASS if total == 0xFFFF else bpf.XDP_DROP
