"""Port forwarding: rewrites destination address and port of UDP packets by a table and repairs both checksums (RFC 1624)."""

from random import Random

import purebpf as bpf
from purebpf import be16, be32, u32
from purebpf.net import ETH_P_IP, IPPROTO_UDP, UDP, Ethernet, IPv4


@bpf.struct
class Target:
    address: be32 = 0
    port: be16 = 0
    unused: be16 = 0


forwards = bpf.Hash[be16, Target](max_entries=1024)


def folded(total: u32) -> u32:
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@bpf.xdp
def dnat(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_UDP:
        return bpf.XDP_PASS
    udp = ctx.packet.at(34, UDP)
    if udp is None:
        return bpf.XDP_DROP
    target = forwards.get(udp.dest)
    if target is None:
        return bpf.XDP_PASS
    old, new = ip.daddr, target.address
    change = (~old >> 16 & 0xFFFF) + (~old & 0xFFFF) + (new >> 16) + (new & 0xFFFF)
    ip.check = ~folded((~ip.check & 0xFFFF) + change) & 0xFFFF
    ip.daddr = new
    if udp.check != 0:
        change += (~udp.dest & 0xFFFF) + target.port
        udp.check = ~folded((~udp.check & 0xFFFF) + change) & 0xFFFF
    udp.dest = target.port
    return bpf.XDP_PASS


def fill(rng: Random) -> None:
    for port in (53, 123, 9999, 4789):
        forwards[port] = Target(address=rng.getrandbits(32), port=rng.getrandbits(16))
