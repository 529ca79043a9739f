"""Sends UDP packets for port 9999 back: swaps Ethernet and IP addresses and the ports; no checksum changes by that."""

import purebpf as bpf
from purebpf.net import ETH_P_IP, IPPROTO_UDP, UDP, Ethernet, IPv4

PORT = 9999


@bpf.xdp
def udp_echo(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_UDP:
        return bpf.XDP_PASS
    udp = ctx.packet.at(14 + ip.ihl * 4, UDP)
    if udp is None or udp.dest != PORT:
        return bpf.XDP_PASS
    eth.dst, eth.src = eth.src, eth.dst
    ip.saddr, ip.daddr = ip.daddr, ip.saddr
    udp.source, udp.dest = udp.dest, udp.source
    return bpf.XDP_TX
