"""Tracepoints, raw tracepoints and perf events. Every program counts only what the test's own thread does."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.isa.asm import (
    DW,
    FP,
    R0,
    R1,
    R2,
    R6,
    Add,
    Call,
    Exit,
    JEq,
    Label,
    LoadMapPtr,
    LoadMem,
    Mov,
    StoreImm,
    StoreMem,
    W,
    assemble,
)
from purebpf.kernel import tracefs
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import perf_event, tracepoint
from purebpf.kernel.map import KernelMap
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import LinkType, ProgramType
from tests.kernel.programs import (
    COUNTS,
    MAP_LOOKUP,
    any_event_counter,
    integer,
    needs,
    only_this_thread,
    own_event_counter,
    returning,
    u32,
)

pytestmark = pytest.mark.kernel
GET_ATTACH_COOKIE = 174
TRACEPOINT = "syscalls/sys_enter_getppid"


@pytest.fixture
def counts(kernel: KernelEngine) -> Iterator[KernelMap]:
    with kernel.create_map(COUNTS) as map:
        yield map


@pytest.fixture
def mounted() -> str:
    try:
        return tracefs.folder()
    except Error as error:
        pytest.skip(str(error))


def counted(map: KernelMap) -> int:
    return integer(map.lookup(u32(0)))


def cookie_keeper(type: ProgramType, attach_to: str) -> ProgramSpec:
    """Writes the attach cookie into counts[0] when the test's own thread gets there."""
    code = assemble(
        (
            Mov.reg(R6, R1),
            *only_this_thread(),
            StoreImm(FP, -4, 0, W),
            Mov.reg(R2, FP),
            Add.imm(R2, -4),
            LoadMapPtr(R1, "counts"),
            Call.helper(MAP_LOOKUP),
            JEq.imm(R0, 0, "out"),
            StoreMem(FP, -16, R0, DW),
            Mov.reg(R1, R6),
            Call.helper(GET_ATTACH_COOKIE),
            LoadMem(R1, FP, -16, DW),
            StoreMem(R1, 0, R0, DW),
            Label("out"),
            Mov.imm(R0, 0),
            Exit(),
        )
    )
    return ProgramSpec("cookie_keeper", type, code, attach_to=attach_to)


def expected_mechanism(links: bool) -> str:
    return "perf event link" if links and kernel_version() >= (5, 15) else "perf event, ioctl"


@pytest.mark.parametrize("links", [True, False])
def test_tracepoint_counts_this_threads_calls_until_closed(
    kernel: KernelEngine, counts: KernelMap, mounted: str, links: bool
) -> None:
    with kernel.load_program(own_event_counter(ProgramType.TRACEPOINT, TRACEPOINT), {"counts": counts}) as program:
        link = tracepoint.attach(program, {}, links)
        assert link.mechanism == f"tracepoint, {expected_mechanism(links)}"
        if link.mechanism.endswith("link"):
            assert link.info.type == LinkType.PERF_EVENT
        for _ in range(7):
            os.getppid()
        link.close()
        link.close()
        os.getppid()
        assert counted(counts) == 7


def test_tracepoint_may_be_named_at_attach_time(kernel: KernelEngine, counts: KernelMap, mounted: str) -> None:
    with kernel.load_program(own_event_counter(ProgramType.TRACEPOINT), {"counts": counts}) as program:
        with pytest.raises(Error, match="needs the option 'event'"):
            kernel.attach(program, {})
        with kernel.attach(program, {"event": TRACEPOINT}):
            os.getppid()
        assert counted(counts) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("syscalls/sys_enter_getpppid", "no tracepoint syscalls/sys_enter_getpppid .* Similar: .*syscalls/sys_enter_getppid"),
        ("syscals/sys_enter_openat", "There is no category syscals; similar: syscalls"),
        ("sys_enter", "not of the form 'category/name'"),
        ("../x", "is no name of a tracepoint"),
        ("a/b/c", "not of the form"),
    ],
)
def test_missing_tracepoint_names_similar_ones(kernel: KernelEngine, mounted: str, name: str, said: str) -> None:
    with kernel.load_program(returning(0, ProgramType.TRACEPOINT), {}) as program, pytest.raises(Error, match=said):
        kernel.attach(program, {"event": name})


