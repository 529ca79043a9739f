"""Sorts eight 16-bit numbers of the packet in place (bubble sort), and notes the two in the middle."""

import purebpf as bpf
from purebpf import u16, u32


@bpf.struct
class Numbers:
    items: list[u16] = bpf.array(u16, 8)


medians = bpf.Array[u32](max_entries=2)


@bpf.xdp
def sort8(ctx: bpf.XdpContext) -> bpf.XdpAction:
    numbers = ctx.packet.at(14, Numbers)
    if numbers is None:
        return bpf.XDP_PASS
    for _ in range(7):
        for k in range(7):
            if numbers.items[k] > numbers.items[k + 1]:
                numbers.items[k], numbers.items[k + 1] = numbers.items[k + 1], numbers.items[k]
    medians[0] = numbers.items[3]
    medians[1] = numbers.items[4]
    return bpf.XDP_TX
