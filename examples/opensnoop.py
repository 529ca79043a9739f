"""Files that are opened: by whom, and how it ended. Needs root and Linux 5.8.

python examples/opensnoop.py
PID    COMM             RESULT  FILE
4711   cat                   3  /etc/hostname
4711   cat                  -2  /etc/nothing
"""

from __future__ import annotations

import sys

import purebpf as bpf
from purebpf import s32, u32


@bpf.struct
class Opening:
    file: str = bpf.chars(200)


@bpf.struct
class Opened:
    pid: u32
    result: s32
    comm: str = bpf.chars(16)
    file: str = bpf.chars(200)


@bpf.config
class settings:
    only_pid: u32 = 0  # 0: all


openings = bpf.LruHash[u32, Opening](max_entries=8192)  # by thread
opened = bpf.RingBuf[Opened](size=1 << 18)


@bpf.tracepoint("syscalls/sys_enter_openat")
def entering(ctx: bpf.TracepointContext) -> None:
    if settings.only_pid == 0 or bpf.current.tgid == settings.only_pid:
        openings[bpf.current.pid] = Opening(file=bpf.read_user_str(ctx.filename))


@bpf.tracepoint("syscalls/sys_exit_openat")
def leaving(ctx: bpf.TracepointContext) -> None:
    opening = openings.get(bpf.current.pid)
    if opening is None:
        return
    opened.emit(Opened(pid=bpf.current.tgid, result=s32(ctx.ret), comm=bpf.current.comm, file=opening.file))
    del openings[bpf.current.pid]


def main() -> None:
    settings.only_pid = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with bpf.load(entering, leaving), entering.attach(), leaving.attach():
        print(f"{'PID':<7}{'COMM':<16}{'RESULT':>7}  FILE")
        for one in opened:
            print(f"{one.pid:<7}{one.comm:<16}{one.result:>7}  {one.file}", flush=True)


if __name__ == "__main__":
    main()
