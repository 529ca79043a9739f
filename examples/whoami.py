"""One compiled program on many kernels: what the kernel knows of the process that asks. Needs root and Linux 5.10 with BTF.

python examples/whoami.py                     compile, load, show
python examples/whoami.py build whoami.json   compile once ...
python examples/whoami.py run whoami.json     ... and run that on other kernels, where its fields lie elsewhere

Linux 6.18.44
task_struct.tgid            at  1476   pid          4711
task_struct.real_parent     at  1488   parent       4700
"""

from __future__ import annotations

import os
import socket as sockets
import sys
from contextlib import ExitStack
from pathlib import Path

import purebpf as bpf
from purebpf import s32, s64, u16, u32, u64
from purebpf.compiler.options import for_kernels
from purebpf.data import replace
from purebpf.kernel.engine import KernelEngine
from purebpf.portable import dumps, loads
from purebpf.spec import CollectionSpec
from purebpf.vmlinux import cred, fdtable, file, inode, mm_struct, net, signal_struct, sock, socket, super_block, task_struct

POINTER = 8


@bpf.struct
class Question:
    """Two descriptors of the process that asks."""

    file: u32
    socket: u32


# What is told: the struct and the field that it is in, or the way to it begins with.
FIELDS = (
    (task_struct, "tgid"),
    (task_struct, "real_parent"),
    (task_struct, "comm"),
    (task_struct, "start_boottime"),
    (cred, "uid"),
    (cred, "egid"),
    (signal_struct, "nr_threads"),
    (mm_struct, "arg_start"),
    (net, "ns"),
    (fdtable, "max_fds"),
    (file, "f_flags"),
    (file, "f_pos"),
    (inode, "i_ino"),
    (super_block, "s_dev"),
    (sock, "__sk_common.skc_num"),
    (sock, "__sk_common.skc_dport"),
    (sock, "__sk_common.skc_family"),
    (socket, "file"),
)


@bpf.struct
class Answer:
    """In the same order, and what has other names in other kernels."""

    pid: s32 = 0
    parent: s32 = 0
    comm: str = bpf.chars(16)
    started: u64 = 0  # nanoseconds since boot
    uid: u32 = 0
    group: u32 = 0  # the effective one
    threads: s32 = 0
    arguments: u64 = 0  # an address of the process
    network: u32 = 0  # the number of its network namespace
    descriptors: u32 = 0  # there is room for
    flags: u32 = 0  # of the file, as those of open(2)
    position: s64 = 0
    inode: u64 = 0
    device: u32 = 0
    port: u16 = 0  # of the socket
    peer: u16 = 0
    family: u16 = 0
    socket_inode: u64 = 0
    changed: s64 = 0  # when the file was, in seconds since 1970
    offsets: list[u32] = bpf.array(u32, len(FIELDS))


class timespec64(bpf.KernelStruct):
    tv_sec: s64


class inode___before_6_11(bpf.KernelStruct):
    __i_ctime: timespec64


class inode___before_6_6(bpf.KernelStruct):
    i_ctime: timespec64


questions = bpf.Array[Question](max_entries=1)
answers = bpf.Array[Answer](max_entries=1)


def opened(descriptor: u32) -> u64:
    """The address of the `struct file` behind a descriptor; 0 where it cannot be read."""
    address = bpf.read_kernel(bpf.current.task.files.fdt.fd + POINTER * descriptor, u64)
    return address if address is not None else 0


def changed(one: inode) -> s64:
    """Where a field was renamed, the kernel is asked what it has; the ways that it has not are gone when it runs."""
    if bpf.exists(inode, "i_ctime_sec"):
        return s64(one.i_ctime_sec)
    if bpf.exists(inode___before_6_11, "__i_ctime"):
        return inode___before_6_11(one).__i_ctime.tv_sec
    return inode___before_6_6(one).i_ctime.tv_sec


@bpf.raw_tracepoint("sys_enter")
def whoami(ctx: bpf.RawTracepointContext) -> None:
    task, question, answer = bpf.current.task, questions[0], answers[0]
    answer.pid = task.tgid
    answer.parent = task.real_parent.tgid
    answer.comm = task.comm
    answer.started = task.start_boottime
    answer.uid = task.real_cred.uid.val
    answer.group = task.real_cred.egid.val
    answer.threads = task.signal.nr_threads
    answer.arguments = task.mm.arg_start
    answer.network = task.nsproxy.net_ns.ns.inum
    answer.descriptors = task.files.fdt.max_fds
    one = file(opened(question.file))
    answer.flags = one.f_flags
    answer.position = one.f_pos
    answer.inode = one.f_inode.i_ino
    answer.device = one.f_inode.i_sb.s_dev
    connection = socket(file(opened(question.socket)).private_data)
    answer.port = connection.sk.__sk_common.skc_num
    answer.peer = connection.sk.__sk_common.skc_dport
    answer.family = connection.sk.__sk_common.skc_family
    answer.socket_inode = connection.file.f_inode.i_ino
    answer.changed = changed(one.f_inode)
    for place, (struct, name) in enumerate(FIELDS):
        answer.offsets[place] = bpf.offsetof(struct, name)


def compiled(btf: str = "") -> CollectionSpec:
    """For Linux 5.10 and all later kernels, with the types in a file, or of the kernel that runs here."""
    whoami.options = replace(for_kernels((5, 10)), btf=btf)
    return whoami.spec()


def ask(spec: CollectionSpec, file: int, socket: int) -> Answer:
    """Load what was compiled, and run it once in this process. The two are descriptors of it."""
    engine, first = KernelEngine(), bytes(4)
    with ExitStack() as stack:
        maps = {name: stack.enter_context(engine.create_map(map)) for name, map in spec.maps.items()}
        program = stack.enter_context(engine.load_program(spec.programs["whoami"], maps))
        maps["questions"].update(first, bpf.to_bytes(Question(file=file, socket=socket)))
        program.run(context=bytes(16))
        return bpf.from_bytes(Answer, maps["answers"].lookup(first) or b"")


def show(answer: Answer) -> None:
    print(f"Linux {os.uname().release}")
    for (struct, field), offset, name in zip(FIELDS, answer.offsets, Answer.__annotations__, strict=False):
        print(f"{f'{struct.__name__}.{field}':<28}at {offset:>5}   {name:<13}{getattr(answer, name)}")
    print(f"{'a time by three names':<39}changed      {answer.changed}")


def main(command: str = "", path: str = "") -> None:
    if command == "build":
        Path(path).write_text(dumps(compiled()))
        return
    spec = loads(Path(path).read_text()) if command == "run" else compiled()
    with open(__file__) as file, sockets.create_server(("127.0.0.1", 0)) as server:
        show(ask(spec, file.fileno(), server.fileno()))


if __name__ == "__main__":
    main(*sys.argv[1:])
