"""Sends an event for each program that is started: who, when, what it is called."""

import purebpf as bpf
from purebpf import s32, u32, u64


@bpf.struct
class Started:
    time: u64
    pid: s32
    old_pid: s32
    uid: u32
    comm: str = bpf.chars(16)


events = bpf.PerfEventArray[Started]()


@bpf.tracepoint("sched/sched_process_exec")
def exec_events(ctx: bpf.TracepointContext) -> None:
    started = Started(time=bpf.ktime(), pid=ctx.pid, old_pid=ctx.old_pid, uid=bpf.current.uid, comm=bpf.current.comm)
    events.output(started)
