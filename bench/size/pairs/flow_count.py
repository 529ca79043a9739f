"""Counts packets and bytes of each IPv4 flow (addresses, ports, protocol); headers without options only."""

import purebpf as bpf
from purebpf import be16, be32, u8, u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, IPPROTO_UDP, UDP, Ethernet, IPv4


@bpf.struct
class Flow:
    saddr: be32 = 0
    daddr: be32 = 0
    source: be16 = 0
    dest: be16 = 0
    protocol: u8 = 0
    unused: bytes = bpf.bytes(3)


@bpf.struct
class Traffic:
    packets: u64 = 0
    octets: u64 = 0


flows = bpf.PerCpuHash[Flow, Traffic](max_entries=4096)


@bpf.xdp
def flow_count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.ihl != 5:
        return bpf.XDP_PASS
    if ip.protocol != IPPROTO_TCP and ip.protocol != IPPROTO_UDP:
        return bpf.XDP_PASS
    ports = ctx.packet.at(34, UDP)
    if ports is None:
        return bpf.XDP_PASS
    key = Flow(saddr=ip.saddr, daddr=ip.daddr, source=ports.source, dest=ports.dest, protocol=ip.protocol)
    traffic = flows.get(key)
    if traffic is None:
        flows[key] = Traffic(packets=1, octets=len(ctx.packet))
    else:
        traffic.packets += 1
        traffic.octets += len(ctx.packet)
    return bpf.XDP_PASS
