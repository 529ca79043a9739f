"""CRC-32 of the first 16 bytes behind the Ethernet header, four bits at a time with a table of 16 constants."""

import purebpf as bpf
from purebpf import u8, u32


def table() -> tuple[int, ...]:
    made = []
    for n in range(16):
        for _ in range(4):
            n = n >> 1 ^ (0xEDB88320 if n & 1 else 0)
        made.append(n)
    return tuple(made)


TABLE = table()
sums = bpf.Array[u32](max_entries=256)


@bpf.struct
class Data:
    octets: list[u8] = bpf.array(u8, 16)


@bpf.xdp
def crc32(ctx: bpf.XdpContext) -> bpf.XdpAction:
    data = ctx.packet.at(14, Data)
    if data is None:
        return bpf.XDP_PASS
    crc: u32 = 0xFFFFFFFF
    for i in range(16):
        octet = data.octets[i]
        crc = TABLE[(crc ^ octet) & 15] ^ crc >> 4
        crc = TABLE[(crc ^ octet >> 4) & 15] ^ crc >> 4
    last = ctx.packet.at(11, u8)
    if last is not None:
        sums[last] = u32(~crc)
    return bpf.XDP_PASS
