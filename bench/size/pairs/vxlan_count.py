"""Counts bytes by VXLAN network, and drops what comes for one that is not known."""

from random import Random

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import ETH_P_IP, IPPROTO_UDP, UDP, VXLAN, Ethernet, IPv4

PORT = 4789
VALID = 0x08000000
networks = bpf.Hash[u32, u64](max_entries=1024)


@bpf.xdp
def vxlan_count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_UDP:
        return bpf.XDP_PASS
    udp = ctx.packet.at(34, UDP)
    if udp is None or udp.dest != PORT:
        return bpf.XDP_PASS
    vxlan = ctx.packet.at(42, VXLAN)
    if vxlan is None or not vxlan.flags & VALID:
        return bpf.XDP_DROP
    number = vxlan.vni >> 8
    if number not in networks:
        return bpf.XDP_DROP
    networks[number] += len(ctx.packet)
    return bpf.XDP_PASS


def fill(rng: Random) -> None:
    for number in (1, 42, 0xFFFFFF):
        networks[number] = 0
