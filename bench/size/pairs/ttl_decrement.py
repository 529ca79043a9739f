"""What a router does to each IPv4 packet: one hop less, checksum repaired (RFC 1624)."""

import sys

import purebpf as bpf
from purebpf import u8, u16
from purebpf.net import ETH_P_IP, Ethernet, IPv4


@bpf.struct
class Hop:
    """The middle of an IPv4 header, the checksum in network order."""

    ttl: u8
    protocol: u8
    check: u16


ONE = 0x0100 if sys.byteorder == "big" else 0x0001  # one hop, as it lies beside the checksum


@bpf.xdp
def ttl_decrement(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_DROP
    hop = ctx.packet.at(22, Hop)
    if hop is None:
        return bpf.XDP_DROP
    if hop.ttl <= 1:
        return bpf.XDP_DROP
    total = hop.check + ONE
    hop.check = total + (total >= 0xFFFF)
    hop.ttl -= 1
    return bpf.XDP_PASS
