"""Counts TCP packets by what they do: open, accept, close, reset, carry data."""

import purebpf as bpf
from purebpf import u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

OPEN, ACCEPT, CLOSE, RESET, OTHER = range(5)
kinds = bpf.PerCpuArray[u64](max_entries=5)


@bpf.xdp
def tcp_flags(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_TCP:
        return bpf.XDP_PASS
    tcp = ctx.packet.at(14 + ip.ihl * 4, TCP)
    if tcp is None:
        return bpf.XDP_PASS
    if tcp.rst:
        kind = RESET
    elif tcp.syn:
        kind = ACCEPT if tcp.ack else OPEN
    elif tcp.fin:
        kind = CLOSE
    else:
        kind = OTHER
    kinds[kind] += 1
    return bpf.XDP_PASS
