"""Loops over objects of the kernel: tasks, control groups, memory areas, bits; left early, nested, with references."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.errors import CompileError, Unsupported
from tests.compiler.test_language_kfuncs import lacks

pytestmark = pytest.mark.skipif(lacks("bpf_iter_task_new"), reason="this kernel has no bpf_iter_task_new (Linux 6.7)")
found = bpf.Array[u64](max_entries=8)
Function = Callable[[bpf.TcContext], int]


def run(function: Function) -> list[int]:
    program = bpf.tc(function)  # type: ignore[arg-type]
    with program.load("kernel"):
        program.run(packet=bytes(64))
        return list(found.values())


@pytest.mark.kernel
def test_all_processes_and_this_one() -> None:
    def program(ctx: bpf.TcContext) -> int:
        n = 0
        for task in bpf.iter.tasks():
            n += 1
            if task.tgid == bpf.current.tgid:
                found[1] = task.tgid
        else:
            found[2] = 1
        found[0] = n
        return 0

    processes = sum(1 for entry in Path("/proc").iterdir() if entry.name.isdigit())
    values = run(program)
    assert values[1:3] == [os.getpid(), 1]
    assert abs(values[0] - processes) < 0.2 * processes + 64  # those of outer PID namespaces count too


@pytest.mark.kernel
def test_left_early_it_is_given_back() -> None:
    def program(ctx: bpf.TcContext) -> int:
        for task in bpf.iter.tasks(threads=True):
            if task.pid < 3:
                continue
            found[0] += 1
            if found[0] == 5:
                break
        else:
            found[1] = 9
        for task in bpf.iter.tasks():
            if task.tgid == bpf.current.tgid:
                found[2] = 7
                return 1
        return 0

    assert run(program)[:3] == [5, 0, 7]


@pytest.mark.kernel
def test_threads_of_a_process() -> None:
    def program(ctx: bpf.TcContext) -> int:
        for _ in bpf.iter.tasks(of=bpf.current.task):
            found[0] += 1
        return 0

    done = threading.Event()
    others = [threading.Thread(target=done.wait) for _ in range(3)]
    for thread in others:
        thread.start()
    tasks = Path("/proc/self/task")
    before = len(list(tasks.iterdir()))
    values = run(program)
    after = len(list(tasks.iterdir()))
    done.set()
    for thread in others:
        thread.join()
    assert 4 <= min(before, after) <= values[0] <= max(before, after)


@pytest.mark.kernel
def test_a_reference_is_taken_out_of_the_loop() -> None:
    def program(ctx: bpf.TcContext) -> int:
        mine = None
        for task in bpf.iter.tasks():
            if task.tgid == bpf.current.tgid:
                mine = bpf.kfuncs.bpf_task_acquire(task)
                break
        if mine is not None:
            found[0] = mine.tgid
            bpf.kfuncs.bpf_task_release(mine)
        return 0

    assert run(program)[0] == os.getpid()


@pytest.mark.kernel
def test_the_best_of_all_is_kept() -> None:
    def program(ctx: bpf.TcContext) -> int:
        best = None
        for task in bpf.iter.tasks():
            if task.tgid > bpf.current.tgid:
                continue
            if best is None or task.tgid > best.tgid:
                own = bpf.kfuncs.bpf_task_acquire(task)
                if own is not None:
                    if best is not None:
                        bpf.kfuncs.bpf_task_release(best)
                    best = own
        if best is not None:
            found[0] = best.tgid
            bpf.kfuncs.bpf_task_release(best)
        return 0

    assert run(program)[0] == os.getpid()


@pytest.mark.kernel
def test_groups_up_and_down() -> None:
    def program(ctx: bpf.TcContext) -> int:
        top = bpf.kfuncs.bpf_cgroup_from_id(1)
        if top is None:
            return 0
        for group in bpf.iter.cgroups(top):
            found[0] += 1
            for _ in bpf.iter.css(group.self, 4):
                found[1] += 1
        for _ in bpf.iter.cgroups(top, order="up"):
            found[2] += 1
        bpf.kfuncs.bpf_cgroup_release(top)
        return 0

    def plain(ctx: bpf.TcContext) -> int:
        top = bpf.kfuncs.bpf_cgroup_from_id(1)
        if top is None:
            return 0
        for group in bpf.iter.cgroups(top):
            found[0] += 1
            found[1] += group.level + 1
        for _ in bpf.iter.cgroups(top, order="up"):
            found[2] += 1
        bpf.kfuncs.bpf_cgroup_release(top)
        return 0

    values = run(plain)
    assert values[0] >= 1
    assert values[1] >= values[0]
    assert values[2] == 1
    with pytest.raises(CompileError, match="no pointer that the verifier trusts"):
        run(program)


@pytest.mark.kernel
def test_memory_of_a_process() -> None:
    def program(ctx: bpf.TcContext) -> int:
        for area in bpf.iter.task_vma(bpf.current.task, 0):
            found[0] += 1
            found[1] += area.vm_end - area.vm_start
        return 0

    areas = Path("/proc/self/maps").read_text().count("\n")
    values = run(program)
    assert abs(values[0] - areas) < 20
    assert values[1] % 4096 == 0


@pytest.mark.kernel
@pytest.mark.skipif(lacks("bpf_iter_bits_new"), reason="this kernel has no bpf_iter_bits_new (Linux 6.11)")
def test_bits() -> None:
    def program(ctx: bpf.TcContext) -> int:
        mask = bpf.array(u64, 1)
        mask[0] = 0b10110
        for bit in bpf.iter.bits(mask, 1):
            found[0] = found[0] * 10 + bit
        return 0

    assert run(program)[0] == 124


@pytest.mark.kernel
@pytest.mark.skipif(lacks("bpf_iter_kmem_cache_new"), reason="this kernel has no bpf_iter_kmem_cache_new (Linux 6.13)")
def test_in_a_program_that_may_sleep() -> None:
    @bpf.iter("bpf_map", sleepable=True)
    def program(ctx: bpf.IterContext) -> None:
        n = 0
        for cache in bpf.iter.kmem_cache():
            n += cache.size > 0
        with bpf.rcu():
            for task in bpf.iter.tasks():
                n += task.tgid == 1
        found[0] = n

    with program.load("kernel"):
        pass

    @bpf.iter("bpf_map", sleepable=True)
    def unprotected(ctx: bpf.IterContext) -> None:
        for _ in bpf.iter.tasks():
            found[0] += 1

    with pytest.raises(CompileError, match="bpf_iter_task_new` wants RCU to be held"):
        unprotected.load("kernel")


def test_the_virtual_machine_has_no_tasks() -> None:
    @bpf.tc
    def program(ctx: bpf.TcContext) -> int:
        n = 0
        for _ in bpf.iter.tasks():
            n += 1
        return n

    with pytest.raises(Unsupported, match="kernel function bpf_iter_task_"):
        program.load("vm")
    with pytest.raises(Unsupported, match="bpf_iter_task"):
        program.python(packet=bytes(64))
