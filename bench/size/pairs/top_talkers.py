"""The eight busiest sources, by the space-saving algorithm: an unknown source takes the place of the least busy one."""

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4


@bpf.struct
class Talker:
    address: u32 = 0
    packets: u32 = 0


@bpf.struct
class Table:
    talkers: list[Talker] = bpf.array(Talker, 8)
    replaced: u64 = 0


tables = bpf.PerCpuArray[Table](max_entries=1)


@bpf.xdp
def top_talkers(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_PASS
    address = ip.saddr
    table = tables[0]
    place = 0
    least: u32 = 0xFFFFFFFF
    for i in range(8):
        talker = table.talkers[i]
        if talker.address == address:
            talker.packets += 1
            return bpf.XDP_PASS
        if talker.packets < least:
            least = talker.packets
            place = i
    table.replaced += 1
    table.talkers[place].address = address
    table.talkers[place].packets += 1
    return bpf.XDP_PASS
