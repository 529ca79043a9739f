"""Keeps the headers of the last 16 packets of each CPU: time, length, and the first 40 bytes as they were."""

import purebpf as bpf
from purebpf import u32, u64


@bpf.struct
class Header:
    octets: bytes = bpf.bytes(40)


@bpf.struct
class Record:
    time: u64 = 0
    size: u32 = 0
    number: u32 = 0
    header: Header


last = bpf.PerCpuArray[Record](max_entries=16)
position = bpf.PerCpuArray[u32](max_entries=1)


@bpf.xdp
def last_packets(ctx: bpf.XdpContext) -> bpf.XdpAction:
    header = ctx.packet.at(0, Header)
    if header is None:
        return bpf.XDP_PASS
    number = position[0]
    position[0] = number + 1
    record = last[number & 15]
    record.time = bpf.ktime()
    record.size = len(ctx.packet)
    record.number = number
    record.header = header
    return bpf.XDP_PASS
