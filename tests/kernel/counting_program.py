"""A program that counts packets, for processes that tests start."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u64

counted = bpf.Array[u64](max_entries=1)


@bpf.xdp
def count(ctx: bpf.XdpContext) -> bpf.XdpAction:
    counted[0] += 1
    return bpf.XDP_PASS
