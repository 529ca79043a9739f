"""Wraps IPv4 packets for some addresses into another IPv4 header (IP in IP); the Ethernet header moves to the new front."""

from random import Random

import purebpf as bpf
from purebpf import be16, be32, u32
from purebpf.net import ETH_P_IP, IPPROTO_IPIP, Ethernet, IPv4

tunnels = bpf.Hash[be32, be32](max_entries=1024)  # inner destination to tunnel end
LOCAL = 0x0A000001


@bpf.struct
class Words:
    words: list[be16] = bpf.array(be16, 10)


@bpf.xdp
def ipip_encap(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_DROP
    remote = tunnels.get(ip.daddr, 0)
    if remote == 0:
        return bpf.XDP_PASS
    size = ip.tot_len + 20
    if ctx.packet.adjust_head(-20):
        return bpf.XDP_DROP
    new = ctx.packet.at(0, Ethernet)
    outer = ctx.packet.at(14, IPv4)
    words = ctx.packet.at(14, Words)
    old = ctx.packet.at(20, Ethernet)
    if new is None or old is None or outer is None or words is None:
        return bpf.XDP_DROP
    new.dst = old.dst
    new.src = old.src
    new.proto = ETH_P_IP
    outer.version = 4
    outer.ihl = 5
    outer.tos = 0
    outer.tot_len = size
    outer.id = 0
    outer.frag_off = 0
    outer.ttl = 64
    outer.protocol = IPPROTO_IPIP
    outer.check = 0
    outer.saddr = LOCAL
    outer.daddr = remote
    total: u32 = 0
    for i in range(10):
        total += words.words[i]
    total = (total & 0xFFFF) + (total >> 16)
    outer.check = ~(total + (total >> 16)) & 0xFFFF
    return bpf.XDP_TX


def fill(rng: Random) -> None:
    for n in range(4):
        tunnels[0x0A000001 + n] = 0x0A010001 + n
