"""A Bloom filter of source addresses: three bits of 65,536, one multiply-shift hash each; counts addresses that are new."""

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4

bits = bpf.Array[u64](max_entries=1024)
fresh = bpf.PerCpuArray[u64](max_entries=1)


@bpf.xdp
def bloom_filter(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_PASS
    address = ip.saddr
    known = True
    for factor in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D):
        place = u32(address * factor) >> 16
        mask = 1 << (place & 63)
        if not bits[place >> 6] & mask:
            known = False
            bits[place >> 6] |= mask
    if not known:
        fresh[0] += 1
    return bpf.XDP_PASS
