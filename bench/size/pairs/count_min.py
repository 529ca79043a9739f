"""A count-min sketch of source addresses, four rows of 256 counters in one record; drops sources seen more than 50 times."""

import purebpf as bpf
from purebpf import u32
from purebpf.net import ETH_P_IP, Ethernet, IPv4

LIMIT = 50
FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)


@bpf.struct
class Sketch:
    counters: list[u32] = bpf.array(u32, 1024)


sketch = bpf.PerCpuArray[Sketch](max_entries=1)


@bpf.xdp
def count_min(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_PASS
    address = ip.saddr
    table = sketch[0]
    least: u32 = 0xFFFFFFFF
    for row in range(4):
        place = row << 8 | u32(address * FACTORS[row]) >> 24
        table.counters[place] += 1
        least = min(least, table.counters[place])
    return bpf.XDP_DROP if least > LIMIT else bpf.XDP_PASS
