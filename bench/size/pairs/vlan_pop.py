"""Takes the VLAN tag off: moves the addresses up by four bytes and shortens the packet at its front."""

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import ETH_P_8021Q, Ethernet


@bpf.struct
class Front:
    """The two addresses, as numbers."""

    low: u64 = 0
    high: u32 = 0


@bpf.xdp
def vlan_pop(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_8021Q:
        return bpf.XDP_PASS
    front = ctx.packet.at(0, Front)
    moved = ctx.packet.at(4, Front)
    if front is None or moved is None:
        return bpf.XDP_DROP
    low, high = front.low, front.high
    moved.low = low
    moved.high = high
    return bpf.XDP_ABORTED if ctx.packet.adjust_head(4) else bpf.XDP_PASS
