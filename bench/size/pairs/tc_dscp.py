"""Marks IPv4 packets for port 443 with expedited forwarding (DSCP 46) and repairs the header checksum (RFC 1624)."""

import purebpf as bpf
from purebpf import be16
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

EXPEDITED = 46 << 2


@bpf.tc
def tc_dscp(ctx: bpf.TcContext) -> bpf.TcAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.TC_ACT_OK
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_TCP:
        return bpf.TC_ACT_OK
    tcp = ctx.packet.at(14 + ip.ihl * 4, TCP)
    first = ctx.packet.at(14, be16)
    if tcp is None or first is None or tcp.dest != 443:
        return bpf.TC_ACT_OK
    ip.tos = ip.tos & 3 | EXPEDITED
    marked = first & 0xFF03 | EXPEDITED
    total = (~ip.check & 0xFFFF) + (~first & 0xFFFF) + marked
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    ip.check = ~total & 0xFFFF
    return bpf.TC_ACT_OK
