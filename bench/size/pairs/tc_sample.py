"""Sends one packet in 8 to user space: its interface, length, mark, and what the IP header says."""

import purebpf as bpf
from purebpf import be32, u8, u16, u32
from purebpf.net import ETH_P_IP, Ethernet, IPv4


@bpf.struct
class Sample:
    ifindex: u32 = 0
    size: u32 = 0
    mark: u32 = 0
    saddr: be32 = 0
    daddr: be32 = 0
    total: u16 = 0
    protocol: u8 = 0
    ttl: u8 = 0


samples = bpf.PerfEventArray[Sample]()


@bpf.tc
def tc_sample(ctx: bpf.TcContext) -> bpf.TcAction:
    if bpf.random() & 7:
        return bpf.TC_ACT_OK
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.TC_ACT_OK
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.TC_ACT_OK
    sample = Sample(
        ifindex=ctx.ifindex,
        size=ctx.len,
        mark=ctx.mark,
        saddr=ip.saddr,
        daddr=ip.daddr,
        total=ip.tot_len,
        protocol=ip.protocol,
        ttl=ip.ttl,
    )
    samples.output(sample)
    return bpf.TC_ACT_OK
