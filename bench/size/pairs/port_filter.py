"""Lets TCP and UDP packets through only to ports whose bit is set in a table of 65,536 bits."""

from random import Random

import purebpf as bpf
from purebpf import u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, IPPROTO_UDP, UDP, Ethernet, IPv4

allowed = bpf.Array[u64](max_entries=1024)


@bpf.xdp
def port_filter(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_DROP
    if ip.protocol not in (IPPROTO_TCP, IPPROTO_UDP):
        return bpf.XDP_PASS
    ports = ctx.packet.at(14 + ip.ihl * 4, UDP)
    if ports is None:
        return bpf.XDP_DROP
    port = ports.dest
    if allowed[port >> 6] >> (port & 63) & 1:
        return bpf.XDP_PASS
    return bpf.XDP_DROP


def fill(rng: Random) -> None:
    for port in (22, 53, 443, 9999, 65535):
        allowed[port >> 6] |= 1 << (port & 63)
