"""Ports of a tunnelled packet and of the one around it, each checked by the same function, which is called three times."""

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4

verdicts = bpf.PerCpuArray[u64](max_entries=4)


def weight(port: u32, protocol: u32) -> u32:
    """How suspicious a port is: some rules, in order."""
    if port == 0:
        return 10
    if protocol == 6:
        if port == 22 or port == 23 or port == 3389:
            return 7
        if port == 25 or port == 465 or port == 587:
            return 5
        if 6000 <= port <= 6063:
            return 6
    if protocol == 17:
        if port == 19 or port == 111 or port == 389 or port == 1900 or port == 11211:
            return 9
        if port == 53 or port == 123:
            return 3
    if port < 1024:
        return 2
    return 1 if port < 49152 else 0


@bpf.struct
class Ports:
    source: bpf.be16 = 0
    dest: bpf.be16 = 0


@bpf.xdp
def checked_ports(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5:
        return bpf.XDP_PASS
    ports = ctx.packet.at(34, Ports)
    if ports is None:
        return bpf.XDP_DROP
    total = weight(ports.dest, ip.protocol) * 2 + weight(ports.source, ip.protocol)
    inner = ctx.packet.at(84, Ports)
    if inner is not None:
        total += weight(inner.dest, 6)
    verdicts[min(total // 8, 3)] += 1
    return bpf.XDP_DROP if total > 20 else bpf.XDP_PASS
