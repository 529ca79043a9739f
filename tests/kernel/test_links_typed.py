"""Programs on typed hooks: tp_btf, fentry, fexit, fmod_ret, security hooks, iterators. Each counts only what the test's own
thread does, or looks at the test's own process."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.btf.running import module_btf as modules_btf
from purebpf.btf.running import modules
from purebpf.btf.types import Kind
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.isa.asm import (
    DW,
    FP,
    R0,
    R1,
    R2,
    R3,
    R6,
    R7,
    Add,
    Call,
    Exit,
    JEq,
    JNe,
    Label,
    LoadImm64,
    LoadMapPtr,
    LoadMem,
    Mov,
    StoreImm,
    StoreMem,
    W,
    assemble,
)
from purebpf.kernel.btf import module_btf, name_of
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import iter as iterators
from purebpf.kernel.link import lsm, tracing
from purebpf.kernel.map import KernelMap
from purebpf.kernel.program import KernelProgram
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import AttachType, LinkType, ProgramType
from tests.kernel.programs import (
    COUNTS,
    MAP_LOOKUP,
    count,
    integer,
    needs,
    offset,
    only_this_thread,
    returning,
    u32,
)

pytestmark = pytest.mark.kernel
GET_ATTACH_COOKIE, SEQ_WRITE = 174, 127
GETPGID = "__arm64_sys_getpgid" if os.uname().machine == "aarch64" else "__x64_sys_getpgid"


@pytest.fixture
def counts(kernel: KernelEngine) -> Iterator[KernelMap]:
    with kernel.create_map(COUNTS) as map:
        yield map


def counted(map: KernelMap, key: int = 0) -> int:
    return integer(map.lookup(u32(key)))


def counter(attach: AttachType, hook: str, *, type: ProgramType = ProgramType.TRACING, result: int = 0) -> ProgramSpec:
    """Counts what happens in the calling thread, and gives `result` to it."""
    code = assemble((*only_this_thread(), *count(), Mov.imm(R0, result), Exit(), Label("out"), Mov.imm(R0, 0), Exit()))
    return ProgramSpec("typed_counter", type, code, attach_type=attach, attach_to=hook)


def loaded(kernel: KernelEngine, spec: ProgramSpec, counts: KernelMap) -> KernelProgram:
    """Load it, or skip where a policy of the kernel forbids these programs even to who has every privilege."""
    try:
        return kernel.load_program(spec, {"counts": counts})
    except KernelError as error:
        if error.errno == errno.EPERM and "No capability is missing" in str(error):
            pytest.skip(f"this kernel refuses {spec.attach_type and spec.attach_type.name.lower()} programs: {error}")
        raise


def mechanism(name: str, links: bool) -> str:
    return f"{name} link" if links and kernel_version() >= (5, 19) else f"{name}, raw tracepoint open"


@pytest.mark.parametrize("links", [True, False])
def test_tp_btf_counts_this_threads_calls_until_closed(kernel: KernelEngine, counts: KernelMap, links: bool) -> None:
    with loaded(kernel, counter(AttachType.TRACE_RAW_TP, "sys_enter"), counts) as program:
        link = tracing.attach(program, {}, links)
        assert link.mechanism == mechanism("tp_btf", links)
        assert link.info.type == LinkType.RAW_TRACEPOINT if links else LinkType.TRACING
        for _ in range(5):
            os.getppid()
        link.close()
        link.close()
        seen = counted(counts)
        os.getppid()
        assert seen >= 5
        assert counted(counts) == seen


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(
    ("attach", "name"), [(AttachType.TRACE_FENTRY, "fentry"), (AttachType.TRACE_FEXIT, "fexit")], ids=["fentry", "fexit"]
)
def test_functions_of_the_kernel_are_traced(
    kernel: KernelEngine, counts: KernelMap, attach: AttachType, name: str, links: bool
) -> None:
    with loaded(kernel, counter(attach, GETPGID), counts) as program:
        with tracing.attach(program, {}, links) as link:
            assert link.mechanism == mechanism(name, links)
            assert link.info.type == LinkType.TRACING
            for _ in range(7):
                os.getpgid(0)
        os.getpgid(0)
        assert counted(counts) == 7


def test_a_result_is_replaced(kernel: KernelEngine, counts: KernelMap) -> None:
    spec = counter(AttachType.MODIFY_RETURN, "security_file_ioctl", result=-errno.EXDEV)
    with loaded(kernel, spec, counts) as program, open("/dev/zero") as file:
        assert denied(file.fileno()) != errno.EXDEV
        with kernel.attach(program, {}) as link:
            assert link.mechanism == mechanism("fmod_ret", True)
            assert denied(file.fileno()) == errno.EXDEV
        assert denied(file.fileno()) != errno.EXDEV
        assert counted(counts) == 1


def denied(descriptor: int) -> int:
    """The errno of an ioctl that nobody knows."""
    import fcntl

    with pytest.raises(OSError) as caught:
        fcntl.ioctl(descriptor, 0x1234_5678)
    return caught.value.errno or 0


def test_a_security_hook_refuses(kernel: KernelEngine, counts: KernelMap) -> None:
    spec = counter(AttachType.LSM_MAC, "file_ioctl", type=ProgramType.LSM, result=-errno.EXDEV)
    with loaded(kernel, spec, counts) as program, open("/dev/zero") as file:
        active = lsm.active_modules() or lsm.unmounted_modules()
        if active and "bpf" not in active:
            with pytest.raises(Unsupported, match="the security module bpf is not active"):
                kernel.attach(program, {})
            pytest.skip(f"the security module bpf is not active here; active are {', '.join(active)}")
        with kernel.attach(program, {}) as link:
            assert link.mechanism == mechanism("lsm", True)
            assert denied(file.fileno()) == errno.EXDEV
        assert denied(file.fileno()) != errno.EXDEV
        assert counted(counts) == 1


def test_active_security_modules_are_read(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "lsm")
    with open(path, "w") as file:
        file.write("lockdown,capability,bpf\n")
    assert lsm.active_modules(path) == ("lockdown", "capability", "bpf")
    assert lsm.active_modules(f"{path}.none") == ()
    assert "capability" in lsm.unmounted_modules() or os.geteuid() or kernel_version() < (5, 2)


COOKIE = 0x1234_5678_9ABC


def cookie_keeper(attach: AttachType, hook: str) -> ProgramSpec:
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
            Mov.reg(R7, R0),
            Mov.reg(R1, R6),
            Call.helper(GET_ATTACH_COOKIE),
            StoreMem(R7, 0, R0, DW),
            Label("out"),
            Mov.imm(R0, 0),
            Exit(),
        )
    )
    return ProgramSpec("cookie_keeper", ProgramType.TRACING, code, attach_type=attach, attach_to=hook)


@needs((5, 19), "cookies of fentry programs")
def test_fentry_programs_see_their_cookie(kernel: KernelEngine, counts: KernelMap) -> None:
    with loaded(kernel, cookie_keeper(AttachType.TRACE_FENTRY, GETPGID), counts) as program:
        with kernel.attach(program, {"cookie": COOKIE}):
            os.getpgid(0)
        assert counted(counts) == COOKIE


@needs((6, 10), "cookies of tp_btf programs")
def test_tp_btf_programs_see_their_cookie(kernel: KernelEngine, counts: KernelMap) -> None:
    with loaded(kernel, cookie_keeper(AttachType.TRACE_RAW_TP, "sys_enter"), counts) as program:
        with kernel.attach(program, {"cookie": COOKIE}):
            os.getppid()
        assert counted(counts) == COOKIE


@pytest.mark.skipif(kernel_version() >= (5, 19), reason="this kernel has cookies of typed hooks")
def test_a_cookie_on_an_older_kernel_is_told(kernel: KernelEngine, counts: KernelMap) -> None:
    with (
        loaded(kernel, counter(AttachType.TRACE_RAW_TP, "sys_enter"), counts) as program,
        pytest.raises(Unsupported, match=r"cookies of tp_btf programs, which Linux 6\.10 brought"),
    ):
        kernel.attach(program, {"cookie": 1})


@pytest.mark.parametrize(
    ("attach", "hook", "said"),
    [
        (AttachType.TRACE_RAW_TP, "sys_entr", "has no tracepoint `sys_entr`; did you mean .*sys_enter"),
        (AttachType.TRACE_FENTRY, "no_such_module:f", "no BTF of a module 'no_such_module'"),
        (AttachType.XDP, "x", "has the attach type xdp, but a tracing program has one of trace_fentry"),
    ],
)
def test_unknown_hooks_are_told_when_loading(kernel: KernelEngine, attach: AttachType, hook: str, said: str) -> None:
    with pytest.raises(Error, match=said):
        kernel.load_program(
            ProgramSpec("p", ProgramType.TRACING, returning(0).instructions, attach_type=attach, attach_to=hook), {}
        )


def own_threads() -> ProgramSpec:
    """An iterator over threads that writes the ids of those of the test's own process, a line of digits or more each."""
    tgid, pid = offset("task_struct", "tgid"), offset("task_struct", "pid")
    code = assemble(
        (
            LoadMem(R2, R1, 0, DW),  # struct bpf_iter_meta *
            LoadMem(R3, R1, 8, DW),  # struct task_struct *, NULL at the end
            JEq.imm(R3, 0, "out"),
            LoadMem(R7, R3, tgid, W),
            LoadImm64(R6, os.getpid()),
            JNe.reg(R7, R6, "out"),
            LoadMem(R7, R3, pid, W),
            StoreMem(FP, -8, R7, W),
            LoadMem(R1, R2, 0, DW),  # its struct seq_file *
            Mov.reg(R2, FP),
            Add.imm(R2, -8),
            Mov.imm(R3, 4),
            Call.helper(SEQ_WRITE),
            Label("out"),
            Mov.imm(R0, 0),
            Exit(),
        )
    )
    return ProgramSpec("own_threads", ProgramType.TRACING, code, attach_type=AttachType.TRACE_ITER, attach_to="task")


