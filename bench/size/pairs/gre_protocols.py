"""Counts GRE packets by what they carry, and drops those whose optional fields reach beyond the packet (RFC 2784, RFC 2890)."""

import purebpf as bpf
from purebpf import u16, u64
from purebpf.net import ETH_P_IP, GRE, IPPROTO_GRE, Ethernet, IPv4

HAS_CHECKSUM, HAS_KEY, HAS_SEQUENCE = 0x8000, 0x2000, 0x1000
inner = bpf.PerCpuHash[u16, u64](max_entries=64)


@bpf.xdp
def gre_protocols(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_GRE:
        return bpf.XDP_PASS
    start = 14 + ip.ihl * 4
    gre = ctx.packet.at(start, GRE)
    if gre is None:
        return bpf.XDP_DROP
    size = 4
    if gre.flags & HAS_CHECKSUM:
        size += 4
    if gre.flags & HAS_KEY:
        size += 4
    if gre.flags & HAS_SEQUENCE:
        size += 4
    if start + size > len(ctx.packet):
        return bpf.XDP_DROP
    inner[gre.protocol] += 1
    return bpf.XDP_PASS
