"""A table of all processes, read from the kernel in one go, without procfs. Needs root and Linux 5.8 with BTF.

python examples/processes.py          all
python examples/processes.py 1000     those of one user
PID     PPID    UID    THREADS      KIB   SECONDS  COMM
1       0       0            1   168936     45213  systemd
4711    4700    1000         3   921648        17  python
"""

from __future__ import annotations

import os
import sys
import time

import purebpf as bpf
from purebpf import s32, u32, u64
from purebpf.vmlinux import task_struct

ALL = 0xFFFFFFFF


@bpf.struct
class Process:
    pid: s32
    parent: s32
    uid: u32
    threads: s32
    pages: u64  # of its address space; 0 for the kernel's own
    started: u64  # nanoseconds since boot
    comm: str = bpf.chars(16)


@bpf.config
class settings:
    only_uid: u32 = ALL


@bpf.iter("task", Process)
def process(ctx: bpf.IterContext, task: task_struct) -> None:
    """Called for each task, threads among them, and once more behind the last, without one."""
    if task is None or task.pid != task.tgid:
        return
    uid = task.real_cred.uid.val  # `cred` is what a task acts as: a file system may lend it its own
    if settings.only_uid != ALL and uid != settings.only_uid:
        return
    ctx.emit(
        Process(
            pid=task.tgid,
            parent=task.real_parent.tgid,
            uid=uid,
            threads=task.signal.nr_threads,
            pages=task.mm.total_vm,
            started=task.start_boottime,
            comm=task.comm,
        )
    )


def main() -> None:
    settings.only_uid = int(sys.argv[1]) if len(sys.argv) > 1 else ALL
    page = os.sysconf("SC_PAGESIZE")
    with process.attach() as table:
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        print(f"{'PID':<8}{'PPID':<8}{'UID':<6}{'THREADS':>8}{'KIB':>9}{'SECONDS':>10}  COMM")
        for one in table:
            size, age = one.pages * page // 1024, max(now - one.started, 0) // 10**9
            print(f"{one.pid:<8}{one.parent:<8}{one.uid:<6}{one.threads:>8}{size:>9}{age:>10}  {one.comm}")


if __name__ == "__main__":
    main()