def test_tracefs_that_is_not_mounted_says_how_to_mount_it(
    kernel: KernelEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.setattr(tracefs, "PLACES", (str(tmp_path), f"{tmp_path}/nowhere"))
    with (
        kernel.load_program(returning(0, ProgramType.TRACEPOINT), {}) as program,
        pytest.raises(Error, match=r"tracefs is not mounted .* mount -t tracefs tracefs"),
    ):
        kernel.attach(program, {"event": TRACEPOINT})


def test_a_program_that_is_attached_there_already_is_told(kernel: KernelEngine) -> None:
    said = "This program is attached there already: close that attachment first, or load the program twice"
    with kernel.load_program(returning(0, ProgramType.TRACEPOINT), {}) as program:
        with kernel.attach(program, {"event": TRACEPOINT}), pytest.raises(KernelError, match=said) as again:
            kernel.attach(program, {"event": TRACEPOINT})
        assert again.value.errno == errno.EEXIST
        kernel.attach(program, {"event": TRACEPOINT}).close()


def test_pid_is_no_option_of_a_tracepoint(kernel: KernelEngine) -> None:
    with (
        kernel.load_program(returning(0, ProgramType.TRACEPOINT), {}) as program,
        pytest.raises(Error, match=r"has no option 'pid'\. Its options are:\n  event: .*\n  cookie: "),
    ):
        kernel.attach(program, {"event": TRACEPOINT, "pid": os.getpid()})


def test_raw_tracepoint_counts_this_threads_system_calls(kernel: KernelEngine, counts: KernelMap) -> None:
    with kernel.load_program(own_event_counter(ProgramType.RAW_TRACEPOINT, "sys_enter"), {"counts": counts}) as program:
        link = kernel.attach(program, {})
        assert link.mechanism == "raw tracepoint link"
        assert link.info.type == LinkType.RAW_TRACEPOINT
        for _ in range(50):
            os.getppid()
        link.close()
        after = counted(counts)
        assert after >= 50
        os.getppid()
        assert counted(counts) == after


def test_missing_raw_tracepoint_is_named(kernel: KernelEngine) -> None:
    with (
        kernel.load_program(returning(0, ProgramType.RAW_TRACEPOINT), {}) as program,
        pytest.raises(KernelError, match=r"raw tracepoint no_such_event failed.*no tracepoint of that name") as none,
    ):
        kernel.attach(program, {"event": "no_such_event"})
    assert none.value.errno == errno.ENOENT


@pytest.mark.skipif(kernel_version() >= (5, 15), reason="this kernel has perf event links")
def test_cookie_on_an_older_kernel_says_which_one_has_it(kernel: KernelEngine, mounted: str) -> None:
    with (
        kernel.load_program(returning(0, ProgramType.TRACEPOINT), {}) as program,
        pytest.raises(Unsupported, match=r"It needs perf event links, which Linux 5\.15 brought"),
    ):
        kernel.attach(program, {"event": TRACEPOINT, "cookie": 1})


@needs((5, 15), "perf event links, and so cookies")
def test_cookie_reaches_the_program(kernel: KernelEngine, counts: KernelMap, mounted: str) -> None:
    with kernel.load_program(cookie_keeper(ProgramType.TRACEPOINT, TRACEPOINT), {"counts": counts}) as program:
        with kernel.attach(program, {"cookie": 0x1234_5678_9ABC_DEF0}):
            os.getppid()
        assert counted(counts) == 0x1234_5678_9ABC_DEF0


def busy(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("options", [{"sample_period": 2_000_000}, {"frequency": 500}])
def test_perf_event_samples_this_thread(
    kernel: KernelEngine, counts: KernelMap, options: dict[str, object], links: bool
) -> None:
    with kernel.load_program(own_event_counter(ProgramType.PERF_EVENT), {"counts": counts}) as program:
        link = perf_event.attach(program, {"tid": 0, **options}, links)
        assert link.mechanism == expected_mechanism(links)
        tenths = 0
        while counted(counts) < 10 and tenths < 50:  # an emulated processor may be late for most of its timers
            busy(0.1)
            tenths += 1
        link.close()
        after = counted(counts)
        assert 10 <= after <= 60 * tenths, after  # 50 in 0.1 s at 500 Hz, give or take
        busy(0.02)
        assert counted(counts) == after


def test_perf_event_without_pid_samples_all_cpus(kernel: KernelEngine, counts: KernelMap) -> None:
    with kernel.load_program(own_event_counter(ProgramType.PERF_EVENT), {"counts": counts}) as program:
        with kernel.attach(program, {"sample_period": 2_000_000}):
            busy(0.08)
        assert counted(counts) >= 5


def test_perf_event_of_another_thread_does_not_see_this_one(kernel: KernelEngine, counts: KernelMap) -> None:
    stop, started, thread_id = threading.Event(), threading.Event(), []

    def idle() -> None:
        thread_id.append(threading.get_native_id())
        started.set()
        stop.wait()

    thread = threading.Thread(target=idle)
    thread.start()
    started.wait()
    try:
        with kernel.load_program(any_event_counter(ProgramType.PERF_EVENT), {"counts": counts}) as program:
            with kernel.attach(program, {"tid": thread_id[0], "sample_period": 1_000_000}):
                busy(0.05)
            assert counted(counts) == 0
    finally:
        stop.set()
        thread.join()


THREADS = """
import sys, threading, time
def work():
    end = time.monotonic() + 0.5
    while time.monotonic() < end: pass
early = threading.Thread(target=lambda: (sys.stdin.readline(), work()))
early.start()
sys.stdout.write("ready\\n"); sys.stdout.flush()
early.join()
late = threading.Thread(target=work)
late.start(); late.join()
sys.stdout.write(f"{early.native_id} {late.native_id}\\n"); sys.stdout.flush()
sys.stdin.readline()
"""
samples = bpf.Hash[bpf.u64, bpf.u64](max_entries=64)


@bpf.perf_event
def by_thread(ctx: bpf.PerfEventContext) -> None:
    samples[bpf.helpers.get_current_pid_tgid()] += 1


@needs((5, 13), "sampling threads that start later")
def test_perf_event_of_a_process_samples_its_threads_early_and_late(kernel: KernelEngine) -> None:
    child = subprocess.Popen([sys.executable, "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        with by_thread.attach(pid=child.pid, frequency=200):
            child.stdin.write("go\n")
            child.stdin.flush()
            early, late = map(int, child.stdout.readline().split())
            seen = {divmod(key, 1 << 32) for key in samples}
        assert {process for process, _ in seen} == {child.pid}
        assert {early, late} <= {thread for _, thread in seen}
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"event": "cycles"},
            r"got event='cycles' \(did you mean 'cpu-cycles'\?\); it is one of 'cpu-clock', 'task-clock', 'page-faults'",
        ),
        ({"sample_period": 1, "frequency": 1}, "got both sample_period and frequency"),
        ({"sample_period": 0}, "below 1"),
        ({"event": "cpu-clok"}, r"got event='cpu-clok' \(did you mean 'cpu-clock'\?\); it is one of .* 'breakpoint'\.$"),
        ({"hz": 99}, r"has no option 'hz'\. Its options are:\n  event: .*\n  address: "),
        ({"sample_period": "often"}, "got sample_period='often', which is no integer. `sample_period` is: a sample after"),
        ({"frequency": 0}, "below 1"),
        ({"pid": 0, "tid": 0}, "got both pid and tid"),
        ({"pid": -2}, "got a negative pid"),
        ({"pid": 1 << 30}, "There is no process 1073741824 to sample"),
        (
            {"tid": 0, "cpu": 99_999},
            r"Opening the event cpu-clock of thread 0 on CPU 99999 failed: .* There is no CPU 99999; they are 0 to \d+ here",
        ),
    ],
)
def test_wrong_options_of_a_perf_event(kernel: KernelEngine, options: dict[str, object], said: str) -> None:
    with kernel.load_program(returning(0, ProgramType.PERF_EVENT), {}) as program, pytest.raises(Error, match=said):
        kernel.attach(program, options)


def test_page_faults_are_counted_one_by_one(kernel: KernelEngine, counts: KernelMap) -> None:
    import mmap

    pages = 32
    with kernel.load_program(own_event_counter(ProgramType.PERF_EVENT), {"counts": counts}) as program:
        with (
            mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE) as memory,
            kernel.attach(program, {"event": "page-faults", "pid": 0}),
        ):
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            for page in range(pages):
                memory[page * mmap.PAGESIZE] = 1
        assert counted(counts) >= pages
