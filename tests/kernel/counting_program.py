"""Programs that count, for processes that tests start."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u64

counted = bpf.Array[u64](max_entries=1)
calls = bpf.Array[u64](max_entries=1)


@bpf.xdp
def count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    counted[0] += 1
    return bpf.XDP_PASS


@bpf.cgroup_skb("egress")
def packets(ctx: bpf.CgroupSkbContext) -> int:
    counted[0] += 1
    return 1


@bpf.raw_tracepoint("sys_enter")
def entered(ctx: bpf.RawTracepointContext) -> None:
    calls[0] += 1
