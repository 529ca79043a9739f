"""Drops a source's connection requests beyond 20 in a table of the most recent sources."""

from random import Random

import purebpf as bpf
from purebpf import be32, u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

LIMIT = 20
requests = bpf.LruHash[be32, u64](max_entries=10_000)


@bpf.struct
class Totals:
    requests: u64 = 0
    dropped: u64 = 0


totals = bpf.PerCpuArray[Totals](max_entries=1)


@bpf.xdp
def syn_limit(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_TCP:
        return bpf.XDP_PASS
    tcp = ctx.packet.at(14 + ip.ihl * 4, TCP)
    if tcp is None or not tcp.syn or tcp.ack:
        return bpf.XDP_PASS
    total = totals[0]
    total.requests += 1
    seen = requests.get(ip.saddr, 0)
    if seen >= LIMIT:
        total.dropped += 1
        return bpf.XDP_DROP
    requests[ip.saddr] = seen + 1
    return bpf.XDP_PASS


def packets(rng: Random) -> list[bytes]:
    """The same few sources, often."""
    from bench.size.inputs import frame

    return [each for each in (frame(rng) for _ in range(2000)) if each[12:14] == b"\x08\0" and each[23] == 6][:400]
