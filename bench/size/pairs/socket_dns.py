"""Keeps only UDP packets from or to port 53, IPv4 and IPv6, whole; sees packets from the network header on."""

import purebpf as bpf
from purebpf import u8
from purebpf.net import IPPROTO_UDP, UDP

ALL, NONE = 0xFFFF, 0


@bpf.socket_filter
def socket_dns(ctx: bpf.SocketFilterContext) -> int:
    first = ctx.packet.at(0, u8)
    if first is None:
        return NONE
    if first >> 4 == 4:
        protocol = ctx.packet.at(9, u8)
        offset = (first & 15) * 4
    elif first >> 4 == 6:
        protocol = ctx.packet.at(6, u8)
        offset = 40
    else:
        return NONE
    if protocol is None or protocol != IPPROTO_UDP:
        return NONE
    udp = ctx.packet.at(offset, UDP)
    if udp is None or (udp.source != 53 and udp.dest != 53):
        return NONE
    return ALL
