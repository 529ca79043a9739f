"""Sets queue priority and mark by destination port; counts bytes per class."""

import purebpf as bpf
from purebpf import u64
from purebpf.net import ETH_P_IP, ETH_P_IPV6, IPPROTO_TCP, IPPROTO_UDP, UDP, Ethernet, IPv4, IPv6

INTERACTIVE, NAMES, WEB, BULK = range(4)
octets = bpf.PerCpuArray[u64](max_entries=4)


@bpf.tc
def tc_classify(ctx: bpf.TcContext) -> bpf.TcAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.TC_ACT_OK
    if eth.proto == ETH_P_IP:
        ip = ctx.packet.at(14, IPv4)
        if ip is None:
            return bpf.TC_ACT_SHOT
        protocol = ip.protocol
        offset = 14 + ip.ihl * 4
    elif eth.proto == ETH_P_IPV6:
        ip6 = ctx.packet.at(14, IPv6)
        if ip6 is None:
            return bpf.TC_ACT_SHOT
        protocol = ip6.nexthdr
        offset = 54
    else:
        return bpf.TC_ACT_OK
    if protocol != IPPROTO_TCP and protocol != IPPROTO_UDP:
        return bpf.TC_ACT_OK
    ports = ctx.packet.at(offset, UDP)
    if ports is None:
        return bpf.TC_ACT_SHOT
    match ports.dest:
        case 22:
            kind = INTERACTIVE
        case 53 | 123:
            kind = NAMES
        case 80 | 443 | 8080:
            kind = WEB
        case _:
            kind = BULK
    ctx.priority = 6 - kind
    ctx.mark = kind
    octets[kind] += ctx.len
    return bpf.TC_ACT_OK
