"""What a router does to each IPv4 packet: one hop less, checksum repaired (RFC 1624)."""

import purebpf as bpf
from purebpf.net import ETH_P_IP, Ethernet, IPv4


@bpf.xdp
def ttl_decrement(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_DROP
    if ip.ttl <= 1:
        return bpf.XDP_DROP
    total = ip.check + 0x0100
    ip.check = total + (total >= 0xFFFF)
    ip.ttl -= 1
    return bpf.XDP_PASS
