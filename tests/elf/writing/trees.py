"""Programs that make objects of their own, for a tree in a map (Linux 6.6)."""

from __future__ import annotations

import purebpf as bpf
from purebpf import u32, u64


@bpf.struct
class Job:
    node: bpf.RbNode
    due: u64
    id: u32 = 0


@bpf.struct
class Plan:
    lock: bpf.SpinLock
    jobs: bpf.RbTree[Job]


plans = bpf.Array[Plan](max_entries=1)
done = bpf.Array[u64](max_entries=4)


def sooner(a: Job, b: Job) -> bool:
    return a.due < b.due


@bpf.tc
def schedule(ctx: bpf.TcContext) -> bpf.TcAction:
    plan = plans[0]
    job = bpf.new(Job, due=u64(ctx.len) ^ 64, id=ctx.len)
    if job is None:
        return bpf.TC_ACT_OK
    with plan.lock:
        plan.jobs.add(job, sooner)
    return bpf.TC_ACT_SHOT


@bpf.tc
def run_first(ctx: bpf.TcContext) -> bpf.TcAction:
    plan = plans[0]
    job = None
    with plan.lock:
        first = plan.jobs.first()
        if first is not None:
            job = plan.jobs.remove(first)
    if job is not None:
        done[0] += 1
        done[1] = done[1] * 1000 + job.id
        bpf.drop(job)
    return bpf.TC_ACT_OK
