"""Per system call: how often it returned, and how often with an error."""

import purebpf as bpf
from purebpf import u64

EAGAIN = 11


@bpf.struct
class Stats:
    calls: u64 = 0
    errors: u64 = 0
    again: u64 = 0


stats = bpf.PerCpuArray[Stats](max_entries=512)


@bpf.tracepoint("raw_syscalls/sys_exit")
def syscall_stats(ctx: bpf.TracepointContext) -> None:
    number = ctx.id
    if not 0 <= number < 512:
        return
    entry = stats[number]
    entry.calls += 1
    if ctx.ret == -EAGAIN:
        entry.again += 1
    elif ctx.ret < 0 and ctx.ret >= -4095:
        entry.errors += 1