def threads_in(data: bytes) -> list[int]:
    return sorted(int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data), 4))


@pytest.fixture
def idle_thread() -> Iterator[int]:
    stop, started = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), stop.wait()))
    thread.start()
    started.wait()
    assert thread.native_id is not None
    yield thread.native_id
    stop.set()
    thread.join()


def test_an_iterator_reads_the_threads_of_this_process_anew_each_time(kernel: KernelEngine, idle_thread: int) -> None:
    with kernel.load_program(own_threads(), {}) as program, iterators.attach(program, {}) as link:
        assert link.mechanism == "iter link"
        assert link.info.type == LinkType.ITER
        for _ in range(2):
            assert threads_in(link.read_bytes()) == sorted(map(int, os.listdir("/proc/self/task")))


@needs((6, 1), "iterators over one thread")
def test_an_iterator_goes_through_one_thread(kernel: KernelEngine, idle_thread: int) -> None:
    with kernel.load_program(own_threads(), {}) as program:
        with iterators.attach(program, {"tid": idle_thread}) as link:
            assert threads_in(link.read_bytes()) == [idle_thread]
        with iterators.attach(program, {"pid": os.getpid()}) as link:
            assert threads_in(link.read_bytes()) == sorted(map(int, os.listdir("/proc/self/task")))


