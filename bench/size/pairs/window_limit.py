"""At most 3 packets per 2**30 ns window for each source port of UDP (fixed windows)."""

import purebpf as bpf
from purebpf import be16, u32
from purebpf.net import ETH_P_IP, IPPROTO_UDP, UDP, Ethernet, IPv4

LIMIT = 3


@bpf.struct
class Window:
    number: u32 = 0
    packets: u32 = 0


windows = bpf.Hash[be16, Window](max_entries=65536)


@bpf.xdp
def window_limit(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_UDP:
        return bpf.XDP_PASS
    udp = ctx.packet.at(14 + ip.ihl * 4, UDP)
    if udp is None:
        return bpf.XDP_DROP
    number = u32(bpf.ktime() >> 30)
    window = windows.get(udp.source)
    if window is None:
        windows[udp.source] = Window(number=number, packets=1)
        return bpf.XDP_PASS
    if window.number != number:
        window.number = number
        window.packets = 0
    if window.packets >= LIMIT:
        return bpf.XDP_DROP
    window.packets += 1
    return bpf.XDP_PASS
