"""Programs that get a record of the author's own: syscall programs (in the kernel, the virtual machine and Python), and
writable tracepoints."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s32, u16, u32, u64
from purebpf.errors import CompileError, Error, KernelError
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from tests.kernel.programs import needs


@bpf.struct
class Inner:
    x: u16 = 0
    y: u16 = 0


@bpf.struct
class Request:
    number: u32
    sum: u64 = 0
    comm: str = bpf.chars(16)
    items: list[u32] = bpf.array(u32, 4)
    mac: bytes = bpf.bytes(6)
    inner: Inner = Inner()


@bpf.struct
class Key:
    comm: str = bpf.chars(16)


calls = bpf.Hash[u32, u64](max_entries=16)
names = bpf.Hash[Key, u32](max_entries=16)
requests = bpf.Hash[u32, Request](max_entries=16)


@bpf.syscall
def work(request: Request) -> int:
    """Reads and writes of every sort of field; as keys, values and arguments of helpers."""
    calls[request.number] += 1
    requests[request.number] = request
    for i in (0, 1, 2, 3):
        request.sum += request.items[i]
    names[Key(comm=request.comm)] = request.number
    if request.comm == "short":
        request.comm = "longer than that"[:15]
    elif request.comm.startswith("be"):
        request.comm = bpf.current.comm
    request.mac = b"\x02\x00\x00\x00\x00\x07"
    request.items[3] = len(request.comm)
    request.inner.x, request.inner.y = request.inner.y, request.inner.x
    saved = requests.get(request.number)
    if saved is not None:
        request.items[0] = saved.items[1]
    return request.number * 2


@bpf.syscall
def plain(ctx: bpf.SyscallContext) -> int:
    return 5


@bpf.syscall
def quiet(request: Request) -> None:
    request.sum = 1


ENGINES = ["python", "vm", pytest.param("kernel", marks=[pytest.mark.kernel, needs((5, 14), "syscall programs")])]


def run(program: bpf.Program, record: Request, engine: str) -> tuple[int, Request]:
    try:
        result = program.python(ctx=record) if engine == "python" else program.run(ctx=record, engine=engine)
        return result.value, bpf.from_bytes(Request, result.context)
    finally:
        program.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_record_goes_in_and_comes_out(engine: str) -> None:
    given = Request(number=21, sum=100, comm="short", items=[1, 2, 3, 4], inner=Inner(x=1, y=2))
    value, after = run(work, given, engine)
    assert value == 42
    assert after == Request(
        number=21,
        sum=110,
        comm="longer than tha",
        items=[2, 2, 3, 15],
        mac=b"\x02\x00\x00\x00\x00\x07",
        inner=Inner(x=2, y=1),
    )


@pytest.mark.parametrize("engine", ["vm", ENGINES[2]])
def test_helpers_fill_fields(engine: str) -> None:
    _, after = run(work, Request(number=1, comm="before"), engine)
    assert after.comm == Path("/proc/thread-self/comm").read_text().strip()
    assert after.items[3] == len(after.comm)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_without_result_gives_zero(engine: str) -> None:
    value, after = run(quiet, Request(number=1), engine)
    assert (value, after.sum) == (0, 1)


@pytest.mark.parametrize("engine", ["vm", ENGINES[2]])
def test_a_program_without_record(engine: str) -> None:
    assert plain.run(engine=engine).value == 5
    plain.close()


def test_maps_keep_what_a_run_left(kernel: KernelEngine) -> None:
    if kernel_version() < (5, 14):
        pytest.skip("syscall programs came with Linux 5.14")
    with work.load("kernel"):
        for _ in range(3):
            work.run(ctx=Request(number=9))
        assert calls[9] == 3
        with pytest.raises(KernelError):
            work.run(ctx=b"\0" * 8)


def test_sections() -> None:
    assert work.compiled().program.section == "syscall"
    assert fail.compiled().program.section == "raw_tracepoint.w/bpf_test_finish"


@bpf.struct
class Result:
    errno: s32


@bpf.globals
class only:
    armed: u32 = 0


@bpf.raw_tracepoint("bpf_test_finish", writable=True)
def fail(result: Result, ctx: bpf.RawTracepointContext) -> None:
    if only.armed and result.errno == 0 and ctx.args[0] != 0:
        result.errno = -77
        only.armed = 0


@bpf.struct
class TooLong:
    errno: s32
    more: u64 = 0


@bpf.raw_tracepoint("bpf_test_finish", writable=True)
def too_long(result: TooLong) -> None:
    result.more = 1


@bpf.xdp
def passes(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return bpf.XDP_PASS


def test_a_writable_tracepoint_changes_what_the_kernel_goes_on_with(kernel: KernelEngine) -> None:
    with bpf.load(passes), fail.attach() as attached:
        assert attached.mechanism == "raw tracepoint link"
        assert passes.run(bytes(64)).value == bpf.XDP_PASS
        only.armed = 1
        with pytest.raises(KernelError) as caught:
            passes.run(bytes(64))
        assert caught.value.errno == errno.EBADFD
        assert passes.run(bytes(64)).value == bpf.XDP_PASS


def test_what_is_beyond_the_tracepoints_argument_is_refused(kernel: KernelEngine) -> None:
    with pytest.raises((KernelError, Error)):
        too_long.attach()


REFUSED = {
    "@bpf.syscall\ndef f(a: R, b: R): pass": ("takes one record", "def f(data: Record):"),
    "@bpf.syscall\ndef f(): pass": ("takes one record",),
    '@bpf.raw_tracepoint("bpf_test_finish", writable=True)\ndef f(a: R, b: R): pass': ("has one record",),
    "@bpf.syscall\ndef f(r: P):\n    r.b = 1": ("is packed", "aligned access only"),
    "@bpf.syscall\ndef f(r: R):\n    for x in r.items:\n        r.a += x": ("at constant places only",),
    "@bpf.syscall\ndef f(r: R):\n    bpf.helpers.get_current_comm(r.items)": ("cannot write into the context",),
    "@bpf.syscall\ndef f(ctx: bpf.XdpContext): pass": ("is a `SyscallContext`",),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import purebpf as bpf\nfrom purebpf import u8, u32\n"
        "@bpf.struct\nclass R:\n    a: u32\n    items: list[u32] = bpf.array(u32, 4)\n"
        f"@bpf.struct(packed=True)\nclass P:\n    a: u8\n    b: u32\n{text}\n"
    )
    space: dict[str, object] = {"__name__": "program"}
    exec(compile(script.read_text(), str(script), "exec"), space)
    with pytest.raises(CompileError) as caught:
        space["f"].compiled()  # type: ignore[attr-defined]
    for part in REFUSED[text]:
        assert part in str(caught.value)
