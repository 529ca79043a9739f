"""Maps that are declared wrongly in a way that only their use can tell; see `test_declaring.py`."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u8

counts: bpf.Hash[int, int] = bpf.Hash(max_entries=4)


@bpf.struct
class Large:
    data: list[u8] = bpf.array(u8, 5000)


small = bpf.RingBuf[Large](size=4096)


@bpf.xdp
def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
    counts[1] = 2
    return bpf.XDP_PASS


@bpf.xdp
def sends(ctx: bpf.XdpContext) -> bpf.XdpAction:
    with small.reserve() as record:
        if record is not None:
            record.data[0] = 1
    return bpf.XDP_PASS
