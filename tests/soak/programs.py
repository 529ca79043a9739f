"""A program for each kind of link. Names of all of them, and of their maps, begin with "soak", by which they are found."""

from __future__ import annotations

import os

import purebpf as bpf
from purebpf import u32, u64
from purebpf.lang.system_calls import function_of

soak_counts = bpf.Array[u64](max_entries=4)
soak_sockets = bpf.SockMap(max_entries=4)
GETPGID = function_of("getpgid", os.uname().machine)


@bpf.xdp
def soak_xdp(ctx: bpf.XdpContext) -> bpf.XdpAction:
    soak_counts[0] += 1
    return bpf.XDP_PASS


@bpf.tc
def soak_tc(ctx: bpf.TcContext) -> bpf.TcAction:
    soak_counts[0] += 1
    return bpf.TC_ACT_OK


soak_held_runs = bpf.Array[u64](max_entries=1)


@bpf.tc
def soak_held(ctx: bpf.TcContext) -> bpf.TcAction:
    soak_held_runs[0] += 1
    return bpf.TC_ACT_OK


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def soak_event(ctx: bpf.TracepointContext) -> None:
    soak_counts[0] += 1


@bpf.raw_tracepoint("sys_enter")
def soak_raw(ctx: bpf.RawTracepointContext) -> None:
    soak_counts[0] += 1


@bpf.tp_btf("sys_enter")
def soak_typed() -> None:
    soak_counts[0] += 1


@bpf.perf_event
def soak_clock(ctx: bpf.PerfEventContext) -> None:
    soak_counts[0] += 1


@bpf.kprobe(GETPGID)
def soak_kprobe(ctx: bpf.ProbeContext) -> None:
    soak_counts[0] += 1


@bpf.kprobe(GETPGID, "ksys_read*")
def soak_kprobes(ctx: bpf.ProbeContext) -> None:
    soak_counts[0] += 1


@bpf.uprobe("libc.so.6", "labs")
def soak_uprobe(ctx: bpf.ProbeContext) -> None:
    soak_counts[0] += 1


@bpf.uretprobe("libc.so.6", "labs")
def soak_uretprobe(ret: int) -> None:
    soak_counts[0] += 1


@bpf.uprobe("libc.so.6", "lab*")
def soak_uprobes(ctx: bpf.ProbeContext) -> None:
    soak_counts[0] += 1


@bpf.fentry(GETPGID)
def soak_fentry() -> None:
    soak_counts[0] += 1


@bpf.lsm("file_open")
def soak_lsm() -> int:
    soak_counts[0] += 1
    return 0


@bpf.lsm_cgroup("socket_bind")
def soak_lsm_cg() -> int:
    soak_counts[0] += 1
    return 1


@bpf.iter("task")
def soak_tasks(ctx, task):  # type: ignore[no-untyped-def]
    soak_counts[1] += 1


@bpf.socket_filter
def soak_filter(ctx: bpf.SocketFilterContext) -> u32:
    soak_counts[0] += 1
    return ctx.len


@bpf.cgroup_skb("egress")
def soak_egress(ctx: bpf.CgroupSkbContext) -> int:
    soak_counts[0] += 1
    return 1


@bpf.cgroup_sock("create")
def soak_create(ctx: bpf.CgroupSockContext) -> int:
    soak_counts[0] += 1
    return 1


@bpf.cgroup_sock_addr("connect4")
def soak_connect(ctx: bpf.SockAddrContext) -> int:
    soak_counts[0] += 1
    return 1


@bpf.cgroup_device
def soak_device(ctx: bpf.CgroupDeviceContext) -> int:
    soak_counts[0] += 1
    return 1


@bpf.cgroup_sysctl
def soak_sysctl(ctx: bpf.SysctlContext) -> int:
    soak_counts[0] += 1
    return 1


@bpf.cgroup_sockopt("getsockopt")
def soak_sockopt(ctx: bpf.SockoptContext) -> int:
    soak_counts[0] += 1
    return 1


@bpf.sockops
def soak_ops(ctx: bpf.SockOpsContext) -> int:
    soak_counts[0] += 1
    return 1


@bpf.sk_msg
def soak_msg(ctx: bpf.SkMsgContext) -> int:
    return soak_sockets.redirect(ctx, 1)


@bpf.sk_skb("stream_verdict")
def soak_verdict(ctx: bpf.SkSkbContext) -> int:
    return soak_sockets.redirect(ctx, 1)


@bpf.sk_lookup
def soak_lookup(ctx: bpf.SkLookupContext) -> int:
    soak_counts[0] += 1
    return bpf.SK_PASS


@bpf.sk_reuseport
def soak_reuse(ctx: bpf.SkReuseportContext) -> int:
    soak_counts[0] += 1
    return bpf.SK_PASS


@bpf.flow_dissector
def soak_flow(ctx: bpf.FlowDissectorContext) -> int:
    soak_counts[0] += 1
    return bpf.BPF_FLOW_DISSECTOR_CONTINUE


@bpf.lwt_out
def soak_route(ctx: bpf.LwtContext) -> int:
    soak_counts[0] += 1
    return bpf.BPF_OK


@bpf.netfilter
def soak_nf(ctx: bpf.NetfilterContext) -> int:
    soak_counts[0] += 1
    return bpf.NF_ACCEPT


@bpf.struct_ops("tcp_congestion_ops")
class soak_control:
    name = "bpf_soak"

    def init(sk) -> None:  # type: ignore[no-untyped-def]
        soak_counts[0] += 1

    def ssthresh(sk):  # type: ignore[no-untyped-def]
        return max(sk.snd_cwnd >> 1, 2)

    def cong_avoid(sk, ack, acked) -> None:  # type: ignore[no-untyped-def]
        soak_counts[0] += 1

    def undo_cwnd(sk):  # type: ignore[no-untyped-def]
        return max(sk.snd_cwnd, 2)


soak_ring = bpf.RingBuf[u64](size=1 << 20)
soak_perf = bpf.PerfEventArray[u64]()


@bpf.xdp
def soak_to_ring(ctx: bpf.XdpContext) -> bpf.XdpAction:
    if not soak_ring.emit(soak_counts[2]):
        soak_counts[3] += 1
    soak_counts[2] += 1
    return bpf.XDP_PASS
