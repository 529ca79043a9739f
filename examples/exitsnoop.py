"""Processes that end: who, after how long, with what. Needs root and Linux 5.8 with BTF.

python examples/exitsnoop.py
PID    PPID   COMM             SECONDS  END
4711   4700   sleep                2.0  0
4712   4700   cat                 17.3  signal 15
"""

from __future__ import annotations

import sys

import purebpf as bpf
from purebpf import s32, u32, u64
from purebpf.vmlinux import task_struct


@bpf.struct
class Exit:
    nanoseconds: u64
    pid: s32
    parent: s32
    code: u32
    comm: str = bpf.chars(16)


@bpf.config
class settings:
    only_parent: s32 = 0  # 0: all


exits = bpf.RingBuf[Exit](size=1 << 16)


@bpf.tp_btf("sched_process_exit")
def ending(p: task_struct) -> None:
    if p.pid != p.tgid:
        return  # a thread
    parent = p.real_parent.tgid
    if settings.only_parent != 0 and parent != settings.only_parent:
        return
    lived = bpf.ktime() - p.start_time
    exits.emit(Exit(nanoseconds=lived, pid=p.tgid, parent=parent, code=p.exit_code, comm=p.comm))


def how(code: int) -> str:
    """The end of a process in words, from its wait status."""
    return f"signal {code & 0x7F}" if code & 0x7F else str(code >> 8 & 0xFF)


def main() -> None:
    settings.only_parent = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with ending.attach():
        print(f"{'PID':<7}{'PPID':<7}{'COMM':<16}{'SECONDS':>8}  END")
        for end in exits:
            print(f"{end.pid:<7}{end.parent:<7}{end.comm:<16}{end.nanoseconds / 1e9:>8.1f}  {how(end.code)}", flush=True)


if __name__ == "__main__":
    main()
