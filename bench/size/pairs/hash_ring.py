"""Chooses a server by a consistent hash ring of 251 places (as Maglev does), and sends the packet out of its interface."""

from random import Random

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, IPPROTO_UDP, UDP, Ethernet, IPv4

PLACES = 251
ring = bpf.Array[u32](max_entries=251)
sent = bpf.PerCpuArray[u64](max_entries=16)


@bpf.xdp
def hash_ring(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol not in (IPPROTO_TCP, IPPROTO_UDP):
        return bpf.XDP_PASS
    ports = ctx.packet.at(14 + ip.ihl * 4, UDP)
    if ports is None:
        return bpf.XDP_DROP
    state: u64 = ip.saddr << 32 | ip.daddr
    state = (state ^ state >> 33) * 0xFF51AFD7ED558CCD
    state ^= ports.source << 16 | ports.dest
    state = (state ^ state >> 33) * 0xC4CEB9FE1A85EC53
    place = (state >> 32) % PLACES
    server = ring[place]
    if server >= 16:
        return bpf.XDP_ABORTED
    sent[server] += 1
    return bpf.redirect(server + 100)


def fill(rng: Random) -> None:
    for n in range(PLACES):
        ring[n] = rng.randrange(17)
