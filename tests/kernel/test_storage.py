"""Values at sockets, tasks, inodes and cgroups, from programs and from user space."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.kernel.engine import KernelEngine
from tests.kernel.cgroups import inside, own_cgroup
from tests.kernel.programs import needs

pytestmark = pytest.mark.kernel


@bpf.struct
class Note:
    calls: u64 = 0
    mark: u32 = 0


tasks = bpf.TaskStorage[Note]()
sockets = bpf.SkStorage[Note]()
inodes = bpf.InodeStorage[u64]()
groups = bpf.CgroupStorage[Note]()
attached = bpf.AttachedCgroupStorage[Note]()
on_cpus = bpf.PerCpuAttachedCgroupStorage[Note]()


@bpf.tp_btf("sys_enter")
def counts_calls(ctx: bpf.TracingContext, id):
    note = tasks.get(bpf.current.task)
    if note is not None:
        note.calls += 1
        if note.mark == 99:
            tasks.delete(bpf.current.task)


@needs((5, 11), "storage at tasks")
def test_a_program_finds_the_value_that_user_space_left_at_a_task(kernel: KernelEngine) -> None:
    with counts_calls.attach(engine="kernel"):
        assert os.getpid() not in tasks and tasks.get(os.getpid()) is None
        tasks[os.getpid()] = Note(mark=7)
        for _ in range(10):
            os.getppid()
        found = tasks[os.getpid()]
        assert found.calls >= 10 and found.mark == 7
        with pytest.raises(bpf.KernelError) as there:
            tasks.set(os.getpid(), Note(), bpf.BPF_NOEXIST)
        assert there.value.errno == 17
        tasks[os.getpid()] = Note(mark=99)
        assert os.getpid() not in tasks
        with pytest.raises(KeyError):
            del tasks[os.getpid()]


@bpf.tp_btf("sys_enter")
def marks_callers(ctx: bpf.TracingContext, id):
    if bpf.current.tgid == settings.pid:
        note = tasks.get(bpf.current.task, create=True)
        if note is not None:
            note.calls += 1


numbers = bpf.TaskStorage[u64]()


@bpf.tp_btf("sys_enter")
def reads_numbers(ctx: bpf.TracingContext, id):
    n = numbers.get(bpf.current.task)
    if n is not None:
        told[0] = n + 1


told = bpf.Array[u64](max_entries=1)


@needs((5, 11), "storage at tasks")
def test_integers_are_copies(kernel: KernelEngine) -> None:
    with reads_numbers.attach(engine="kernel"):
        numbers[os.getpid()] = 41
        os.getppid()
        assert told[0] == 42


@bpf.config
class settings:
    pid: u32 = 0


@needs((5, 11), "storage at tasks")
def test_a_program_makes_a_value_where_there_is_none(kernel: KernelEngine) -> None:
    settings.pid = os.getpid()
    with marks_callers.attach(engine="kernel"):
        before = tasks[os.getpid()].calls
        os.getppid()
        assert tasks[os.getpid()].calls > before > 0


@bpf.cgroup_sock_addr("connect4")
def marks_sockets(ctx):
    sk = ctx.sk
    if sk is not None:
        note = sockets.get(sk, create=True)
        if note is not None:
            note.calls += 1
            note.mark = sk.family
    own = attached.get()
    own.calls += 1
    return 1


@needs((5, 15), "storage at sockets for programs on addresses")
def test_values_at_sockets_and_at_the_cgroup_of_the_program(kernel: KernelEngine) -> None:
    with own_cgroup() as folder, marks_sockets.attach(folder, engine="kernel"), socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def connects() -> tuple[int, int]:
            with socket.socket() as client:  # its cgroup is that of the process that makes it
                client.connect(listener.getsockname())
                return sockets[client].calls, sockets[client].mark

        assert inside(folder, connects) == (1, socket.AF_INET)
        assert attached[folder].calls == 1 and folder in attached
        with socket.socket() as other:
            assert other not in sockets
            sockets[other] = Note(mark=5)
            assert sockets.get(other.fileno()) == Note(mark=5)
            del sockets[other]
            assert other not in sockets
        with pytest.raises(TypeError, match="the owner of a value of `sockets` is a socket, not 'x'"):
            sockets["x"]
        with pytest.raises(bpf.Error, match="the kernel does not tell the owners"):
            list(sockets)


@bpf.cgroup_sock_addr("connect4")
def counts_on_cpus(ctx):
    own = on_cpus.get()
    own.calls += 2
    return 1


def test_values_of_a_cgroup_on_each_cpu(kernel: KernelEngine) -> None:
    with own_cgroup() as folder, counts_on_cpus.attach(folder, engine="kernel"):

        def connects() -> int:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", 1))

        assert inside(folder, connects) == errno.ECONNREFUSED
        assert sum(note.calls for note in on_cpus[folder]) == 2
        on_cpus[folder] = Note(calls=4)
        assert on_cpus[folder].sum().calls == 4 * on_cpus.engine.possible_cpus


@bpf.tp_btf("cgroup_mkdir")
def marks_groups(ctx: bpf.TracingContext, cgrp):
    note = groups.get(cgrp, create=True) if cgrp is not None else None
    if note is not None:
        note.mark = 11


@needs((6, 2), "storage at cgroups")
def test_values_at_cgroups(kernel: KernelEngine) -> None:
    with marks_groups.attach(engine="kernel"), own_cgroup() as folder:
        assert groups[folder].mark == 11
        groups[folder] = Note(mark=12)
        assert groups.get(Path(folder)) == Note(mark=12)
        del groups[folder]
        assert folder not in groups


def test_values_at_inodes_from_user_space(kernel: KernelEngine, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    try:
        loaded = bpf.load(inodes, engine="kernel")
    except bpf.Error as error:
        pytest.skip(f"no storage at inodes here: {error}")
    with loaded:
        try:
            inodes[file] = 5
        except bpf.KernelError as error:
            pytest.skip(f"no storage at inodes here (the kernel's list of security modules lacks bpf): {error}")
        with file.open() as opened:
            assert inodes[opened] == 5
        del inodes[str(file)]
        assert file not in inodes


def test_owners_must_be_what_the_map_says() -> None:
    def wrong(ctx: bpf.TracingContext, id):
        sockets.get(bpf.current.task)

    def untested(ctx: bpf.TracingContext, id):
        tasks.get(bpf.current.task, create=True).calls += 1

    with pytest.raises(bpf.CompileError, match="the owner of a value of `sockets` is the kernel's `sock`, not a"):
        bpf.tp_btf("sys_enter")(wrong).spec()
    with pytest.raises(bpf.CompileError, match="gives None where there is no memory for a new value"):
        bpf.tp_btf("sys_enter")(untested).spec()
    with pytest.raises(bpf.Unsupported, match="has no maps of type task_storage"):
        bpf.load(tasks, engine="vm")
