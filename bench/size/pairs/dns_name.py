"""Counts DNS queries by the number of labels in their name; broken names and those of 8 labels or more are dropped."""

import purebpf as bpf
from purebpf import u8, u64
from purebpf.net import ETH_P_IP, IPPROTO_UDP, UDP, Ethernet, IPv4

labels = bpf.PerCpuArray[u64](max_entries=16)
MOST_LABELS = 8


@bpf.xdp
def dns_name(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5 or ip.protocol != IPPROTO_UDP:
        return bpf.XDP_PASS
    udp = ctx.packet.at(34, UDP)
    if udp is None or udp.dest != 53:
        return bpf.XDP_PASS
    offset = 54
    for count in range(MOST_LABELS):  # noqa: B007  its last value is the number of labels
        size = ctx.packet.at(offset, u8)
        if size is None or size > 63:
            return bpf.XDP_DROP
        if size == 0:
            break
        offset += size + 1
    else:
        return bpf.XDP_DROP
    labels[count] += 1
    return bpf.XDP_PASS
