"""The kernel's own types in programs: fields over pointers and embedded structs, bit fields, texts, arrays, questions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s32, u32, u64
from purebpf.btf.running import kernel_btf
from purebpf.collection import Collection
from purebpf.compiler.options import Options
from purebpf.errors import CompileError, Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.vmlinux import (  # type: ignore[attr-defined, unused-ignore]
    no_such_type,
    pid_type,
    sock,
    task_struct,
)


def kernel_has_types() -> str:
    try:
        kernel_btf()
    except Unsupported as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(kernel_has_types()), reason=kernel_has_types())
WAYS = {  # how fields are read
    "known pointers": Options(4),
    "casts": Options(4, kernel_pointers=False),
    "a helper": Options(4, kernel_pointers=False, kernel_casts=False),
    "known pointers, before Linux 6.6": Options(3),
    "a helper, before Linux 6.6": Options(3, kernel_pointers=False, kernel_casts=False),
}
found = bpf.Array[u64](max_entries=32)


@bpf.struct
class Names:
    own: str = bpf.chars(16)
    parent: str = bpf.chars(16)
    node: str = bpf.chars(65)


names = bpf.Array[Names](max_entries=1)


@bpf.globals
class only:
    pid: u32 = 0


def ancestor(task: task_struct, n: u32) -> s32:
    for _ in range(n):
        task = task.real_parent
    return task.tgid


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def look(ctx: bpf.TracepointContext) -> None:
    if bpf.current.tgid != only.pid:
        return
    task = bpf.current.task
    found[0] = task.tgid
    found[1] = task.real_parent.tgid
    found[2] = ancestor(task, 2)
    found[3] = task.nsproxy.uts_ns.ns.inum
    found[4] = task.thread_pid.numbers[0].nr
    found[5] = task.mm.mm_users.counter
    found[6] = task.policy
    found[7] = task.sched_reset_on_fork
    found[8] = task.cred.uid.val
    found[9] = task.files.fdt.max_fds
    level = bpf.ktime() % 1
    found[10] = task.thread_pid.numbers[level].nr
    found[11] = id(task) >> 56  # of a kernel's address, with 4 or 5 levels of page tables
    found[12] = task_struct(id(task)).tgid
    if task.group_leader is task:
        found[13] = 1
    if task.group_leader != task.real_parent:
        found[14] = 1
    depth = 0
    while task.tgid != 1 and depth < 30:
        task = task.real_parent
        depth += 1
    found[15] = depth


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def read_texts(ctx: bpf.TracepointContext) -> None:
    if bpf.current.tgid != only.pid:
        return
    task = bpf.current.task
    entry = names[0]
    entry.own = task.comm
    entry.parent = task.real_parent.comm
    entry.node = task.nsproxy.uts_ns.name.nodename


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def missing(ctx: bpf.TracepointContext) -> None:
    """What is not there reads 0."""
    if bpf.current.tgid != only.pid:
        return
    nothing = task_struct(0)
    found[0] = nothing.tgid + 1
    found[1] = nothing.real_parent.real_parent.tgid + 1
    found[2] = nothing.sched_reset_on_fork + 1
    if nothing.real_parent is None:
        found[3] = 1
    if not nothing:
        found[4] = 1
    if bpf.current.task.mm:
        found[5] = 1
    found[6] = task_struct(8).mm.mm_users.counter + 1
    names[0].own = nothing.comm


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def ask(ctx: bpf.TracepointContext) -> None:
    if bpf.current.tgid != only.pid:
        return
    found[0] = bpf.exists(task_struct, "pid") + 1
    found[1] = bpf.exists(task_struct, "no_such_field") + 1
    found[2] = bpf.exists(sock, "__sk_common.skc_family") + 1
    found[3] = bpf.exists(sock, "__sk_common.no_such_field") + 1
    found[4] = bpf.type_exists(no_such_type) + 1
    found[5] = bpf.type_exists(sock) + 1
    found[6] = bpf.sizeof(task_struct)
    found[7] = bpf.offsetof(sock, "__sk_common.skc_dport")
    found[8] = bpf.enum_value(pid_type, "PIDTYPE_SID")
    found[9] = bpf.exists(pid_type, "PIDTYPE_SID") + 1
    found[10] = bpf.exists(pid_type, "NO_SUCH_VALUE") + 1
    if bpf.exists(task_struct, "state"):
        found[11] = 1
    else:
        found[11] = 2


def results(program: bpf.Program, way: Options) -> dict[int, int]:
    """What the program found when this process called it."""
    program.options = way
    try:
        with program.attach():
            only.pid = os.getpid()
            for index in range(32):
                found[index] = 0
            os.getpgid(0)
            return {index: found[index] for index in range(32)}
    finally:
        program.options = None


def status(pid: int | str, field: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(f"{field}:")).split()[1])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_fields_of_tasks(way: Options, kernel: KernelEngine) -> None:
    got = results(look, way)
    parents = [os.getpid()]
    while parents[-1] > 1:
        parents.append(status(parents[-1], "PPid"))
    assert got[0] == got[4] == got[10] == got[12] == parents[0]
    assert got[1] == parents[1]
    assert got[2] == parents[min(2, len(parents) - 1)] or len(parents) < 3
    assert got[3] == int(os.readlink("/proc/self/ns/uts").strip("uts:[]"))
    assert got[5] >= 1
    assert got[6] == os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    assert got[7] == 0
    assert got[8] == os.getuid()
    assert got[9] >= status("self", "FDSize") or got[9] > 0
    assert got[11] == 0xFF
    assert (got[13], got[14]) == (1, 1)
    assert got[15] == len(parents) - 1


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_bit_fields(way: Options, kernel: KernelEngine) -> None:
    before = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, before | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    try:
        assert results(look, way)[7] == 1
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_texts(way: Options, kernel: KernelEngine) -> None:
    read_texts.options = way
    with read_texts.attach():
        only.pid = os.getpid()
        os.getpgid(0)
        entry = names[0]
    read_texts.options = None
    assert entry.own == Path("/proc/self/comm").read_text().rstrip("\n")
    assert entry.parent == Path(f"/proc/{os.getppid()}/comm").read_text().rstrip("\n")
    assert entry.node == os.uname().nodename


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_cannot_be_read_is_zero(way: Options, kernel: KernelEngine) -> None:
    got = results(missing, way)
    assert [got[i] for i in range(7)] == [1, 1, 1, 1, 1, 1, 1]


def test_questions(kernel: KernelEngine) -> None:
    got = results(ask, Options(4))
    btf = kernel_btf()
    assert [got[i] for i in range(6)] == [2, 1, 2, 1, 1, 2]
    assert got[6] == btf.size_of(btf.find("task_struct"))
    assert got[7] == 12  # include/net/sock.h: behind skc_daddr, skc_rcv_saddr and skc_hash
    assert got[8] == 3  # include/linux/pid_types.h
    assert [got[9], got[10]] == [2, 1]
    assert got[11] == (1 if any(m.name == "state" for m in btf.type(btf.find("task_struct")).members) else 2)  # type: ignore[union-attr]


@bpf.tracepoint("syscalls/sys_enter_getpgid")
def limits(ctx: bpf.TracepointContext) -> None:
    task = bpf.current.task
    if task.tgid != only.pid:
        return
    i = task.prio - 120
    if 0 <= i < 16:
        found[20] = task.signal.rlim[i].rlim_cur ^ 5
    for i in range(16):
        found[21] ^= task.signal.rlim[i].rlim_cur
    found[22] = task.signal.rlim[found[23] & 7].rlim_max
    found[24] = task.thread_pid.numbers[u32(found[25])].nr


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_index_that_was_tested_is_the_verifiers_too(way: Options, kernel: KernelEngine) -> None:
    import resource

    got = results(limits, way)
    soft = [resource.getrlimit(each)[0] & (1 << 64) - 1 for each in range(16)]
    together = 0
    for each in soft:
        together ^= each
    nice = os.nice(0)
    assert got[20] == (soft[nice] ^ 5 if 0 <= nice < 16 else 0)
    assert (got[21], got[22]) == (together, resource.getrlimit(0)[1] & (1 << 64) - 1)
    assert got[24] == os.getpid()


def test_relocations_know_names_and_places() -> None:
    program = look.compiled().program
    asked = {relocation.access for relocation in program.relocations}
    assert len(program.relocations) > 10
    assert all(0 < relocation.type <= len(program.types) for relocation in program.relocations)
    assert all(access.split(":")[0] == "0" for access in asked)
    tasks = [type for type in program.types if getattr(type, "name", "") == "task_struct"]
    assert len(tasks) == 1
    kept = {member.name for member in tasks[0].members}  # type: ignore[union-attr]
    assert {"tgid", "real_parent", "nsproxy", "thread_pid", "mm"} <= kept
    assert len(kept) < 20


def refusal(body: str, tmp_path: Path) -> str:
    script = tmp_path / "program.py"
    head = "import purebpf as bpf\nfrom purebpf import u32, u64\nfrom purebpf.vmlinux import *\n"
    names = "from purebpf.vmlinux import task_struct, sock, no_such_type, tsk_struct, pid_type\n"
    script.write_text(head.replace("from purebpf.vmlinux import *\n", names) + body)
    space: dict[str, object] = {"__name__": "program"}
    exec(compile(script.read_text(), str(script), "exec"), space)
    with pytest.raises(CompileError) as caught:
        space["f"].compiled()  # type: ignore[attr-defined]
    return str(caught.value)


HEAD = '@bpf.tracepoint("syscalls/sys_enter_getpgid")\ndef f(ctx):\n'
REFUSED = {
    "    x = bpf.current.task.pidd": ("no field `pidd`", "similar: pid"),
    "    x = task_struct(1).mm.mm_users.count": ("no field `count`", "counter"),
    "    x = tsk_struct(1).pid": ("`tsk_struct` is not in the BTF of this kernel", "similar: task_struct"),
    "    x = pid_type(1)": ("`pid_type` is no struct or union", ""),
    "    x = bpf.current.task + 1": ("integer", "id("),
    "    bpf.current.task.pid = 1": ("the kernel's", ""),
    "    x = bpf.sizeof(no_such_type)": ("`no_such_type` is not in", ""),
    '    x = bpf.offsetof(task_struct, "pidd")': ("no field `pidd`", "similar: pid"),
    '    x = bpf.enum_value(pid_type, "PIDTYPE_SSID")': ("has no `PIDTYPE_SSID`", "PIDTYPE_SID"),
    "    x = bpf.current.task.thread_pid.numbers.nr": ("no attribute `nr`", "index it"),
    "    x = task_struct()": ("takes one address", ""),
    "    x = bpf.current.task.signal.rlim[bpf.current.task.pid].rlim_cur": ("may be outside of", "0 <= i < 16"),
    "    for i in range(17): x = bpf.current.task.signal.rlim[i].rlim_cur": ("0..16", "`if i < 16:`"),
    "    x = bpf.current.task.thread_pid.numbers[bpf.current.task.pid].nr": ("may be outside of", "`if i >= 0:`"),
    "    x = bpf.current.task.thread_pid.numbers[bpf.ktime()].nr": ("may be outside of", "u32(bpf.ktime())"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused(line: str, tmp_path: Path) -> None:
    said = refusal(HEAD + line + "\n", tmp_path)
    for part in REFUSED[line]:
        assert part in said
    assert "program.py:6" in said


def test_a_collection_of_both(kernel: KernelEngine) -> None:
    with Collection([look, ask], kernel).load() as loaded:
        assert set(loaded.loaded) == {"look", "ask"}
