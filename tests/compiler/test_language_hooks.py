"""Tracing programs at work: fields of their contexts against the truth, for what the test's own thread or child does."""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s32, s64, u32, u64
from purebpf.lang.tracepoints import event_fields, parse_format, text_base


@bpf.struct
class Opened:
    directory: s32 = 0
    flags: u32 = 0
    mode: u64 = 0
    address: u64 = 0


mine = bpf.Array[u64](max_entries=1)  # process << 32 | thread of the test
opened = bpf.Hash[u32, Opened](max_entries=64)
results = bpf.Hash[u32, s64](max_entries=64)
counts = bpf.Hash[u32, u64](max_entries=512)
executed = bpf.Hash[u32, u32](max_entries=8)
samples = bpf.Hash[u64, u64](max_entries=1024)


@pytest.fixture(params=["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def this_thread() -> int:
    return os.getpid() << 32 | threading.get_native_id()


# -- raw tracepoints


@bpf.raw_tracepoint("sys_enter")
def arguments(ctx: bpf.RawTracepointContext) -> None:
    counts[0] += 1
    results[0] = s64(ctx.args[1])
    results[1] = s64(ctx.args[0])


def test_arguments_of_a_raw_tracepoint(engine: str) -> None:
    with arguments.load(engine):
        arguments.run(ctx=struct.pack("QQ", 1 << 63, 41) + bytes(80))
        assert dict(results.items()) == {0: 41, 1: -(1 << 63)}


@bpf.raw_tracepoint("sys_enter")
def system_calls(ctx: bpf.RawTracepointContext) -> None:
    thread = u64(bpf.current.tgid) << 32 | bpf.current.pid
    if thread == mine[0]:
        counts[u32(ctx.args[1])] += 1


@pytest.mark.kernel
def test_a_raw_tracepoint_sees_the_numbers_of_system_calls() -> None:
    number = {"x86_64": 110, "aarch64": 173}.get(os.uname().machine)  # getppid
    if number is None:
        pytest.skip("the number of getppid() on this machine is not known to the test")
    with system_calls.attach():
        mine[0] = this_thread()
        for _ in range(25):
            os.getppid()
        mine[0] = 0
        assert counts[number] == 25


# -- tracepoints


@pytest.fixture
def tracefs() -> None:
    from purebpf.errors import Error
    from purebpf.kernel import tracefs

    try:
        tracefs.folder()
    except Error as error:
        pytest.skip(str(error))


@bpf.tracepoint("syscalls/sys_enter_openat")
def on_open(ctx: bpf.TracepointContext) -> None:
    if u64(bpf.current.tgid) << 32 | bpf.current.pid != mine[0]:
        return
    opened[0] = Opened(directory=ctx.dfd, flags=ctx.flags, mode=ctx.mode, address=ctx.filename)
    counts[0] += 1


@bpf.tracepoint("syscalls/sys_exit_openat")
def on_opened(ctx: bpf.TracepointContext) -> None:
    if u64(bpf.current.tgid) << 32 | bpf.current.pid == mine[0]:
        results[0] = ctx.ret


@pytest.mark.kernel
@pytest.mark.usefixtures("tracefs")
def test_fields_of_a_tracepoint(tmp_path: Path) -> None:
    file = tmp_path / "some file"
    with bpf.load(on_open, on_opened), on_open.attach(), on_opened.attach():
        mine[0] = this_thread()
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
        mine[0] = 0
        try:
            seen = opened[0]
            assert (seen.directory, seen.flags & ~0o100000, seen.mode) == (-100, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
            assert seen.address > 0xFFFF
            assert counts[0] == 1
            assert results[0] == descriptor
        finally:
            os.close(descriptor)


@pytest.mark.kernel
@pytest.mark.usefixtures("tracefs")
def test_a_failing_system_call_gives_a_negative_result() -> None:
    with bpf.load(on_open, on_opened), on_open.attach(), on_opened.attach():
        mine[0] = this_thread()
        with pytest.raises(FileNotFoundError):
            os.open("/no/such/file", os.O_RDONLY)
        mine[0] = 0
        assert results[0] == -2  # ENOENT


@pytest.mark.kernel
@pytest.mark.usefixtures("tracefs")
def test_a_tracepoint_sees_a_child_start(tmp_path: Path) -> None:
    program = tmp_path / "pbpf-exec"
    program.symlink_to("/bin/true")

    @bpf.tracepoint("sched/sched_process_exec")
    def on_exec(ctx: bpf.TracepointContext) -> None:
        if bpf.current.comm == "pbpf-exec":
            executed[ctx.pid] = bpf.current.tgid

    with on_exec.attach():
        child = subprocess.Popen([str(program)])
        child.wait()
        assert dict(executed.items()) == {child.pid: child.pid}


@bpf.struct
class Executed:
    pid: s32 = 0
    file: str = bpf.chars(64)


files = bpf.RingBuf[Executed](size=4096)


@bpf.tracepoint("sched/sched_process_exec")
def executes(ctx: bpf.TracepointContext) -> None:
    name = ctx.filename
    if name.startswith("/tmp/pbpf"):
        files.emit(Executed(pid=ctx.pid, file=ctx.filename))
        counts[0] += len(name)
        counts[1] += ctx.filename == "/tmp/pbpf-x"


@pytest.mark.kernel
@pytest.mark.usefixtures("tracefs")
def test_texts_of_dynamic_length() -> None:
    with tempfile.TemporaryDirectory(prefix="pbpf", dir="/tmp") as folder, executes.attach():
        program = f"{folder}/executed"
        os.symlink("/bin/true", program)
        child = subprocess.Popen([program])
        child.wait()
        assert files.read(2.0) == [Executed(pid=child.pid, file=program)]
        assert dict(counts.items()) == {0: len(program), 1: 0}


@pytest.mark.kernel
@pytest.mark.usefixtures("tracefs")
@pytest.mark.parametrize("how", ["vm", "python"])
def test_texts_of_dynamic_length_in_the_virtual_machine(how: str) -> None:
    fields = event_fields("sched/sched_process_exec")
    context = bytearray(64)
    struct.pack_into("=HH", context, fields["filename"].offset, 40, 12)
    struct.pack_into("=i", context, fields["pid"].offset, 77)
    context[40:52] = b"/tmp/pbpf-x\0"
    with executes.load("vm"):
        run = executes.python if how == "python" else executes.run
        run(ctx=bytes(context))
        assert files.read(0.1) == [Executed(pid=77, file="/tmp/pbpf-x")]
        assert dict(counts.items()) == {0: 11, 1: 1}


def test_where_texts_of_dynamic_length_lie() -> None:
    lines = (
        "field:__data_loc char[] a;\toffset:8;\tsize:4;\tsigned:1;\nfield:__rel_loc char[] b;\toffset:12;\tsize:4;\tsigned:1;\n"
    )
    others = "field:__data_loc u8[] c;\toffset:16;\tsize:4;\tsigned:0;\nfield:int d;\toffset:20;\tsize:4;\tsigned:1;\n"
    fields = parse_format(f'name: some\nformat:\n{lines}{others}print fmt: ""\n')
    assert [text_base(fields[name]) for name in "abcd"] == [0, 16, None, None]


@pytest.mark.kernel
@pytest.mark.usefixtures("tracefs")
def test_char_arrays_of_a_tracepoint_are_texts() -> None:
    """task_rename has both names as char[16]."""
    comm = Path("/proc/thread-self/comm")
    before = comm.read_text().rstrip()

    @bpf.tracepoint("task/task_rename")
    def renamed(ctx: bpf.TracepointContext) -> None:
        if ctx.oldcomm == before and ctx.newcomm == "pbpf-renamed":
            counts[0] += 1
        if ctx.oldcomm == "pbpf-renamed" and ctx.newcomm == before:
            counts[1] += 1

    with renamed.attach():
        comm.write_text("pbpf-renamed")
        comm.write_text(before)
        assert dict(counts.items()) == {0: 1, 1: 1}


@pytest.mark.usefixtures("tracefs")
@pytest.mark.kernel
def test_unknown_events_and_fields_are_named() -> None:
    @bpf.tracepoint("syscalls/sys_enter_opnat")
    def misspelt(ctx: bpf.TracepointContext) -> None:
        return

    with pytest.raises(bpf.CompileError, match=r"no tracepoint `syscalls/sys_enter_opnat`; did you mean syscalls/sys_enter_op"):
        misspelt.compiled()

    @bpf.tracepoint("syscall/sys_enter_openat")
    def category(ctx: bpf.TracepointContext) -> None:
        return

    with pytest.raises(bpf.CompileError, match=r"no tracepoint category `syscall`; did you mean syscalls/sys_enter_openat"):
        category.compiled()

    @bpf.tracepoint("syscalls:sys_enter_openat")
    def as_perf_writes_it(ctx: bpf.TracepointContext) -> None:
        return

    with pytest.raises(
        bpf.CompileError, match=r"'syscalls:sys_enter_openat' is no tracepoint; did you mean syscalls/sys_enter_op"
    ):
        as_perf_writes_it.compiled()

    @bpf.tracepoint("syscalls/sys_enter_openat")
    def field(ctx: bpf.TracepointContext) -> None:
        counts[0] = ctx.descriptor

    with pytest.raises(bpf.CompileError, match=r"has no field `descriptor`(?s:.)*it has: .*dfd, filename, flags, mode"):
        field.compiled()


# -- perf events


@bpf.perf_event
def sampled(ctx: bpf.PerfEventContext) -> None:
    samples[ctx.addr >> 12] += 1
    counts[0] = ctx.sample_period


@pytest.mark.kernel
def test_a_perf_event_knows_its_period_and_address() -> None:
    """Page faults of this thread: the address is that of the page."""
    pages = 16
    with (
        mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE) as memory,
        sampled.attach(event="page-faults", pid=0, sample_period=1),
    ):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
        seen = sorted(dict(samples.items()))
        assert counts[0] == 1
    runs = [b - a for a, b in itertools.pairwise(seen)]
    assert "1" * (pages - 1) in "".join("1" if step == 1 else "." for step in runs), runs


@pytest.mark.kernel
def test_a_perf_event_samples_at_its_period() -> None:
    with sampled.attach(pid=0, sample_period=2_000_000):
        end = time.thread_time() + 0.1
        while time.thread_time() < end:
            pass
        assert counts[0] == 2_000_000
