"""Programs on functions of the kernel: kprobe, kretprobe, and many functions at once. Each counts only what the test's own
thread does."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s64, u64
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.isa.asm import R0, Exit, Label, Mov, assemble
from purebpf.kernel import tracefs
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import kprobe, kprobe_multi, probes
from purebpf.kernel.map import KernelMap
from purebpf.kernel.program import KernelProgram
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import AttachType, LinkType, ProgramType
from tests.kernel.programs import COUNTS, count, integer, needs, only_this_thread, u32

pytestmark = pytest.mark.kernel
ARM = os.uname().machine == "aarch64"
GETPGID, GETSID = (f"__{'arm64' if ARM else 'x64'}_sys_{name}" for name in ("getpgid", "getsid"))


@pytest.fixture
def counts(kernel: KernelEngine) -> Iterator[KernelMap]:
    with kernel.create_map(COUNTS) as map:
        yield map


@pytest.fixture
def configured() -> None:
    """Skip where the kernel has no kprobes."""
    try:
        if not os.path.exists(f"{probes.PMUS}/kprobe") and not os.path.exists(f"{tracefs.folder()}/kprobe_events"):
            pytest.skip("this kernel was built without CONFIG_KPROBE_EVENTS")
    except Error as error:
        pytest.skip(str(error))


def counted(map: KernelMap) -> int:
    return integer(map.lookup(u32(0)))


def counter(section: str, attach: AttachType | None = None) -> ProgramSpec:
    code = assemble((*only_this_thread(), *count(), Label("out"), Mov.imm(R0, 0), Exit()))
    hook = section.partition("/")[2]
    return ProgramSpec("probe_counter", ProgramType.KPROBE, code, section=section, attach_type=attach, attach_to=hook)


def loaded(kernel: KernelEngine, spec: ProgramSpec, counts: KernelMap) -> KernelProgram:
    return kernel.load_program(spec, {"counts": counts})


@pytest.mark.parametrize("section", ["kprobe", "kretprobe"])
@pytest.mark.parametrize("by_tracefs", [False, True], ids=["pmu", "tracefs"])
@pytest.mark.parametrize("links", [True, False], ids=["link", "ioctl"])
def test_calls_of_this_thread_are_counted_until_closed(
    kernel: KernelEngine, counts: KernelMap, configured: None, section: str, by_tracefs: bool, links: bool
) -> None:
    with loaded(kernel, counter(f"{section}/{GETPGID}"), counts) as program:
        link = kprobe.attach(program, {}, links, by_tracefs)
        way = "perf event link" if links and kernel_version() >= (5, 15) else "perf event, ioctl"
        assert link.mechanism == f"kprobe{' by tracefs' if by_tracefs else ''}, {way}"
        if way.endswith("link"):
            assert link.info.type == LinkType.PERF_EVENT
        for _ in range(5):
            os.getpgid(0)
        link.close()
        link.close()
        os.getpgid(0)
        assert counted(counts) == 5
    assert not any("purebpf" in line for line in made_probes())


def made_probes() -> list[str]:
    """The probes that are made by tracefs, by this process."""
    try:
        text = Path(f"{tracefs.folder()}/kprobe_events").read_text()
    except (OSError, Error):
        return []
    return [line for line in text.splitlines() if f"purebpf_{os.getpid()}/" in line]


def test_how_many_calls_return_at_once_can_be_told(kernel: KernelEngine, counts: KernelMap, configured: None) -> None:
    with loaded(kernel, counter(f"kretprobe/{GETPGID}"), counts) as program:
        with kernel.attach(program, {"maxactive": 77}) as link:
            assert link.mechanism.startswith("kprobe by tracefs, ")
            assert any(line.startswith("r77:") for line in made_probes())
            os.getpgid(0)
            assert counted(counts) == 1
        assert not made_probes()
        with pytest.raises(Error, match="'maxactive' is a number up to 4096, not 5000"):
            kernel.attach(program, {"maxactive": 5000})
    with (
        loaded(kernel, counter(f"kprobe/{GETPGID}"), counts) as program,
        pytest.raises(Error, match="'maxactive' is of kretprobes"),
    ):
        kernel.attach(program, {"maxactive": 5})


def test_a_place_inside_a_function_is_probed(kernel: KernelEngine, counts: KernelMap, configured: None) -> None:
    attached = 0
    for offset in (4, 5):  # behind the first instruction of arm64 and of x86-64, where it is either endbr64 or a call
        with loaded(kernel, counter(f"kprobe/{GETPGID}+{offset}"), counts) as program:
            try:
                link = kernel.attach(program, {})
            except KernelError as error:
                assert error.errno in (errno.EILSEQ, errno.EINVAL)
                continue
            with link:
                os.getpgid(0)
            attached += 1
    assert attached and counted(counts) == attached


def test_a_place_inside_an_instruction_is_not(kernel: KernelEngine, counts: KernelMap, configured: None) -> None:
    with (
        loaded(kernel, counter(f"kprobe/{GETPGID}+1"), counts) as program,
        pytest.raises(KernelError, match=r"the kprobe __\w+_sys_getpgid\+1 failed"),
    ):
        kernel.attach(program, {})


def test_an_unknown_function_is_told_with_similar_ones(kernel: KernelEngine, counts: KernelMap, configured: None) -> None:
    with loaded(kernel, counter("kprobe/do_exitt"), counts) as program:
        for by_tracefs in (False, True):
            with pytest.raises(Error, match="the kernel has no function `do_exitt`; did you mean do_exit"):
                kprobe.attach(program, {}, True, by_tracefs)


def test_wrong_options_of_a_kprobe(kernel: KernelEngine, counts: KernelMap) -> None:
    with loaded(kernel, counter(""), counts) as program:
        with pytest.raises(Error, match="needs the option 'function'"):
            kernel.attach(program, {})
        with pytest.raises(Error, match="'a b' is no function of the kernel"):
            kernel.attach(program, {"function": "a b"})
    with (
        loaded(kernel, counter("kretprobe/do_exit+4"), counts) as program,
        pytest.raises(Error, match="A kretprobe is where a function returns"),
    ):
        kernel.attach(program, {})


def test_a_kernel_without_kprobes_is_told(kernel: KernelEngine, counts: KernelMap) -> None:
    try:
        if os.path.exists(f"{probes.PMUS}/kprobe") or os.path.exists(f"{tracefs.folder()}/kprobe_events"):
            pytest.skip("this kernel has kprobes")
    except Error as error:
        pytest.skip(str(error))
    with (
        loaded(kernel, counter("kprobe/do_exit"), counts) as program,
        pytest.raises(Unsupported, match=r"The kprobe do_exit cannot be made: .* without CONFIG_KPROBE_EVENTS"),
    ):
        kernel.attach(program, {})


values = bpf.Array[s64](max_entries=2)
calls = bpf.Array[u64](max_entries=2)
own = os.getpid()


def test_registers_are_read(configured: None) -> None:
    if ARM:

        @bpf.kretprobe(GETPGID)
        def result(ctx: bpf.ProbeContext) -> None:
            if bpf.current.tgid == own:
                values[0] = s64(ctx.regs[0])
                values[1] += 1
    else:

        @bpf.kretprobe(GETPGID)
        def result(ctx: bpf.ProbeContext) -> None:
            if bpf.current.tgid == own:
                values[0] = s64(ctx.ax)
                values[1] += 1

    with result.attach() as attached:
        expected = os.getpgid(0)
        assert (values[0], values[1]) == (expected, 1)
        with pytest.raises(ProcessLookupError):
            os.getpgid((1 << 22) + 7)
        assert values[0] == -errno.ESRCH
        assert attached.mechanism.startswith("kprobe, perf event")


@pytest.fixture
def many(configured: None, kernel: KernelEngine) -> None:
    """Skip where one link cannot probe many functions, and where tracefs does not tell which can be."""
    try:
        tracefs.folder()
    except Error as error:
        pytest.skip(str(error))


def mechanisms(number: int) -> tuple[str, ...]:
    """Those that a kernel of this version may have. From 5.18 on it may lack the one by configuration, and then gives such
    programs no perf event link either."""
    if kernel_version() < (5, 15):
        return (f"{number} kprobes, perf event, ioctl",)
    if kernel_version() < kprobe_multi.FIRST:
        return (f"{number} kprobes, perf event link",)
    return f"kprobe multi link, {number} functions", f"{number} kprobes, perf event, ioctl"


@pytest.mark.parametrize("section", ["kprobe", "kretprobe"])
def test_many_functions_are_probed_at_once(kernel: KernelEngine, counts: KernelMap, many: None, section: str) -> None:
    spec = counter(f"{section}.multi/{GETPGID},{GETSID}", AttachType.TRACE_KPROBE_MULTI)
    with loaded(kernel, spec, counts) as program:
        with kernel.attach(program, {}) as link:
            assert link.mechanism in mechanisms(2)
            os.getpgid(0)
            os.getsid(0)
            os.getsid(0)
        os.getpgid(0)
        assert counted(counts) == 3


def test_patterns_stand_for_functions_that_can_be_traced(many: None) -> None:
    found = kprobe_multi.functions(f"{GETPGID[:-3]}*,{GETSID}")
    assert GETPGID in found and GETSID in found
    assert len(found) == len(set(found))
    with pytest.raises(Error, match="for the pattern 'no_such_fun\\*': none fits"):
        kprobe_multi.functions("no_such_fun*")
    with pytest.raises(Error, match="'do_exitt' cannot be probed together with others: the kernel has no function `do_exitt`"):
        kprobe_multi.functions(f"do_exitt,{GETSID}")


def test_a_decorated_pattern_is_attached(many: None) -> None:
    @bpf.kprobe("__*_sys_getpgi?", GETSID)
    def watch(ctx: bpf.ProbeContext) -> None:
        if bpf.current.tgid == own:
            calls[0] += 1

    with watch.attach() as attached:
        os.getpgid(0)
        os.getsid(0)
        assert attached.mechanism in (*mechanisms(2), *mechanisms(3))  # the 32-bit entry may be a function too
        assert calls[0] == 2


@needs((5, 15), "cookies of kprobes")
def test_kprobes_see_their_cookie(many: None) -> None:
    @bpf.kprobe(GETPGID)
    def one(ctx: bpf.ProbeContext) -> None:
        if bpf.current.tgid == own:
            calls[1] = bpf.helpers.get_attach_cookie(ctx)

    with one.attach(cookie=0x1234):
        os.getpgid(0)
        assert calls[1] == 0x1234
