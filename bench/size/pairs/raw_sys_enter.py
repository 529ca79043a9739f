"""Counts system calls of one process by number, from the raw tracepoint: argument 1 is the number."""

from random import Random

import purebpf as bpf
from purebpf import u32, u64

watched = bpf.Array[u32](max_entries=1)
calls = bpf.PerCpuArray[u64](max_entries=512)


@bpf.raw_tracepoint("sys_enter")
def raw_sys_enter(ctx: bpf.RawTracepointContext) -> None:
    only = watched[0]
    if only != 0 and only != bpf.current.tgid:
        return
    number = ctx.args[1]
    if number < 512:
        calls[number] += 1


def fill(rng: Random) -> None:
    import os

    watched[0] = os.getpid()
