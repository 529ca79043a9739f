"""Drops IPv4 packets whose source address is on a list."""

from random import Random

import purebpf as bpf
from purebpf import be32, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4


@bpf.struct
class Rule:
    dropped: u64 = 0


blocked = bpf.Hash[be32, Rule](max_entries=10_000)


@bpf.xdp
def firewall(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_DROP
    rule = blocked.get(ip.saddr)
    if rule is None:
        return bpf.XDP_PASS
    rule.dropped += 1
    return bpf.XDP_DROP


def fill(rng: Random) -> None:
    for n in range(3):
        blocked[0x0A000001 + n] = Rule()
