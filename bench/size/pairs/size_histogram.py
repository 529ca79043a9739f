"""Histogram of packet sizes by power of two, per address family."""

import purebpf as bpf
from purebpf import u64
from purebpf.net import Ethernet


@bpf.struct
class Sizes:
    packets: list[u64] = bpf.array(u64, 16)
    octets: u64 = 0


sizes = bpf.PerCpuArray[Sizes](max_entries=3)


@bpf.xdp
def size_histogram(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.XDP_PASS
    match eth.proto:
        case 0x0800:
            family = 0
        case 0x86DD:
            family = 1
        case _:
            family = 2
    size = len(ctx.packet)
    slot = 0
    if size >= 256:
        size >>= 8
        slot = 8
    if size >= 16:
        size >>= 4
        slot += 4
    if size >= 4:
        size >>= 2
        slot += 2
    if size >= 2:
        slot += 1
    entry = sizes[family]
    entry.packets[slot] += 1
    entry.octets += len(ctx.packet)
    return bpf.XDP_PASS
