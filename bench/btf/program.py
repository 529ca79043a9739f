"""A program that uses three large structs of the kernel."""

import purebpf as bpf
from purebpf import s32, u16, u32
from purebpf.vmlinux import file, sock, task_struct


@bpf.struct
class Seen:
    pid: s32
    parent: s32
    family: u16
    port: u16
    mode: u32
    comm: str = bpf.chars(16)


seen = bpf.RingBuf[Seen](size=1 << 16)


@bpf.raw_tracepoint("sys_enter")
def connecting(ctx: bpf.RawTracepointContext) -> None:
    task = task_struct(ctx.args[0])
    sk = sock(ctx.args[1])
    opened = file(ctx.args[0])
    seen.emit(
        Seen(
            pid=task.tgid,
            parent=task.real_parent.tgid,
            family=sk.__sk_common.skc_family,
            port=sk.__sk_common.skc_dport,
            mode=opened.f_mode,
            comm=task.comm,
        )
    )
