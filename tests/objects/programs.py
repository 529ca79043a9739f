"""A program in Python, to be loaded by its spec."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u32, u64

sizes = bpf.Hash[u32, u64](max_entries=64)


@bpf.config
class limits:
    largest: u32 = 1500


@bpf.xdp
def measure(ctx: bpf.XdpContext) -> bpf.XdpAction:
    size = u32(len(ctx.packet))
    sizes[size] += 1
    return bpf.XDP_DROP if size > limits.largest else bpf.XDP_PASS
