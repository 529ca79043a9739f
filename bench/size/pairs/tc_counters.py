"""Traffic per interface and protocol as TC sees it; marks packets that are too large for a tunnel."""

import purebpf as bpf
from purebpf import be16, u32, u64

MTU = 1200


@bpf.struct
class Key:
    ifindex: u32 = 0
    protocol: be16 = 0
    unused: be16 = 0


@bpf.struct
class Traffic:
    packets: u64 = 0
    octets: u64 = 0
    large: u64 = 0


traffic = bpf.Hash[Key, Traffic](max_entries=1024)


@bpf.tc
def tc_counters(ctx: bpf.TcContext) -> bpf.TcAction:
    key = Key(ifindex=ctx.ifindex, protocol=ctx.protocol)
    entry = traffic.get(key)
    if entry is None:
        traffic.set(key, Traffic(), bpf.BPF_NOEXIST)
        entry = traffic.get(key)
        if entry is None:
            return bpf.TC_ACT_SHOT
    entry.packets += 1
    entry.octets += ctx.len
    if ctx.len > MTU:
        entry.large += 1
        ctx.mark = 1
    ctx.cb[0] = ctx.hash
    return bpf.TC_ACT_OK
