"""Kernel functions by name: what they give, references over branches and loops, objects, memory, texts; other engines."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import s32, u8, u16, u32, u64
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind
from purebpf.data import replace
from purebpf.errors import Error, Unsupported
from purebpf.kernel.program import load_program


def lacks(name: str) -> bool:
    try:
        return not kernel_btf().types_named(name, Kind.FUNC)
    except Error:
        return True


pytestmark = pytest.mark.skipif(lacks("bpf_cgroup_from_id"), reason="this kernel has no bpf_cgroup_from_id (Linux 6.4)")
found = bpf.Array[u64](max_entries=8)
Function = Callable[[bpf.TcContext], int]
ROWS: list[tuple[Function, list[int]]] = []


def gives(*values: int) -> Callable[[Function], Function]:
    """A program for one packet of 64 bytes, and what it leaves in `found`."""

    def add(function: Function) -> Function:
        ROWS.append((function, list(values)))
        return function

    return add


@gives(os.getpid(), 1)
def this_process(ctx: bpf.TcContext) -> int:
    task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
    if task is None:
        return 0
    found[0] = task.tgid
    found[1] = task == bpf.current.task.group_leader
    bpf.kfuncs.bpf_task_release(task)
    return 0


@gives(0, 1)
def none_of_that_number(ctx: bpf.TcContext) -> int:
    task = bpf.kfuncs.bpf_task_from_pid(0x7FFF_FFFF)
    found[0] = task.tgid
    if task is None:
        found[1] = 1
        return 0
    bpf.kfuncs.bpf_task_release(task)
    return 0


@gives(os.getpid(), 7)
def under_one_name(ctx: bpf.TcContext) -> int:
    task = None
    if ctx.len > 10:
        task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
    found[1] = 7
    if task:
        found[0] = task.tgid
        bpf.kfuncs.bpf_task_release(task)
    return 0


@gives(os.getpid())
def either_of_two(ctx: bpf.TcContext) -> int:
    task = bpf.kfuncs.bpf_task_from_pid(1) if ctx.len > 1000 else bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
    if task is not None:
        found[0] = task.tgid
        bpf.kfuncs.bpf_task_release(task)
    return 0


@gives(10 * os.getpid())
def in_each_trip(ctx: bpf.TcContext) -> int:
    for _ in range(10):
        task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
        if task is None:
            continue
        found[0] += task.tgid
        bpf.kfuncs.bpf_task_release(task)
    return 0


@gives(64 * os.getpid())
def in_each_trip_of_a_loop_without_end(ctx: bpf.TcContext) -> int:
    n = 0
    while n < ctx.len:
        n += 1
        task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
        if task is None:
            break
        found[0] += task.tgid
        bpf.kfuncs.bpf_task_release(task)
    return 0


@gives(5, 3)
def over_a_loop(ctx: bpf.TcContext) -> int:
    task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
    if task is None:
        return 1
    for i in range(1000):
        if i == 5 and task.tgid:
            found[0] = i
            break
    else:
        found[1] = 9
    found[1] += 3
    bpf.kfuncs.bpf_task_release(task)
    return 0


@gives(3 * os.getpid())
def a_cursor(ctx: bpf.TcContext) -> int:
    task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
    if task is None:
        return 1
    for _ in range(3):
        found[0] += task.tgid
        following = bpf.kfuncs.bpf_task_acquire(task)
        if following is None:
            break
        bpf.kfuncs.bpf_task_release(task)
        task = following
    bpf.kfuncs.bpf_task_release(task)
    return 0


def take(pid):  # type: ignore[no-untyped-def]
    return bpf.kfuncs.bpf_task_from_pid(pid)


def drop(task):  # type: ignore[no-untyped-def]
    bpf.kfuncs.bpf_task_release(task)


@gives(os.getpid(), os.getppid() and 1)
def through_functions(ctx: bpf.TcContext) -> int:
    task = take(bpf.current.tgid)
    if task is None:
        return 0
    found[0] = task.tgid  # type: ignore[attr-defined]
    parent = bpf.kfuncs.bpf_task_acquire(task.real_parent)  # type: ignore[attr-defined]
    if parent is not None:
        found[1] = 1
        drop(parent)
    drop(task)
    return 0


@gives(1, 0, 1)
def groups(ctx: bpf.TcContext) -> int:
    top = bpf.kfuncs.bpf_cgroup_from_id(1)
    if top is None:
        return 0
    found[0] = top.kn.id
    found[1] = top.level
    same = bpf.kfuncs.bpf_cgroup_ancestor(top, 0)
    if same is not None:
        found[2] = same == top
        bpf.kfuncs.bpf_cgroup_release(same)
    bpf.kfuncs.bpf_cgroup_release(top)
    return 0


@gives(1)
def the_current_task(ctx: bpf.TcContext) -> int:
    top = bpf.kfuncs.bpf_cgroup_from_id(1)
    if top is not None:
        found[0] = bpf.kfuncs.bpf_task_under_cgroup(bpf.current.task, top)
        bpf.kfuncs.bpf_cgroup_release(top)
    return 0


@gives(64, 1)
def the_kernels_own_context(ctx: bpf.TcContext) -> int:
    skb = bpf.kfuncs.bpf_cast_to_kern_ctx(ctx)
    found[0] = skb.len
    found[1] = skb.dev.ifindex
    return 0


@gives(2, 6)
def asked_for(ctx: bpf.TcContext) -> int:
    found[0] = 1
    if bpf.kfunc_exists("bpf_task_from_pid"):
        task = bpf.kfuncs.bpf_task_from_pid(0x7FFF_FFFF)
        if task is not None:
            bpf.kfuncs.bpf_task_release(task)
        found[0] = 2
    if bpf.kfunc_exists("bpf_from_a_kernel_to_come"):
        found[1] = bpf.kfuncs.bpf_from_a_kernel_to_come(3)
    else:
        found[1] = 6
    return 0


@gives(os.getpid(), 7, 1)
def given_back_by_a_with(ctx: bpf.TcContext) -> int:
    with bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid) as task:
        if task is not None:
            found[0] = task.tgid
        found[1] = 7
        with bpf.kfuncs.bpf_task_from_pid(0x7FFF_FFFF) as nothing:
            found[2] = nothing is None
    return 0


@gives(3 * os.getpid())
def given_back_on_every_way_out(ctx: bpf.TcContext) -> int:
    for i in range(10):
        with bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid) as task:
            if task is None or i % 2:
                continue
            if i == 6:
                break
            found[0] += task.tgid
    with bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid) as task:
        if task is not None:
            return 1
    return 0


@gives(os.getpid(), 1, 1)
def in_conditions(ctx: bpf.TcContext) -> int:
    if (task := bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)) is not None:
        found[0] = task.tgid
        bpf.kfuncs.bpf_task_release(task)
    other = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid) if ctx.len > 3 else None
    if other:
        found[1] = 1
        bpf.kfuncs.bpf_task_release(other)
    if ctx.len > 5 and (third := bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)):
        found[2] = 1
        bpf.kfuncs.bpf_task_release(third)
    return 0


@gives(os.getpid())
def the_last_of_a_loop(ctx: bpf.TcContext) -> int:
    last = None
    for i in range(9):
        task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid if i % 2 else 0x7FFF_FFFF)
        if task is None:
            continue
        if last is not None:
            bpf.kfuncs.bpf_task_release(last)
        last = task
    if last is not None:
        found[0] = last.tgid
        bpf.kfuncs.bpf_task_release(last)
    return 0


@gives(os.getpid(), 5)
def until_there_is_one(ctx: bpf.TcContext) -> int:
    n, task = 0, None
    while task is None and n < ctx.len:
        n += 1
        task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid if n == 5 else 0x7FFF_FFFF)
    if task is not None:
        found[0] = task.tgid
        bpf.kfuncs.bpf_task_release(task)
    found[1] = n
    return 0


@gives(os.getpid(), os.getpid())
def two_that_change_places(ctx: bpf.TcContext) -> int:
    a = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
    b = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
    for _ in range(5):
        a, b = b, a
    if a is not None:
        found[0] = a.tgid
        bpf.kfuncs.bpf_task_release(a)
    if b is not None:
        found[1] = b.tgid
        bpf.kfuncs.bpf_task_release(b)
    return 0


@bpf.struct
class Options:
    netns: s32 = -1
    error: s32 = 0
    protocol: u8 = 0
    dir: u8 = 0
    reserved: u16 = 0


@bpf.struct
class Flow:
    saddr: u32
    daddr: u32
    sport: u16
    dport: u16


@pytest.mark.kernel
@pytest.mark.parametrize(("function", "expected"), ROWS, ids=[row[0].__name__ for row in ROWS])
def test_kernel_gives(function: Function, expected: list[int]) -> None:
    program = bpf.tc(function)  # type: ignore[arg-type]
    with program.load("kernel"):
        program.run(packet=bytes(64))
        assert list(found.values())[: len(expected)] == expected


@pytest.mark.kernel
@pytest.mark.skipif(lacks("bpf_local_irq_save"), reason="this kernel has no bpf_local_irq_save (Linux 6.14)")
def test_nothing_comes_between() -> None:
    @bpf.tc
    def program(ctx: bpf.TcContext) -> int:
        with bpf.kfuncs.bpf_preempt_disable():
            found[0] = 1
            with bpf.kfuncs.bpf_local_irq_save():
                found[1] = 2
                if ctx.len > 64:
                    return 1
        return 0

    with program.load("kernel"):
        assert program.run(packet=bytes(65)).value == 1
        assert program.run(packet=bytes(64)).value == 0
        assert list(found.values())[:2] == [1, 2]


@pytest.mark.kernel
@pytest.mark.skipif(lacks("bpf_strlen"), reason="this kernel has no bpf_strlen (Linux 6.17)")
def test_texts() -> None:
    @bpf.xdp
    def program(ctx: bpf.XdpContext) -> int:
        name = bpf.chars(8)
        name = "abc"
        return bpf.kfuncs.bpf_strlen("hello") * 100 + bpf.kfuncs.bpf_strlen(name) * 10 + bpf.kfuncs.bpf_strcmp("a", "a")  # type: ignore[no-any-return]

    with program.load("kernel"):
        assert program.run(packet=bytes(64)).value == 530


@pytest.mark.kernel
@pytest.mark.skipif(lacks("bpf_xdp_ct_lookup"), reason="this kernel has no connection tracking")
def test_records_stand_for_their_memory_and_size() -> None:
    @bpf.xdp
    def program(ctx: bpf.XdpContext) -> int:
        options, flow = Options(protocol=6), Flow(saddr=1, daddr=2, sport=3, dport=4)
        connection = bpf.kfuncs.bpf_xdp_ct_lookup(ctx, flow, options)
        if connection is not None:
            bpf.kfuncs.bpf_ct_release(connection)
            return 1
        return -options.error

    with program.load("kernel"):
        assert program.run(packet=bytes(64)).value == 2  # ENOENT


@pytest.mark.kernel
@pytest.mark.skipif(lacks("bpf_throw"), reason="this kernel has no bpf_throw (Linux 6.7)")
def test_a_thrown_number_is_the_result() -> None:
    @bpf.tc
    def program(ctx: bpf.TcContext) -> int:
        if ctx.len == 64:
            bpf.kfuncs.bpf_throw(3)
        return 0

    with program.load("kernel"):
        assert program.run(packet=bytes(64)).value == 3
        assert program.run(packet=bytes(65)).value == 0


@pytest.mark.kernel
def test_masks_of_cpus() -> None:
    @bpf.tp_btf("task_newtask")
    def program(task, clone_flags) -> None:  # type: ignore[no-untyped-def]
        mask = bpf.kfuncs.bpf_cpumask_create()
        if mask is not None:
            bpf.kfuncs.bpf_cpumask_set_cpu(0, mask)
            found[0] = bpf.kfuncs.bpf_cpumask_weight(mask) if bpf.kfunc_exists("bpf_cpumask_weight") else 1
            found[1] = bpf.kfuncs.bpf_cpumask_first(bpf.current.task.cpus_ptr) + 1
            bpf.kfuncs.bpf_cpumask_release(mask)
        found[2] = task is not None

    with program.attach():
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        values = list(found.values())
    assert values[0] == values[2] == 1
    assert values[1] > 0


@pytest.mark.kernel
def test_a_call_that_a_program_asks_for_is_not_needed() -> None:
    """The call of a function that is not there is in the program, but never reached."""

    @bpf.tc
    def program(ctx: bpf.TcContext) -> int:
        if bpf.kfunc_exists("bpf_task_from_pid"):
            task = bpf.kfuncs.bpf_task_from_pid(1)
            if task is not None:
                bpf.kfuncs.bpf_task_release(task)
            return 1
        return 2

    spec = program.compiled().program
    other = {"bpf_task_from_pid": "bpf_not_of_this_kernel", "?bpf_task_from_pid": "?bpf_not_of_this_kernel"}
    code = tuple(replace(i, symbol=other.get(str(i.symbol), i.symbol)) if i.symbol else i for i in spec.instructions)
    with load_program(replace(spec, instructions=code), {}) as loaded:
        assert loaded.run(data=bytes(64)).value == 2
    unasked = tuple(i for i in code if i.slots == 1)
    with pytest.raises(Unsupported, match="bpf_not_of_this_kernel which this kernel does not have"):
        load_program(replace(spec, instructions=unasked), {})


def test_the_virtual_machine_says_what_it_lacks() -> None:
    with pytest.raises(Unsupported, match="kernel function bpf_task_from_pid, which the virtual machine does not have"):
        bpf.tc(this_process).load("vm")  # type: ignore[arg-type]


def test_the_virtual_machine_answers_that_it_lacks_it() -> None:
    @bpf.tc
    def program(ctx: bpf.TcContext) -> int:
        if bpf.kfunc_exists("bpf_task_from_pid"):
            task = bpf.kfuncs.bpf_task_from_pid(1)
            if task is not None:
                bpf.kfuncs.bpf_task_release(task)
            return 1
        return 2

    with program.load("vm"):
        assert program.run(packet=bytes(64)).value == 2
    assert program.python(packet=bytes(64)).value == 2


@pytest.mark.kernel
def test_a_way_that_is_never_taken_gives_back_too() -> None:
    """Where a comparison is there for the verifier alone, what is held must be given back on its other side."""

    @bpf.tc
    def program(ctx: bpf.TcContext) -> int:
        task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
        if task is None:
            return 0
        table = bpf.array(u32, 16)
        index = (ctx.len * 3 // 7) % 16
        table[index] = 7
        total = sum(table)
        bpf.kfuncs.bpf_task_release(task)
        return total

    with program.load("kernel"):
        assert program.run(packet=bytes(64)).value == 7
