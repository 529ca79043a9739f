"""What the kernel allocates, by power of two of the size: how often, how much was asked for, how much was wasted."""

import purebpf as bpf
from purebpf import u32, u64


@bpf.struct
class Sizes:
    number: u64 = 0
    asked: u64 = 0
    wasted: u64 = 0


sizes = bpf.PerCpuArray[Sizes](max_entries=24)


def log2(x: u32) -> u32:
    """The place of the highest bit, branch by branch."""
    n = 0
    for step in (16, 8, 4, 2, 1):
        if x >> step:
            x >>= step
            n += step
    return n


@bpf.tracepoint("kmem/kmalloc")
def kmalloc_sizes(ctx: bpf.TracepointContext) -> None:
    asked, given = ctx.bytes_req, ctx.bytes_alloc
    slot = log2(asked & 0xFFFFFFFF)
    if asked >> 32 or slot > 23:
        slot = 23
    entry = sizes[slot]
    entry.number += 1
    entry.asked += asked
    entry.wasted += given - asked
