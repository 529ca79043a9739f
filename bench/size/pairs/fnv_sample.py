"""Keeps one flow in 16 by an FNV-1a hash of addresses and ports (12 bytes, one by one)."""

import purebpf as bpf
from purebpf import u8, u32
from purebpf.net import ETH_P_IP, Ethernet

OFFSET, PRIME = 0x811C9DC5, 0x01000193


@bpf.struct
class Tuple:
    octets: list[u8] = bpf.array(u8, 12)


@bpf.xdp
def fnv_sample(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    flow = ctx.packet.at(26, Tuple)
    if flow is None:
        return bpf.XDP_PASS
    state: u32 = OFFSET
    for i in range(12):
        state = (state ^ flow.octets[i]) * PRIME
    return bpf.XDP_PASS if state & 15 == 0 else bpf.XDP_DROP
