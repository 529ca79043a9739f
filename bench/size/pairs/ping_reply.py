"""Answers ICMP echo requests in the driver: swaps the addresses, changes the type, repairs the checksum."""

import purebpf as bpf
from purebpf.net import ETH_P_IP, ICMP, ICMP_ECHO, ICMP_ECHOREPLY, IPPROTO_ICMP, Ethernet, IPv4


@bpf.xdp
def ping_reply(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_ICMP:
        return bpf.XDP_PASS
    icmp = ctx.packet.at(34, ICMP)
    if icmp is None or icmp.type != ICMP_ECHO:
        return bpf.XDP_PASS
    eth.dst, eth.src = eth.src, eth.dst
    ip.saddr, ip.daddr = ip.daddr, ip.saddr
    icmp.type = ICMP_ECHOREPLY
    total = icmp.checksum + (ICMP_ECHO << 8)
    icmp.checksum = total + (total >> 16)
    return bpf.XDP_TX
