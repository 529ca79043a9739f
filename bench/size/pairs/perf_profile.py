"""A sampling profiler's kernel half: counts samples by process, kernel threads left out."""

import purebpf as bpf
from purebpf import u32, u64


@bpf.struct
class Key:
    pid: u32 = 0
    cpu: u32 = 0


samples = bpf.PerCpuHash[Key, u64](max_entries=10_240)


@bpf.perf_event
def perf_profile(ctx: bpf.PerfEventContext) -> None:
    pid = bpf.current.tgid
    if pid == 0:
        return
    samples[Key(pid=pid, cpu=bpf.cpu())] += ctx.sample_period
