"""A filter against floods: VLAN tags, IPv4 and IPv6, a blocklist, bogus TCP flags, fragments, amplification ports, and a packet
budget per source and second; every verdict is counted by reason."""

from random import Random

import purebpf as bpf
from purebpf import be64, u8, u32, u64
from purebpf.net import ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, TCP, UDP, Ethernet, IPv4, IPv6, Vlan

PASSED, BLOCKED, BAD_HEADER, BAD_FLAGS, FRAGMENT, AMPLIFIED, TOO_MANY, OTHER = range(8)
BUDGET = 4


@bpf.struct
class Source:
    """An IPv6 address, or an IPv4 address in the low part."""

    high: be64 = 0
    low: be64 = 0


@bpf.struct
class Budget:
    second: u32 = 0
    packets: u32 = 0


@bpf.struct
class Addresses6:
    source: Source
    destination: Source


blocked = bpf.Hash[Source, u8](max_entries=10_000)
budgets = bpf.LruHash[Source, Budget](max_entries=100_000)
verdicts = bpf.PerCpuArray[u64](max_entries=8)


def judged(ctx: bpf.XdpContext) -> int:
    """The verdict on a packet."""
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return BAD_HEADER
    proto = eth.proto
    offset = 14
    if proto in (ETH_P_8021Q, ETH_P_8021AD):
        tag = ctx.packet.at(14, Vlan)
        if tag is None:
            return BAD_HEADER
        proto = tag.proto
        offset = 18
    source = Source()
    if proto == ETH_P_IP:
        ip = ctx.packet.at(offset, IPv4)
        if ip is None or ip.version != 4 or ip.ihl < 5:
            return BAD_HEADER
        if ip.frag_off & 0x1FFF:
            return FRAGMENT
        source.low = ip.saddr
        protocol = ip.protocol
        offset += ip.ihl * 4
    elif proto == ETH_P_IPV6:
        ip6 = ctx.packet.at(offset, IPv6)
        addresses = ctx.packet.at(offset + 8, Addresses6)
        if ip6 is None or addresses is None or ip6.version != 6:
            return BAD_HEADER
        source.high = addresses.source.high
        source.low = addresses.source.low
        protocol = ip6.nexthdr
        offset += 40
    else:
        return OTHER
    if source in blocked:
        return BLOCKED
    if protocol == 6:
        tcp = ctx.packet.at(offset, TCP)
        if tcp is None or tcp.doff < 5:
            return BAD_HEADER
        if tcp.syn and (tcp.fin or tcp.rst):
            return BAD_FLAGS
        if not (tcp.syn or tcp.ack or tcp.rst or tcp.fin):
            return BAD_FLAGS
    elif protocol == 17:
        udp = ctx.packet.at(offset, UDP)
        if udp is None:
            return BAD_HEADER
        if udp.source in (19, 53, 111, 123, 389, 1900, 11211) and udp.len > 512:
            return AMPLIFIED
    now = u32(bpf.ktime() >> 30)
    budget = budgets.get(source)
    if budget is None:
        budgets[source] = Budget(second=now, packets=1)
        return PASSED
    if budget.second != now:
        budget.second = now
        budget.packets = 1
        return PASSED
    if budget.packets >= BUDGET:
        return TOO_MANY
    budget.packets += 1
    return PASSED


@bpf.xdp
def ddos_filter(ctx: bpf.XdpContext) -> bpf.XdpAction:
    verdict = judged(ctx)
    verdicts[verdict] += 1
    return bpf.XDP_PASS if verdict in (PASSED, OTHER) else bpf.XDP_DROP


def fill(rng: Random) -> None:
    blocked[Source(low=0x0A000003)] = 1
    blocked[Source(high=0x20010DB8 << 32, low=2)] = 1