def line_writer() -> ProgramSpec:
    """An iterator over a map's elements that writes each value and an end of line: 8 bytes of text."""
    code = assemble(
        (
            LoadMem(R2, R1, 0, DW),
            LoadMem(R3, R1, 24, DW),  # the value; NULL at the end
            JEq.imm(R3, 0, "out"),
            LoadMem(R1, R2, 0, DW),
            Mov.reg(R2, R3),
            Mov.imm(R3, 8),
            Call.helper(SEQ_WRITE),
            Label("out"),
            Mov.imm(R0, 0),
            Exit(),
        )
    )
    return ProgramSpec("line_writer", ProgramType.TRACING, code, attach_type=AttachType.TRACE_ITER, attach_to="bpf_map_elem")


def test_lines_of_an_iterator_over_a_map(kernel: KernelEngine, counts: KernelMap) -> None:
    for key in range(4):
        counts.update(u32(key), f"line  {key}\n".encode())
    with kernel.load_program(line_writer(), {}) as program, iterators.attach(program, {"map": counts}) as link:
        assert list(link) == ["line  0", "line  1", "line  2", "line  3"]
        assert link.read() == "line  0\nline  1\nline  2\nline  3\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"map": 3}, "got map=3, which is no map in the kernel"),
        ({"pid": 1, "tid": 1}, "got both pid and tid"),
        ({"order": "self"}, "and no cgroup"),
        ({"cgroup": "/sys", "order": "first"}, "it is one of 'self', 'descendants', 'post', 'ancestors'"),
        ({"event": "task"}, r"has no option 'event'\. Its options are:\n  map: "),
    ],
)
def test_wrong_options_of_an_iterator(kernel: KernelEngine, options: dict[str, object], said: str) -> None:
    with kernel.load_program(own_threads(), {}) as program, pytest.raises(Error, match=said):
        iterators.attach(program, options)


