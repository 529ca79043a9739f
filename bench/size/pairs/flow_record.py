"""Flow records as NetFlow collects them, on TC: counters, times, flags; a copy goes to user space when one ends."""

import purebpf as bpf
from purebpf import be16, be32, u8, u32, u64
from purebpf.net import ETH_P_IP, IPPROTO_TCP, TCP, Ethernet, IPv4

FIN, RST = 1, 4


@bpf.struct
class Key:
    saddr: be32 = 0
    daddr: be32 = 0
    source: be16 = 0
    dest: be16 = 0


@bpf.struct
class Flow:
    packets: u64 = 0
    octets: u64 = 0
    first: u64 = 0
    last: u64 = 0
    flags: u32 = 0
    ifindex: u32 = 0


@bpf.struct
class Ended:
    key: Key
    flow: Flow


flows = bpf.Hash[Key, Flow](max_entries=65536)
ended = bpf.PerfEventArray[Ended]()


@bpf.tc
def flow_record(ctx: bpf.TcContext) -> bpf.TcAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.TC_ACT_OK
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_TCP:
        return bpf.TC_ACT_OK
    start = 14 + ip.ihl * 4
    tcp = ctx.packet.at(start, TCP)
    flags = ctx.packet.at(start + 13, u8)
    if tcp is None or flags is None:
        return bpf.TC_ACT_OK
    now = bpf.ktime()
    key = Key(saddr=ip.saddr, daddr=ip.daddr, source=tcp.source, dest=tcp.dest)
    flow = flows.get(key)
    if flow is None:
        flows[key] = Flow(packets=1, octets=ctx.len, first=now, last=now, flags=flags, ifindex=ctx.ifindex)
        return bpf.TC_ACT_OK
    flow.packets += 1
    flow.octets += ctx.len
    flow.last = now
    flow.flags |= flags
    if flags & (FIN | RST):
        ended.output(Ended(key=key, flow=flow))
        del flows[key]
    return bpf.TC_ACT_OK
