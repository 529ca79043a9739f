"""Counts opened files by process and by how they are opened: for reading, writing, created."""

import purebpf as bpf
from purebpf import u32, u64

O_ACCMODE, O_WRONLY, O_RDWR, O_CREAT = 0o3, 0o1, 0o2, 0o100


@bpf.struct
class Opens:
    read: u64 = 0
    write: u64 = 0
    created: u64 = 0


opens = bpf.Hash[u32, Opens](max_entries=10_240)


@bpf.tracepoint("syscalls/sys_enter_openat")
def open_count(ctx: bpf.TracepointContext) -> None:
    pid = bpf.current.tgid
    if pid not in opens:
        opens.set(pid, Opens(), bpf.BPF_NOEXIST)
    entry = opens.get(pid)
    if entry is None:
        return
    flags = ctx.flags
    if flags & O_CREAT:
        entry.created += 1
    if flags & O_ACCMODE in (O_WRONLY, O_RDWR):
        entry.write += 1
    else:
        entry.read += 1
