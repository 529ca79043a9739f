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


def mixed(a: u64, b: u64) -> u64:
    """Long enough to be a function of its own."""
    x = a ^ (b << 1)
    y = b ^ (a >> 1)
    x = (x + 0x9E37) & 0xFFFFFF
    y = (y + 0x79B9) & 0xFFFFFF
    if x > y:
        x, y = y, x
    x = (x * 3 + y) & 0xFFFFFF
    y = (y * 5 + x) & 0xFFFFFF
    if x & 1:
        x ^= y >> 3
    if y & 2:
        y ^= x >> 5
    if x & 4:
        x = (x + 7) & 0xFFFFFF
    if y & 8:
        y = (y + 9) & 0xFFFFFF
    return (x << 24) | y


def twice(a: u64, b: u64) -> u64:
    """Calls another function that is one of its own."""
    first = mixed(a, b)
    second = mixed(b, a)
    if first > second:
        first, second = second, first
    first = (first & 0xFFFF) + (second & 0xFFFF)
    second = (second >> 16) ^ (first << 3)
    if first & 1:
        first += 17
    if second & 1:
        second += 23
    if first & 2:
        first = (first * 3) & 0xFFFFFFFF
    if second & 2:
        second = (second * 7) & 0xFFFFFFFF
    if first & 4:
        first ^= second
    return mixed(first, second)


sums = bpf.Array[u64](max_entries=8)


@bpf.tc
def called(ctx: bpf.TcContext) -> bpf.TcAction:
    """Static functions that call one another."""
    sums[0] = twice(u64(len(ctx.packet)), u64(ctx.protocol))
    sums[1] = twice(u64(ctx.protocol), 5)
    return bpf.TC_ACT_OK


@bpf.tc
def called_back(ctx: bpf.TcContext) -> bpf.TcAction:
    """A callback, and a function that the program before has too."""
    total: u64 = 0

    def add(i: int) -> bool:
        nonlocal total
        byte = ctx.packet.at(i, u8)
        if byte is None:
            return True
        total += byte
        return False

    bpf.loop(1500, add)
    sums[2] = total
    sums[3] = mixed(total, 3) + mixed(3, total)
    return bpf.TC_ACT_SHOT


@bpf.syscall
def asking(ctx: bpf.SyscallContext) -> int:
    """Functions of the kernel, of which one may be missing."""
    if bpf.kfunc_exists("bpf_task_from_pid"):
        task = bpf.kfuncs.bpf_task_from_pid(s32(bpf.current.pid))
        if task is not None:
            sums[4] = u64(task.tgid == bpf.current.tgid)
            bpf.kfuncs.bpf_task_release(task)
            sums[5] += 1
    there = bpf.kfunc_exists("bpf_task_release")
    sums[6] = 40 + u64(there)
    return 0


inner = bpf.Array[u32](max_entries=2)
first_inner = bpf.Array[u32](max_entries=2, name="first_inner")
outer = bpf.ArrayOfMaps(inner, 4)
outer[1] = first_inner


@bpf.xdp
def nested(ctx: bpf.XdpContext) -> bpf.XdpAction:
    """A map of maps that holds one from the beginning."""
    found = outer.get(1)
    if found is None:
        return bpf.XDP_DROP
    found[0] += 1
    return bpf.XDP_PASS
