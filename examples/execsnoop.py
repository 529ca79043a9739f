"""Programs that are started, with their arguments. Needs root and Linux 5.8 with BTF.

python examples/execsnoop.py
PID    PPID   COMM             ARGUMENTS
4711   4700   ls               ls --color=auto /tmp
"""

from __future__ import annotations

import sys

import purebpf as bpf
from purebpf import s32, u16
from purebpf.vmlinux import linux_binprm, task_struct

MOST = 160  # bytes of arguments that are shown


@bpf.struct
class Arguments:
    data: bytes = bpf.bytes(MOST)


@bpf.struct
class Start:
    pid: s32
    parent: s32
    size: u16
    comm: str = bpf.chars(16)
    file: str = bpf.chars(128)
    arguments: bytes = bpf.bytes(MOST)


@bpf.config
class settings:
    only_parent: s32 = 0  # 0: all


starts = bpf.RingBuf[Start](size=1 << 18)


@bpf.tp_btf("sched_process_exec")
def started(p: task_struct, old_pid: int, bprm: linux_binprm) -> None:
    parent = p.real_parent.tgid
    if settings.only_parent != 0 and parent != settings.only_parent:
        return
    with starts.reserve() as start:
        if start is None:
            return
        start.pid = p.tgid
        start.parent = parent
        start.comm = p.comm
        start.file = bpf.read_kernel_str(bprm.filename)
        first, end = p.mm.arg_start, p.mm.arg_end
        start.size = min(max(end - first, 0), MOST)
        arguments = bpf.read_user(first, Arguments)
        if arguments is not None:
            start.arguments = arguments.data


def shown(start: Start) -> str:
    """The command line, cut where it is too long."""
    words = start.arguments[: start.size].rstrip(b"\0").split(b"\0")
    return b" ".join(words).decode(errors="replace") or start.file


def main() -> None:
    settings.only_parent = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with started.attach():
        print(f"{'PID':<7}{'PPID':<7}{'COMM':<16} ARGUMENTS")
        for start in starts:
            print(f"{start.pid:<7}{start.parent:<7}{start.comm:<16} {shown(start)}", flush=True)


if __name__ == "__main__":
    main()
