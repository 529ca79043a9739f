"""Counts how long threads lived, in powers of two of milliseconds; another program writes down when they started."""

from random import Random

import purebpf as bpf
from purebpf import s32, u64

started = bpf.Hash[s32, u64](max_entries=10_240)
lifetimes = bpf.Array[u64](max_entries=32)


@bpf.tracepoint("sched/sched_process_exit")
def exit_lifetime(ctx: bpf.TracepointContext) -> None:
    start = started.get(ctx.pid)
    if start is None:
        return
    milliseconds = u64(bpf.ktime() - start) // 1_000_000
    slot = 0
    for i in range(31):
        if milliseconds <= 1:
            break
        milliseconds >>= 1
        slot = i + 1
    lifetimes[slot] += 1
    del started[ctx.pid]


def fill(rng: Random) -> None:
    for pid in (0, 1, 2, 5, -1):
        started[pid] = rng.randrange(10**12)
