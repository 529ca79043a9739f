"""Programs that the tests of the writer write, each with something else of what an object file holds."""

from __future__ import annotations

import purebpf as bpf
from purebpf import s32, u8, u16, u32, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4


@bpf.struct
class Traffic:
    packets: u64
    octets: u64
    last: u8


@bpf.config
class settings:
    least: u32 = 20
    mark: u64


@bpf.globals
class state:
    runs: u64 = 0
    mark: u64 = 0
    table: list[u16] = bpf.array(u16, 4)


@bpf.globals
class started:
    at: u64 = 7


by_protocol = bpf.Hash[u8, Traffic](max_entries=64)
seen = bpf.PerCpuArray[u64](max_entries=4)
networks = bpf.LpmTrie[bpf.Network4, u32](max_entries=16)
jumps = bpf.ProgArray(max_entries=8)
rings = bpf.RingBuf[u64](65536)


def weight(size: u64, least: u64) -> u64:
    total = u64(0)
    for i in range(16):
        if i > (size & 15):
            break
        total += u64(i) * size
    return total if total > least else least


@bpf.global_subprogram
def clamp(value: u32, most: u32) -> u32:
    return value if value < most else most


@bpf.xdp
def count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    state.runs += 1
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return bpf.XDP_DROP
    entry = by_protocol.get(ip.protocol)
    if entry is None:
        by_protocol[ip.protocol] = Traffic(packets=1, octets=0, last=ip.ttl)
        return bpf.XDP_DROP
    entry.packets += 1
    entry.octets += weight(u64(len(ctx.packet)), u64(settings.least))
    seen[1] += 1
    state.table[2] = u16(clamp(ip.ttl, 100))
    state.mark = settings.mark + started.at
    return bpf.XDP_TX


@bpf.xdp
def again(ctx: bpf.XdpContext) -> bpf.XdpAction:
    started.at += weight(u64(len(ctx.packet)), 5) + u64(clamp(3, 2))
    jumps.tail_call(ctx, 1)
    return bpf.XDP_ABORTED


@bpf.xdp
def last(ctx: bpf.XdpContext) -> bpf.XdpAction:
    state.runs += 100
    return bpf.XDP_DROP


jumps[1] = last


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def told(ctx: bpf.TracepointContext) -> None:
    pid: s32 = s32(bpf.current.pid)
    rings.emit(u64(pid))
