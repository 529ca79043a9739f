"""Hooks that the running kernel does or does not have, and the declarations that name them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import purebpf as bpf
from purebpf.btf import kallsyms
from purebpf.btf.hooks import find_hook, hook_of
from purebpf.btf.running import kernel_btf
from purebpf.btf.targets import target
from purebpf.btf.types import Kind
from purebpf.errors import Error, Unsupported
from purebpf.lang.hooks import unknown
from purebpf.lang.program_types import KINDS
from purebpf.tables.contexts import context
from purebpf.tables.enums import AttachType, ProgramType
from purebpf.tables.sections import find_section

SYMBOLS = """\
ffffffff81000000 T do_exit
ffffffff81000010 t do_exit.cold
ffffffff81000020 t tcp_v4_connect
ffffffff81000030 T tcp_v4_rcv
ffffffff81000040 D tcp_v4_data
ffffffff81000050 T __x64_sys_openat
ffffffffc0000000 t tcp_v4_module\t[net_module]
"""


@pytest.fixture
def symbols(tmp_path: Path) -> str:
    path = tmp_path / "kallsyms"
    path.write_text(SYMBOLS)
    return str(path)


@pytest.fixture
def btf() -> None:
    try:
        kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))


def nothing(ctx: object) -> None: ...


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("do_exit", None),
        ("do_exit+0x10", None),
        ("net_module:tcp_v4_module", None),
        ("tcp_v4_*", None),
        ("tcp_v?_[cr]*", None),
        ("do_exitt", "the kernel has no function `do_exitt`; did you mean do_exit"),
        ("tcp_v4_data", "no function `tcp_v4_data`"),
        ("sys_openat", "no function `sys_openat`; did you mean __x64_sys_openat?"),
        ("udp_*", "no function of the kernel fits the pattern 'udp_*'"),
    ],
)
def test_functions_are_looked_up_in_kallsyms(symbols: str, text: str, said: str | None) -> None:
    found = kallsyms.unknown(text, symbols)
    assert found is None if said is None else found is not None and said in found


def test_nothing_is_refused_where_kallsyms_cannot_be_read(tmp_path: Path) -> None:
    assert kallsyms.unknown("do_exitt", str(tmp_path / "none")) is None


def test_patterns_are_those_of_a_shell() -> None:
    table = SYMBOLS.encode()
    assert kallsyms.functions(table, "tcp_v4_*") == ["tcp_v4_connect", "tcp_v4_module", "tcp_v4_rcv"]
    assert kallsyms.functions(table, "tcp_v4_[!cm]*") == ["tcp_v4_rcv"]
    assert kallsyms.functions(table, "do_exit.*") == ["do_exit.cold"]
    assert kallsyms.functions(table, "do_exi?") == ["do_exit"]


@pytest.mark.parametrize("text", ["do exit", "do_exit+", "do_exit+x", "a:b:c", "", "+4", "m y:f", "f+-4"])
def test_what_is_no_function_is_refused(text: str) -> None:
    with pytest.raises(Error, match="is no function of the kernel"):
        target(text)


HOOKS = {
    AttachType.TRACE_FENTRY: "do_exit",
    AttachType.TRACE_RAW_TP: "sched_switch",
    AttachType.LSM_MAC: "file_open",
    AttachType.TRACE_ITER: "task",
}


@pytest.mark.parametrize(("attach", "name"), HOOKS.items())
def test_hooks_are_found_in_btf(btf: None, attach: AttachType, name: str) -> None:
    found = hook_of(attach, name)
    assert found.module == "vmlinux"
    assert kernel_btf().name(found.number).endswith(name)
    assert kernel_btf().kind(found.number) == (Kind.TYPEDEF if attach is AttachType.TRACE_RAW_TP else Kind.FUNC)
    assert find_hook(attach, name + "_not_there") is None


@pytest.mark.parametrize(
    ("decorator", "hook", "said"),
    [
        ("tp_btf", "sched_swich", "the kernel has no tracepoint `sched_swich`; did you mean sched_switch"),
        ("tp_btf", "sched/sched_switch", "names its event without a category: write 'sched_switch'"),
        ("lsm", "file_opn", "the kernel has no security hook `file_opn`; did you mean file_open"),
        ("iter", "taks", "the kernel has no iterator `taks`; did you mean task"),
        ("fentry", "do_exitt", "the kernel has no function `do_exitt`; did you mean do_exit"),
        ("fexit", "no_such_module:f", "no BTF of a module 'no_such_module'"),
    ],
)
def test_unknown_hooks_have_similar_names(btf: None, decorator: str, hook: str, said: str) -> None:
    assert said in (unknown(KINDS[decorator], hook) or "")


def test_functions_that_btf_does_not_describe_can_be_probed(btf: None) -> None:
    """getppid(2) takes nothing, and BTF has no function without a name for what its wrapper takes."""
    name = next((n for n in ("__x64_sys_getppid", "__arm64_sys_getppid") if not kallsyms.unknown(n)), None)
    if name is None or not kallsyms.read_symbols() or find_hook(AttachType.TRACE_FENTRY, name):
        pytest.skip("this kernel's BTF describes all of its system calls, or there is no /proc/kallsyms")
    assert f"the BTF of the kernel does not describe its function `{name}`" in (unknown(KINDS["fentry"], name) or "")
    assert unknown(KINDS["kprobe"], name) is None


def test_an_unknown_hook_is_an_error_at_the_decorator(btf: None) -> None:
    @bpf.tp_btf("sched_swich")
    def prog(ctx: bpf.TracingContext) -> None: ...

    with pytest.raises(bpf.CompileError, match=r"no tracepoint `sched_swich`(.|\n)*@bpf\.tp_btf\(\"sched_swich\"\)\n.*\^\^\^"):
        prog.compiled()


@pytest.mark.parametrize(
    ("decorated", "section", "attach"),
    [
        (bpf.kprobe("do_exit"), "kprobe/do_exit", None),
        (bpf.kprobe("do_exit+4"), "kprobe/do_exit+4", None),
        (bpf.kprobe("do_ex*"), "kprobe.multi/do_ex*", AttachType.TRACE_KPROBE_MULTI),
        (bpf.kretprobe("do_exit", "schedule"), "kretprobe.multi/do_exit,schedule", AttachType.TRACE_KPROBE_MULTI),
        (bpf.uprobe("libc.so.6", "malloc"), "uprobe/libc.so.6:malloc", None),
        (bpf.uretprobe("/bin/true", 0x1234, sleepable=True), "uretprobe.s//bin/true:0x1234", None),
        (bpf.uprobe("libc.so.6", "mem*"), "uprobe.multi/libc.so.6:mem*", AttachType.TRACE_UPROBE_MULTI),
        (bpf.uprobe("/bin/true", "m?", sleepable=True), "uprobe.multi.s//bin/true:m?", AttachType.TRACE_UPROBE_MULTI),
        (bpf.fentry("do_exit"), "fentry/do_exit", AttachType.TRACE_FENTRY),
        (bpf.fexit("do_exit"), "fexit/do_exit", AttachType.TRACE_FEXIT),
        (bpf.fmod_ret("security_file_open"), "fmod_ret/security_file_open", AttachType.MODIFY_RETURN),
        (bpf.lsm("file_open", sleepable=True), "lsm.s/file_open", AttachType.LSM_MAC),
        (bpf.tp_btf("sched_switch"), "tp_btf/sched_switch", AttachType.TRACE_RAW_TP),
        (bpf.iter("task"), "iter/task", AttachType.TRACE_ITER),
    ],
)
def test_sections_are_those_of_libbpf(decorated: Callable[..., Any], section: str, attach: AttachType | None) -> None:
    kind = decorated(nothing).kind
    hook = decorated(nothing).hook
    assert f"{kind.section}/{hook}" == section
    known = find_section(kind.section)
    assert known is not None
    assert (known[0].type, known[0].attach, known[0].flags) == (kind.type, attach, kind.flags)
    assert kind.attach == attach


def test_a_program_is_made_for_its_hook() -> None:
    @bpf.lsm("file_open", sleepable=True)
    def guard(ctx: bpf.TracingContext) -> int:
        return -1

    made = guard.spec().programs["guard"]
    assert (made.type, made.attach_type, made.attach_to, made.flags) == (ProgramType.LSM, AttachType.LSM_MAC, "file_open", 16)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: bpf.kprobe(), "@bpf.kprobe takes functions of the kernel"),
        (lambda: bpf.kprobe(3), "@bpf.kprobe takes functions of the kernel"),  # type: ignore[arg-type]
        (lambda: bpf.kprobe(nothing), "@bpf.kprobe takes functions of the kernel"),  # type: ignore[arg-type]
        (lambda: bpf.kprobe("not a name"), "'not a name' is no function of the kernel"),
        (lambda: bpf.kretprobe("do_exit+4"), "a kretprobe is probed at the end only"),
        (lambda: bpf.kprobe("do_exit+4", "schedule"), "several functions are probed at the start only"),
        (lambda: bpf.uprobe("libc.so.6"), "missing a required argument: 'symbol'"),  # type: ignore[call-arg]
        (lambda: bpf.uprobe("libc.so.6", ""), "the symbol is a name, or the offset"),
        (lambda: bpf.uprobe("libc.so.6", -1), "the symbol is a name, or the offset"),
        (lambda: bpf.uprobe("", "malloc"), "@bpf.uprobe takes a binary or library"),
        (lambda: bpf.tp_btf("sched_switch", sleepable=True), "a program of type `tp_btf` cannot be sleepable"),
        (lambda: bpf.fentry(nothing), "@bpf.fentry takes its hook"),
    ],
)
def test_wrong_declarations_show_how_it_is_done(declare: Callable[[], Any], said: str) -> None:
    with pytest.raises(Error) as caught:
        declare()
    assert said in str(caught.value)
    assert "test_hooks.py" in str(caught.value)


def test_registers_have_the_names_of_the_machine() -> None:
    x86, arm = context(ProgramType.KPROBE, "x86_64"), context(ProgramType.KPROBE, "aarch64")
    assert x86 is not None and arm is not None
    assert (x86.fields["di"].offset, x86.fields["ip"].offset) == (112, 128)
    assert (arm.fields["regs"].count, arm.fields["sp"].offset, arm.fields["pc"].offset) == (31, 248, 256)


def test_declaring_a_probe_imports_little() -> None:
    """Neither BTF nor symbols are looked at before a program is compiled."""
    script = """
import sys
import purebpf as bpf
bpf.xdp
before = set(sys.modules)
@bpf.kprobe("tcp_v4_*")
def one(ctx): pass
@bpf.uprobe("libc.so.6", "malloc")
def two(ctx): pass
print(*sorted(set(sys.modules) - before))
"""
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert made.stdout.split() == ["purebpf.btf", "purebpf.btf.targets", "purebpf.probes"]


def test_an_event_stands_behind_the_registers_of_the_machine() -> None:
    x86, arm = context(ProgramType.PERF_EVENT, "x86_64"), context(ProgramType.PERF_EVENT, "aarch64")
    assert x86 is not None and arm is not None
    assert (x86.fields["sample_period"].offset, x86.fields["addr"].offset, x86.size) == (168, 176, 184)
    assert (arm.fields["sample_period"].offset, arm.fields["addr"].offset, arm.size) == (272, 280, 288)
    assert arm.fields["regs.pc"].offset == 256
