"""Iterators that write: what they emit and print is compared with what procfs, the maps and the sockets say."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s32, u16, u32, u64
from purebpf.btf.running import kernel_btf
from purebpf.errors import CompileError, Error, Unsupported
from purebpf.kernel.engine import KernelEngine
from tests.kernel.programs import needs


def no_types() -> str:
    try:
        kernel_btf()
    except Unsupported as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(no_types()), reason=no_types())
KNOWN = needs((5, 11), "pointers into the kernel that the verifier knows, as programs use them here")


@bpf.struct
class Process:
    pid: s32
    parent: s32
    start: u64 = 0
    comm: str = bpf.chars(16)


@bpf.struct
class Flow:
    packets: u64 = 0
    octets: u32 = 0


@bpf.struct
class Entry:
    key: u32
    packets: u64 = 0


flows = bpf.Hash[u32, Flow](max_entries=64)
numbers = bpf.Array[u64](max_entries=3)


@bpf.iter("task", Process)
def processes(ctx: bpf.IterContext, task) -> None:  # type: ignore[no-untyped-def]
    if task is None or task.pid != task.tgid:
        return
    ctx.emit(Process(pid=task.tgid, parent=task.real_parent.tgid, start=task.start_boottime, comm=task.comm))


@bpf.iter("task", u32)
def threads(ctx: bpf.IterContext, task) -> None:  # type: ignore[no-untyped-def]
    if task is not None:
        ctx.emit(task.pid)


@bpf.iter("task")
def table(task) -> None:  # type: ignore[no-untyped-def]
    if task is not None:
        print(f"{task.tgid:>8} {task.pid}", task.comm, "100%")


def _row(ctx: bpf.IterContext, task) -> None:  # type: ignore[no-untyped-def]
    ctx.emit(Process(pid=task.tgid, parent=0))


@bpf.iter("task", Process)
def by_function(ctx: bpf.IterContext, task) -> int:  # type: ignore[no-untyped-def]
    if task is None:
        return 0
    record = Process(pid=task.pid, parent=1)
    if task.pid == task.tgid:
        ctx.emit(record)
    else:
        _row(ctx, task)
    return 0


@bpf.iter("bpf_map_elem", Entry)
def entries(ctx: bpf.IterContext, key: u32, value: Flow) -> None:
    if key is None or value is None:
        return
    value.packets += 1
    ctx.emit(Entry(key=key, packets=value.packets))


@bpf.iter("bpf_map_elem", u64)
def elements(ctx: bpf.IterContext, value: u64) -> None:
    if value is not None:
        ctx.emit(value)


@bpf.xdp
def owner(ctx: bpf.XdpContext) -> bpf.XdpAction:
    flows[0] = Flow(packets=numbers[0])
    return bpf.XDP_PASS


@bpf.iter("bpf_map", u32)
def map_numbers(ctx: bpf.IterContext, map) -> None:  # type: ignore[no-untyped-def]
    if map is not None:
        ctx.emit(map.id)


@bpf.iter("tcp", u16)
def listening(ctx: bpf.IterContext, sk_common) -> None:  # type: ignore[no-untyped-def]
    if sk_common is not None and sk_common.skc_state == 10:  # TCP_LISTEN
        ctx.emit(sk_common.skc_num)


@bpf.iter("udp")
def datagrams(udp_sk) -> None:  # type: ignore[no-untyped-def]
    if udp_sk is not None:
        print(f"port {udp_sk.inet.sk.__sk_common.skc_num}")


@bpf.struct
class Open:
    pid: s32
    fd: u32
    inode: u64


@bpf.iter("task_file", Open)
def files(ctx: bpf.IterContext, task, fd, file) -> None:  # type: ignore[no-untyped-def]
    if task is not None and file is not None:
        ctx.emit(Open(pid=task.tgid, fd=fd, inode=file.f_inode.i_ino))


@bpf.iter("task")
def raw_helpers(meta, task) -> None:  # type: ignore[no-untyped-def]
    if task is not None and task.pid == task.tgid:
        bpf.helpers.seq_write(meta.seq, b"P\n")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_records_of_processes(kernel: KernelEngine) -> None:
    with processes.attach() as attached:
        for _ in range(2):
            rows = {row.pid: row for row in attached}
            own = rows[os.getpid()]
            assert (own.parent, own.comm) == (os.getppid(), Path("/proc/self/comm").read_text().strip())
            assert own.start >= rows[own.parent].start > 0
            assert rows[own.parent].parent == parent_of(own.parent)
        with pytest.raises(Error, match="for row in attached"):
            attached.read()


@pytest.fixture
def thread() -> Iterator[int]:
    stop, started = threading.Event(), threading.Event()
    made = threading.Thread(target=lambda: (started.set(), stop.wait()))
    made.start()
    started.wait()
    assert made.native_id is not None
    yield made.native_id
    stop.set()
    made.join()


def test_scalars_as_rows(kernel: KernelEngine, thread: int) -> None:
    with threads.attach() as attached:
        assert {os.getpid(), thread} <= set(attached)


def test_lines(kernel: KernelEngine, thread: int) -> None:
    comm = Path(f"/proc/self/task/{thread}/comm").read_text().strip()
    with table.attach() as attached:
        assert f"{os.getpid():>8} {thread} {comm} 100%" in list(attached)
        assert f"{os.getpid():>8} {thread} {comm} 100%\n" in attached.read()


def test_records_of_functions_and_variables(kernel: KernelEngine, thread: int) -> None:
    with by_function.attach() as attached:
        rows = {(row.pid, row.parent) for row in attached}
        assert {(os.getpid(), 1), (os.getpid(), 0)} <= rows


def test_entries_of_maps_are_read_and_written(kernel: KernelEngine) -> None:
    with bpf.load(owner, entries, elements):
        flows.update({5: Flow(packets=10), 6: Flow(packets=20)})
        with entries.attach(map=flows) as attached:
            assert sorted((row.key, row.packets) for row in attached) == [(5, 11), (6, 21)]
        assert flows[5].packets == 11
        numbers[1] = 1 << 40
        with elements.attach(map=numbers) as attached:
            assert list(attached) == [0, 1 << 40, 0]


def test_maps(kernel: KernelEngine) -> None:
    with bpf.load(owner), map_numbers.attach() as attached:
        assert numbers.live.info.id in set(attached)  # type: ignore[attr-defined]


def test_sockets(kernel: KernelEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        with listening.attach() as attached:
            assert server.getsockname()[1] in list(attached)
        with datagrams.attach() as attached:
            assert f"port {udp.getsockname()[1]}" in list(attached)


def test_open_files(kernel: KernelEngine, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as file, files.attach() as attached:
        assert Open(pid=os.getpid(), fd=file.fileno(), inode=path.stat().st_ino) in list(attached)


@bpf.iter("task_file")
def paths(task, fd, file):  # type: ignore[no-untyped-def]
    path = bpf.chars(256)
    if file is not None and bpf.helpers.d_path(file.f_path, path) > 0:
        print(f"{fd} {path}")


@KNOWN
def test_a_struct_inside_of_an_object_is_lent_to_a_helper(kernel: KernelEngine, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as file, paths.attach(pid=os.getpid()) as attached:
        assert f"{file.fileno()} {path}" in list(attached)


def test_what_is_inside_of_nothing_is_not_lent() -> None:
    @bpf.iter("task_file")
    def untested(file):  # type: ignore[no-untyped-def]
        path = bpf.chars(256)
        bpf.helpers.d_path(file.f_path, path)

    with pytest.raises(CompileError, match=r"`file.f_path` may be None here"):
        untested.compiled()


@KNOWN
def test_helpers_by_name(kernel: KernelEngine) -> None:
    with raw_helpers.attach() as attached:
        assert set(attached) == {"P"}


def test_the_type_of_the_rows_is_checked() -> None:
    with pytest.raises(Error, match="records of a"):
        bpf.iter("task", 5)
    with pytest.raises(Error, match="what to go through"):
        bpf.iter(5)  # type: ignore[arg-type]
