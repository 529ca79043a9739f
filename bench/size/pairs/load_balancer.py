"""Spreads TCP flows over backends by a hash, remembers where each flow went, rewrites destination and checksum."""

from random import Random

import purebpf as bpf
from purebpf import be16, be32, u32
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

VIP = 0x0A000002
BACKENDS = 4
SEED = 0xDEADBEEF + 12


@bpf.struct
class Flow:
    saddr: be32 = 0
    source: be16 = 0
    dest: be16 = 0


flows = bpf.LruHash[Flow, be32](max_entries=65536)
backends = bpf.Array[be32](max_entries=4)


def rotated(x: u32, by: int) -> u32:
    return u32(x << by | x >> 32 - by)


def jhash(a: u32, b: u32, c: u32) -> u32:
    """The final mixing of Jenkins' lookup3, as in include/linux/jhash.h (jhash_3words)."""
    a = u32(a + SEED)
    b = u32(b + SEED)
    c = u32(c + SEED)
    c = u32((c ^ b) - rotated(b, 14))
    a = u32((a ^ c) - rotated(c, 11))
    b = u32((b ^ a) - rotated(a, 25))
    c = u32((c ^ b) - rotated(b, 16))
    a = u32((a ^ c) - rotated(c, 4))
    b = u32((b ^ a) - rotated(a, 14))
    return u32((c ^ b) - rotated(b, 24))


@bpf.xdp
def load_balancer(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_TCP or ip.daddr != VIP:
        return bpf.XDP_PASS
    tcp = ctx.packet.at(34, TCP)
    if tcp is None:
        return bpf.XDP_DROP
    key = Flow(saddr=ip.saddr, source=tcp.source, dest=tcp.dest)
    target = flows.get(key, 0)
    if target == 0:
        target = backends[jhash(ip.saddr, tcp.source << 16 | tcp.dest, IPPROTO_TCP) % BACKENDS]
        flows[key] = target
    total = (~ip.check & 0xFFFF) + (~(VIP >> 16) & 0xFFFF) + (~VIP & 0xFFFF) + (target >> 16) + (target & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    ip.check = ~total & 0xFFFF
    ip.daddr = target
    return bpf.XDP_TX


def fill(rng: Random) -> None:
    for n in range(BACKENDS):
        backends[n] = 0x0A010001 + n


def packets(rng: Random) -> list[bytes]:
    """TCP to the address it serves."""
    from bench.size.inputs import frame

    made = [bytearray(frame(rng)) for _ in range(1000)]
    for each in made:
        each[30:34] = VIP.to_bytes(4, "big")
    return [bytes(each) for each in made if each[12:14] == b"\x08\0" and each[23] == 6][:200]
