"""How long tasks wait for a CPU once they could run: a histogram of powers of two. Needs root and Linux 5.5 with BTF.

python examples/runqlat.py 5
     usecs  tasks
    1 -  1    812  ****************************************
    2 -  3    377  ******************
"""

from __future__ import annotations

import sys
import time

import purebpf as bpf
from purebpf import s64, u32, u64
from purebpf.vmlinux import task_struct

BUCKETS = 27
TASK_RUNNING = 0


class task_struct___before_5_14(bpf.KernelStruct):
    state: s64


class task_struct___since_5_14(bpf.KernelStruct):
    __state: u32


waiting = bpf.Hash[u32, u64](max_entries=65536)  # since when, by thread
histogram = bpf.PerCpuArray[u64](max_entries=BUCKETS)


@bpf.config
class settings:
    only_pid: u32 = 0  # 0: all


def ready(task: task_struct) -> None:
    """From now on the task waits."""
    if task.pid != 0 and (settings.only_pid == 0 or task.tgid == settings.only_pid):
        waiting[u32(task.pid)] = bpf.ktime()


def could_go_on(task: task_struct) -> bool:
    """Whether a task that leaves the CPU waits for it again."""
    if bpf.exists(task_struct___before_5_14, "state"):
        return task_struct___before_5_14(task).state == TASK_RUNNING
    return task_struct___since_5_14(task).__state == TASK_RUNNING


@bpf.tp_btf("sched_wakeup")
def woken(p: task_struct) -> None:
    ready(p)


@bpf.tp_btf("sched_wakeup_new")
def born(p: task_struct) -> None:
    ready(p)


@bpf.tp_btf("sched_switch")
def switched(preempt: bool, prev: task_struct, next: task_struct) -> None:
    if could_go_on(prev):
        ready(prev)
    since = waiting.pop(u32(next.pid))
    if since is not None:
        microseconds = (bpf.ktime() - since) // 1000
        histogram[min(microseconds.bit_length(), BUCKETS - 1)] += 1


def rows() -> list[tuple[int, int, int]]:
    """(from, to, tasks) in microseconds, up to the last that has any."""
    totals = [sum(histogram[bucket]) for bucket in range(BUCKETS)]
    last = max((bucket for bucket, total in enumerate(totals) if total), default=-1)
    return [(1 << bucket >> 1, (1 << bucket) - 1, total) for bucket, total in enumerate(totals[: last + 1])]


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with bpf.load(woken, born, switched), woken.attach(), born.attach(), switched.attach():
        time.sleep(seconds)
        found = rows()
    most = max((total for _, _, total in found), default=0)
    print(f"{'usecs':>16}  {'tasks':>8}")
    for low, high, total in found:
        print(f"{low:>7} - {high:<6}  {total:>8}  {'*' * (40 * total // max(most, 1))}")


if __name__ == "__main__":
    main()
