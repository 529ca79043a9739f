"""Sends every packet back to where it came from: swaps the Ethernet addresses."""

import purebpf as bpf
from purebpf.net import Ethernet


@bpf.xdp
def mac_swap(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.XDP_DROP
    eth.dst, eth.src = eth.src, eth.dst
    return bpf.XDP_TX
