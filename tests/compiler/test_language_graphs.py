"""Objects of the program's own in lists and trees, and references that map values keep."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import s64, u8, u32, u64
from purebpf.errors import CompileError, Error, Unsupported
from purebpf.vmlinux import cgroup, sock, task_struct  # type: ignore[attr-defined, unused-ignore]
from tests.compiler.test_language_kfuncs import lacks

pytestmark = pytest.mark.skipif(lacks("bpf_iter_task_new"), reason="lists and trees are as here since Linux 6.6")
Function = Callable[[bpf.TcContext], int]


@bpf.struct
class Item:
    small: u8
    node: bpf.ListNode
    value: s64 = -7
    flag: bool = True


@bpf.struct
class Job:
    node: bpf.RbNode
    due: u64
    name: u32 = 0


@bpf.struct
class Plan:
    lock: bpf.SpinLock
    items: bpf.List[Item]
    n: u32 = 0
    jobs: bpf.RbTree[Job]


@bpf.struct
class Kept:
    before: u64 = 0
    task: bpf.Kptr[task_struct]
    group: bpf.Kptr[cgroup]


both = pytest.mark.parametrize("engine", ["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
plans = bpf.Hash[u32, Plan](max_entries=4)
kept = bpf.Hash[u32, Kept](max_entries=4)
found = bpf.Array[u64](max_entries=8)


def sooner(a: Job, b: Job) -> bool:
    return a.due < b.due


def run(function: Function, engine: str, times: int = 1) -> list[int]:
    program = bpf.tc(function)  # type: ignore[arg-type]
    with program.load(engine):
        for _ in range(times):
            assert program.run(packet=bytes(64)).value == 0
        return list(found.values())


@both
def test_fields_of_an_object(engine: str) -> None:
    def program(ctx: bpf.TcContext) -> int:
        item = bpf.new(Item, small=ctx.len)
        if item is None:
            return 1
        found[0], found[1], found[2] = item.small, item.value + 10, item.flag
        item.value += 100
        item.small -= 1
        found[3], found[4] = item.value, item.small
        bpf.drop(item)
        return 0

    def with_a_list(ctx: bpf.TcContext) -> int:
        plan = plans.get(9)
        if plan is not None:
            found[7] = plan.n
        return program(ctx)

    assert run(with_a_list, engine)[:5] == [64, 3, 1, 93, 63]


@both
def test_a_queue_from_one_run_to_the_next(engine: str) -> None:
    def program(ctx: bpf.TcContext) -> int:
        if 1 not in plans:
            plans[1] = Plan()
        plan = plans.get(1)
        if plan is None:
            return 1
        for i in range(4):
            item = bpf.new(Item, small=i, value=plan.n)
            if item is None:
                return 1
            with plan.lock:
                plan.items.push_back(item)
                plan.n += 1
        for _ in range(2):
            with plan.lock:
                first = plan.items.pop_front()
            if first is None:
                return 2
            found[0] = found[0] * 10 + u64(first.value)
            bpf.drop(first)
        with plan.lock:
            last = plan.items.pop_back()
        if last is not None:
            found[1] = last.value
            with plan.lock:
                plan.items.push_front(last)
        return 0

    assert run(program, engine, 2)[:2] == [132, 7]  # 0 1, then 3 (pushed to the front) 2


@both
def test_a_long_queue_emptied(engine: str) -> None:
    def program(ctx: bpf.TcContext) -> int:
        plans[1] = Plan()
        plan = plans.get(1)
        if plan is None:
            return 1
        for i in range(1000):
            item = bpf.new(Item, small=i & 0xFF, value=i)
            if item is None:
                break
            with plan.lock:
                plan.items.push_front(item)
        while True:
            with plan.lock:
                item = plan.items.pop_back()
            if item is None:
                break
            if item.value == found[1]:
                found[0] += 1
            found[1] += 1
            bpf.drop(item)
        return 0

    assert run(program, engine)[:2] == [1000, 1000]


@both
def test_a_tree_gives_the_least_first(engine: str) -> None:
    def program(ctx: bpf.TcContext) -> int:
        plans[1] = Plan()
        plan = plans.get(1)
        if plan is None:
            return 1
        for i in range(7):
            job = bpf.new(Job, due=(i * 3) % 7 + 1, name=i)
            if job is None:
                return 1
            with plan.lock:
                plan.jobs.add(job, sooner)
        for _ in range(7):
            taken = None
            with plan.lock:
                first = plan.jobs.first()
                if first is not None:
                    first.name += 100
                    taken = plan.jobs.remove(first)
            if taken is None:
                break
            found[0] = found[0] * 10 + taken.due
            found[1] += taken.name
            bpf.drop(taken)
        with plan.lock:
            nothing = plan.jobs.first() is None
        found[2] = nothing
        return 0

    assert run(program, engine)[:3] == [1234567, 721, 1]


@both
@pytest.mark.skipif(lacks("bpf_list_front"), reason="this kernel has no bpf_list_front (Linux 6.16)")
def test_a_look_at_both_ends(engine: str) -> None:
    def program(ctx: bpf.TcContext) -> int:
        plans[1] = Plan()
        plan = plans.get(1)
        if plan is None:
            return 1
        for i in range(3):
            item = bpf.new(Item, small=i + 1)
            if item is None:
                return 1
            with plan.lock:
                plan.items.push_back(item)
        seen = 0
        with plan.lock:
            first = plan.items.front()
            if first is not None:
                first.flag = False
                seen = first.small * 10
            last = plan.items.back()
            if last is not None:
                seen += last.small
        found[0] = seen
        return 0

    assert run(program, engine)[0] == 13


@pytest.mark.kernel
@pytest.mark.skipif(lacks("bpf_rbtree_root"), reason="this kernel has no bpf_rbtree_root (Linux 6.16)")
def test_a_tree_is_searched_from_its_root() -> None:
    def program(ctx: bpf.TcContext) -> int:
        plans[1] = Plan()
        plan = plans.get(1)
        if plan is None:
            return 1
        for i in range(7):
            job = bpf.new(Job, due=i, name=i * 11)
            if job is None:
                return 1
            with plan.lock:
                plan.jobs.add(job, sooner)
        taken = None
        with plan.lock:
            at = plan.jobs.root()
            for _ in range(4):
                if at is None or at.due == 5:
                    break
                at = plan.jobs.left(at) if at.due > 5 else plan.jobs.right(at)
            if at is not None:
                taken = plan.jobs.remove(at)
        if taken is not None:
            found[0] = taken.name
            bpf.drop(taken)
        return 0

    assert run(program, "kernel")[0] == 55


@both
def test_what_is_left_goes_with_the_map(engine: str) -> None:
    def program(ctx: bpf.TcContext) -> int:
        plans[1] = Plan()
        plan = plans.get(1)
        job = bpf.new(Job, due=1)
        if job is None:
            return 1
        if plan is None:
            bpf.drop(job)
            return 1
        with plan.lock:
            plan.jobs.add(job, sooner)
        found[0] += 1
        return 0

    assert run(program, engine, 3)[0] == 3


@pytest.mark.kernel
def test_a_task_is_kept_from_one_run_to_the_next() -> None:
    @bpf.tc
    def keep(ctx: bpf.TcContext) -> int:
        kept[1] = Kept(before=5)
        place = kept.get(1)
        task = bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid)
        if task is None:
            return 1
        if place is None:
            bpf.kfuncs.bpf_task_release(task)
            return 1
        old = place.task.xchg(task)
        if old is not None:
            found[0] += 1
            bpf.kfuncs.bpf_task_release(old)
        return 0

    @bpf.tc
    def look(ctx: bpf.TcContext) -> int:
        place = kept.get(1)
        if place is None:
            return 1
        seen = place.task.get()
        if seen is not None:
            found[1] = seen.tgid
            own = bpf.kfuncs.bpf_task_acquire(seen)
            if own is not None:
                found[2] = own.tgid
                bpf.kfuncs.bpf_task_release(own)
        found[3] = place.before
        found[4] = place.group.get() is None
        return 0

    @bpf.tc
    def take(ctx: bpf.TcContext) -> int:
        place = kept.get(1)
        if place is None:
            return 1
        task = place.task.xchg(None)
        if task is None:
            return 2
        found[5] = task.tgid
        bpf.kfuncs.bpf_task_release(task)
        return 0

    with bpf.load(keep, look, take, engine="kernel"):
        assert [one.run(packet=bytes(64)).value for one in (keep, look, take, take)] == [0, 0, 0, 2]
        assert list(found.values())[:6] == [0, os.getpid(), os.getpid(), 5, 1, os.getpid()]


def test_declarations_that_make_no_sense() -> None:
    with pytest.raises(Error, match="keeps no references to it in maps"):
        bpf.Kptr[sock]
    with pytest.raises(Error, match=r"has no place for it: `node: bpf\.RbNode`"):
        bpf.RbTree[Item]

    @bpf.struct
    class Named:
        node: bpf.ListNode
        name: str = bpf.chars(8)

    with pytest.raises(Error, match=r"integers and bools only, `Named.name` is a `chars\(8\)`"):
        bpf.List[Named]


def test_a_node_is_no_map_value() -> None:
    items = bpf.Hash[u32, Item](max_entries=1, name="items")

    @bpf.tc
    def program(ctx: bpf.TcContext) -> int:
        return 0 if items.get(1) is None else 1

    with pytest.raises(CompileError, match="cannot hold `bpf_list_node`"):
        program.compiled()


def test_python_has_no_objects() -> None:
    @bpf.tc
    def program(ctx: bpf.TcContext) -> int:
        plan = plans.get(1)
        item = bpf.new(Item, small=1)
        if item is None:
            return 1
        bpf.drop(item)
        return 0 if plan is None else 1

    with pytest.raises(Unsupported, match=r"bpf\.new"):
        program.python(packet=bytes(64))
