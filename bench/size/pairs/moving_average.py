"""Moving average and deviation of packet sizes per source, in fixed point as TCP estimates round trips (RFC 6298)."""

import purebpf as bpf
from purebpf import be32, s64, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4


@bpf.struct
class Average:
    mean: s64 = 0  # times 8
    deviation: s64 = 0  # times 4
    outliers: u64 = 0


averages = bpf.Hash[be32, Average](max_entries=4096)


@bpf.xdp
def moving_average(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_PASS
    size = len(ctx.packet)
    average = averages.get(ip.saddr)
    if average is None:
        averages[ip.saddr] = Average(mean=size * 8, deviation=size * 2)
        return bpf.XDP_PASS
    error: s64 = size - (average.mean >> 3)
    average.mean = average.mean + error
    if error < 0:
        error = -error
    if error > average.deviation:
        average.outliers += 1
    average.deviation = average.deviation + error - (average.deviation >> 2)
    return bpf.XDP_PASS
