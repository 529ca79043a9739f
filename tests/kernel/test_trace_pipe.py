"""The trace pipe: lines as records, and what a program prints, read from an instance of our own."""

from __future__ import annotations

import os
import threading
import time

import pytest

from purebpf.errors import Error, NotLoaded
from purebpf.isa.asm import FP, R0, R1, R2, Add, Call, Exit, Mov, StoreImm, W
from purebpf.kernel import trace_pipe, tracefs
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.trace_pipe import TracePipe, TraceRecord, parse
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType
from tests.kernel.programs import TRACE_PRINTK

LINES = """\
          python3-1234    [001] ...11  4565.909938: bpf_trace_printk: Hello world!

           <...>-77      [000] d..31   12.000001: bpf_trace_printk: a: b
 kworker/u8:2-ev-99      [003] .....     1.5: bpf_trace_printk: two
lines
CPU:1 [LOST 12 EVENTS]
   with tgid-5     (   4321) [002] ....1   7.250000: bpf_trace_printk: x
   bash-6       [000]   8.000000: no flags
"""


def test_lines_become_records() -> None:
    assert parse(LINES) == [
        TraceRecord("python3", 1234, 1, 4565.909938, "Hello world!"),
        TraceRecord("<...>", 77, 0, 12.000001, "a: b"),
        TraceRecord("kworker/u8:2-ev", 99, 3, 1.5, "two\nlines"),
        TraceRecord("", 0, 1, 0.0, "", 12),
        TraceRecord("with tgid", 5, 2, 7.25, "x"),
        TraceRecord("bash", 6, 0, 8.0, "no flags"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "garbage", "CPU:x [LOST 1 EVENTS]", "a-b [c] d: e"])
def test_what_is_no_record_gives_none(text: str) -> None:
    assert parse(text) == []


def saying(word: bytes) -> ProgramSpec:
    """Prints up to four bytes and a newline."""
    text = word.ljust(4, b" ") + b"\n\0\0\0"
    first, second = (int.from_bytes(text[i : i + 4], "little") for i in (0, 4))
    code = (
        StoreImm(FP, -8, first, W), StoreImm(FP, -4, second, W), Mov.reg(R1, FP), Add.imm(R1, -8), Mov.imm(R2, 6),
        Call.helper(TRACE_PRINTK), Mov.imm(R0, 0), Exit(),
    )  # fmt: skip
    return ProgramSpec("saying", ProgramType.RAW_TRACEPOINT, code)


@pytest.fixture
def mounted() -> str:
    try:
        return tracefs.folder()
    except Error as error:
        pytest.skip(str(error))


@pytest.mark.kernel
def test_what_a_program_prints_is_read_with_its_thread(kernel: KernelEngine, mounted: str) -> None:
    with kernel.load_program(saying(b"moin"), {}) as program, TracePipe(pid=threading.get_native_id()) as pipe:
        assert pipe.mechanism == "own tracefs instance"
        assert pipe.read(0) == []
        start = time.monotonic()
        program.run(context=bytes(16))
        (record,) = pipe.read(5)
        assert time.monotonic() - start < 1
        assert (record.text, record.pid, record.lost) == ("moin", threading.get_native_id(), 0)
        assert record.time > 0


@pytest.mark.kernel
def test_two_readers_both_get_every_line(kernel: KernelEngine, mounted: str) -> None:
    me = threading.get_native_id()
    with kernel.load_program(saying(b"both"), {}) as program, TracePipe(pid=me) as first, TracePipe(pid=me) as second:
        program.run(context=bytes(16))
        assert [record.text for record in first.read(5)] == ["both"]
        assert [record.text for record in second.read(5)] == ["both"]


@pytest.mark.kernel
def test_other_threads_are_filtered_out(kernel: KernelEngine, mounted: str) -> None:
    with kernel.load_program(saying(b"mine"), {}) as program, TracePipe(pid=1) as pipe:
        program.run(context=bytes(16))
        assert pipe.read(0.2) == []


@pytest.mark.kernel
def test_instance_is_gone_after_close(kernel: KernelEngine, mounted: str) -> None:
    pipe = TracePipe()
    folder = pipe._instance
    assert folder is not None and os.path.isdir(folder)
    pipe.close()
    pipe.close()
    assert not os.path.exists(folder)
    with pytest.raises(NotLoaded, match="trace pipe is closed"):
        pipe.read(0)
    with pytest.raises(NotLoaded):
        pipe.fileno()


@pytest.mark.kernel
def test_instances_of_dead_processes_are_removed(mounted: str) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    leftover = f"{mounted}/instances/purebpf-{child}-0"
    try:
        os.mkdir(leftover)
    except OSError as error:
        pytest.skip(f"tracefs instances cannot be made here: {error}")
    with TracePipe():
        assert not os.path.exists(leftover)


@pytest.mark.kernel
def test_shared_pipe_is_the_answer_where_there_are_no_instances(mounted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_pipe, "EVENT", "events/no/such/event")
    with TracePipe() as pipe:
        assert pipe.mechanism == "shared trace_pipe"
        leftovers = [name for name in os.listdir(f"{mounted}/instances") if name.startswith(f"purebpf-{os.getpid()}-")]
        assert leftovers == []


@pytest.mark.kernel
def test_close_from_another_thread_ends_a_read(mounted: str) -> None:
    pipe = TracePipe(pid=1)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(pipe.read()))
    thread.start()
    time.sleep(0.1)
    pipe.close()
    thread.join(5)
    assert not thread.is_alive()
    assert got == [[]]


@pytest.mark.kernel
def test_iteration_ends_when_it_is_closed(kernel: KernelEngine, mounted: str) -> None:
    texts = []
    with kernel.load_program(saying(b"next"), {}) as program, TracePipe(pid=threading.get_native_id()) as pipe:
        program.run(context=bytes(16))
        for record in pipe:
            texts.append(record.text)
            if len(texts) == 3:
                pipe.close()
            else:
                program.run(context=bytes(16))
    assert texts == ["next"] * 3
