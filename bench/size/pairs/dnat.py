"""Port forwarding: rewrites destination address and port of UDP packets by a table and repairs both checksums (RFC 1624)."""

from random import Random
from socket import htons

import purebpf as bpf
from purebpf import u16, u32
from purebpf.net import ETH_P_IP, IPPROTO_UDP, Ethernet, IPv4


@bpf.struct
class Target:
    """In network order, as it goes into the packet."""

    address: u32 = 0
    port: u16 = 0
    unused: u16 = 0


@bpf.struct
class Check:
    """A checksum in network order: it comes out the same."""

    value: u16


@bpf.struct
class Address:
    value: u32


@bpf.struct
class Ports:
    """A UDP header, in network order."""

    source: u16
    dest: u16
    len: u16
    check: u16


forwards = bpf.Hash[u16, Target](max_entries=1024)


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
    udp = ctx.packet.at(34, Ports)
    if udp is None:
        return bpf.XDP_DROP
    port = udp.dest
    target = forwards.get(port)
    if target is None:
        return bpf.XDP_PASS
    old, new = bpf.raw(ip.daddr), target.address
    change = (~old >> 16 & 0xFFFF) + (~old & 0xFFFF) + (new >> 16) + (new & 0xFFFF)
    check = ctx.packet.at(24, Check)
    if check is None:
        return bpf.XDP_DROP
    check.value = ~folded((~check.value & 0xFFFF) + change) & 0xFFFF
    daddr = ctx.packet.at(30, Address)
    if daddr is None:
        return bpf.XDP_DROP
    daddr.value = new
    if udp.check != 0:
        change += (~port & 0xFFFF) + target.port
        udp.check = ~folded((~udp.check & 0xFFFF) + change) & 0xFFFF
    udp.dest = target.port
    return bpf.XDP_PASS


def fill(rng: Random) -> None:
    for port in (53, 123, 9999, 4789):
        forwards[htons(port)] = Target(address=rng.getrandbits(32), port=rng.getrandbits(16))
