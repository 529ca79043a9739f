"""Looks the source address up in a sorted table of 16 address ranges (constants) by binary search; counts hits by range."""

import purebpf as bpf
from purebpf import u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4

STARTS = (
    0x00000000, 0x0A000000, 0x0A000003, 0x0A010000, 0x14000000, 0x50000000, 0x7F000000, 0x80000000,
    0xA9FE0000, 0xAC100000, 0xAC100200, 0xC0A80000, 0xC0A80100, 0xE0000000, 0xF0000000, 0xFFFFFFFF,
)  # fmt: skip
hits = bpf.PerCpuArray[u64](max_entries=16)


@bpf.xdp
def binary_search(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_PASS
    address = ip.saddr
    at = 0
    for step in (8, 4, 2, 1):
        if STARTS[at + step & 15] <= address:
            at = at + step & 15
    hits[at] += 1
    return bpf.XDP_PASS
