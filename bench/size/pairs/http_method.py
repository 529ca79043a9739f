"""Counts HTTP requests by method: compares the first four bytes of the TCP payload with names."""

import purebpf as bpf
from purebpf import be32, u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

GET, POST, HEAD, PUT = (int.from_bytes(name, "big") for name in (b"GET ", b"POST", b"HEAD", b"PUT "))
methods = bpf.PerCpuArray[u64](max_entries=5)


@bpf.xdp
def http_method(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_TCP:
        return bpf.XDP_PASS
    start = 14 + ip.ihl * 4
    tcp = ctx.packet.at(start, TCP)
    if tcp is None:
        return bpf.XDP_PASS
    word = ctx.packet.at(start + tcp.doff * 4, be32)
    if word is None:
        return bpf.XDP_PASS
    if word == GET:
        number = 0
    elif word == POST:
        number = 1
    elif word == HEAD:
        number = 2
    elif word == PUT:
        number = 3
    else:
        number = 4
    methods[number] += 1
    return bpf.XDP_PASS
