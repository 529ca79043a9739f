"""Counts IPv6 packets by the protocol behind up to four extension headers."""

import purebpf as bpf
from purebpf import u8, u64
from purebpf.net import ETH_P_IPV6, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPPROTO_ROUTING, Ethernet, IPv6

by_protocol = bpf.PerCpuArray[u64](max_entries=256)


@bpf.struct
class Extension:
    nexthdr: u8 = 0
    hdrlen: u8 = 0


@bpf.xdp
def ipv6_transport(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IPV6:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv6)
    if ip is None:
        return bpf.XDP_DROP
    protocol = ip.nexthdr
    offset = 54
    for _ in range(4):
        if protocol not in (IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT):
            break
        extension = ctx.packet.at(offset, Extension)
        if extension is None:
            return bpf.XDP_DROP
        offset += 8 if protocol == IPPROTO_FRAGMENT else (extension.hdrlen + 1) * 8
        protocol = extension.nexthdr
    by_protocol[protocol] += 1
    return bpf.XDP_PASS
