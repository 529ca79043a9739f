"""Time on the CPU per thread: at each switch the one that leaves gets what has passed since the last one."""

import purebpf as bpf
from purebpf import s32, u64

since = bpf.PerCpuArray[u64](max_entries=1)
on_cpu = bpf.Hash[s32, u64](max_entries=10_240)


@bpf.tracepoint("sched/sched_switch")
def run_time(ctx: bpf.TracepointContext) -> None:
    now = bpf.ktime()
    before = since[0]
    since[0] = now
    if before == 0 or ctx.prev_pid == 0:
        return
    on_cpu[ctx.prev_pid] += u64(now - before)