hits = bpf.Array[u64](max_entries=2)
own = os.getpid()


def test_a_decorated_security_hook_refuses_this_process() -> None:
    """Results of each sort: numbers, a computed one, and what others have said."""

    @bpf.lsm("file_ioctl")
    def guard(cmd, ret):
        if ret != 0:
            return ret
        if bpf.current.tgid != own or cmd != 0x1234_5678:
            return 0
        hits[0] += 1
        return -(hits[0] & 31)

    with open("/dev/zero") as file, loaded_together(guard):
        with guard.attach():
            hits[0] = errno.EXDEV - 1
            assert denied(file.fileno()) == errno.EXDEV
        assert denied(file.fileno()) != errno.EXDEV


@needs((5, 11), "sleepable programs at this hook")
def test_a_security_hook_that_sleeps() -> None:
    @bpf.lsm("file_ioctl", sleepable=True)
    def sleeping(cmd):
        if bpf.current.tgid == own and cmd == 0x1234_5678:
            hits[1] += 1
        return 0

    with open("/dev/zero") as file, loaded_together(sleeping):
        before = hits[1]
        with sleeping.attach():
            denied(file.fileno())
        assert hits[1] == before + 1


def loaded_together(*programs: bpf.Program) -> bpf.Collection:
    """Load programs for security hooks, or skip with the reason where that is in vain."""
    active = lsm.active_modules() or lsm.unmounted_modules()
    if active and "bpf" not in active:
        pytest.skip(f"the security module bpf is not active here; active are {', '.join(active)}")
    try:
        return bpf.load(*programs)
    except KernelError as error:
        if error.errno == errno.EPERM and "No capability is missing" in str(error):
            pytest.skip(f"this kernel refuses {programs[0].kind.decorator} programs: {error}")
        raise


@needs((5, 11), "the kernel's own BTF as an object of it")
def test_the_kernels_own_btf_is_found_by_its_name() -> None:
    """As a module's is, of which a kernel may have none."""
    with module_btf("vmlinux") as found:
        assert name_of(found) == "vmlinux"
    with pytest.raises(Error, match="no BTF of a module 'no_such_module'"):
        module_btf("no_such_module")


def test_a_function_of_a_module_is_traced(kernel: KernelEngine, counts: KernelMap) -> None:
    for module in sorted(modules()):
        btf = modules_btf(module)
        for number in btf._own(Kind.FUNC):
            spec = counter(AttachType.TRACE_FENTRY, f"{module}:{btf.name(number)}")
            try:
                program = loaded(kernel, spec, counts)
            except KernelError:
                continue  # a function that cannot be traced: inlined, or marked so
            with program, kernel.attach(program, {}) as link:
                assert link.mechanism == mechanism("fentry", True)
            return
    pytest.skip("this kernel has no module with BTF and a function that can be traced")


def test_only_iterators_are_read() -> None:
    @bpf.tp_btf("sys_enter")
    def nothing(ctx: bpf.TracingContext) -> None:
        return

    @bpf.iter("task")
    def tasks(ctx: bpf.IterContext) -> int:
        return 0

    with nothing.attach() as attached, pytest.raises(Error, match="only iterators can be read"):
        attached.read()
    with tasks.attach() as attached:
        assert attached.read() == ""
        assert list(attached) == []
        assert attached.mechanism == "iter link"
