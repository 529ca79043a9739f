"""Programs on system calls, and at both ends of functions of the kernel."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s64, u32
from purebpf.binaries.files import find_binary
from purebpf.errors import CompileError, Error, KernelError, Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.lang.system_calls import function_of

seen = bpf.Array[s64](max_entries=16)


@bpf.globals
class only:
    pid: u32 = 0


@bpf.ksyscall("openat")
def opening(flags, dfd, filename):  # type: ignore[no-untyped-def]
    if bpf.current.tgid == only.pid:
        text = bpf.read_user_str(filename)
        if text.startswith("/dev/nu"):
            seen[0] = dfd
            seen[1] = flags
            seen[2] = len(text)
            seen[3] = bpf.cookie()


@bpf.kretsyscall("openat")
def opened(ret):  # type: ignore[no-untyped-def]
    if bpf.current.tgid == only.pid:
        seen[4] = ret
        seen[5] += 1


@bpf.ksyscall("mmap")
def mapping(fd, off, len):  # type: ignore[no-untyped-def]
    """Its fourth argument and those behind are in other registers than those of functions."""
    if bpf.current.tgid == only.pid and len == 12345:
        seen[6] = fd
        seen[7] = off


@bpf.ksyscall("getpgid")
def registers(ctx: bpf.ProbeContext) -> None:
    if bpf.current.tgid == only.pid:
        seen[8] += 1


@bpf.kprobe_session(function_of("getpgid", os.uname().machine))
def both_ends(ret: bpf.s64) -> int:
    if bpf.current.tgid != only.pid:
        return 1
    if bpf.returning():
        seen[9] += 1
        seen[10] = ret
    else:
        seen[11] += 1
    return 0


@contextlib.contextmanager
def attached(program: bpf.Program, **options: object) -> Iterator[bpf.Attachment]:
    """For this process alone. What the machine's policy forbids, or its kernel was built without, is a skip with its words."""
    try:
        made = program.attach(**options)
    except Unsupported as error:
        pytest.skip(str(error))
    except KernelError as error:
        if getattr(error, "log", ""):
            raise
        pytest.skip(str(error))
    with made:
        only.pid = os.getpid()
        for index in range(16):
            seen[index] = 0
        yield made


def test_arguments_of_a_system_call(kernel: KernelEngine) -> None:
    with attached(opening, **({"cookie": 9} if kernel_version() >= (5, 15) else {})) as made:
        os.close(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        cookie = 9 if kernel_version() >= (5, 15) else 0
        assert [seen[0] & 0xFFFFFFFF, seen[2], seen[3]] == [-100 & 0xFFFFFFFF, len("/dev/null"), cookie]
        assert seen[0] == -100
        assert seen[1] & os.O_CLOEXEC
        assert made.mechanism.startswith("kprobe")


def test_results_of_a_system_call(kernel: KernelEngine) -> None:
    with attached(opened):
        with contextlib.suppress(FileNotFoundError):
            os.open("/dev/no_such_file", os.O_RDONLY)
        assert (seen[4], seen[5]) == (-2, 1)
        number = os.open("/dev/null", os.O_RDONLY)
        assert (seen[4], seen[5]) == (number, 2)
        os.close(number)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="arm64 takes arguments in one row of registers")
def test_arguments_behind_the_third(kernel: KernelEngine) -> None:
    import mmap

    with attached(mapping), open(find_binary("libc.so.6"), "rb") as file:
        mmap.mmap(file.fileno(), 12345, prot=mmap.PROT_READ, offset=8192).close()
        assert seen[6] >= 3
        assert seen[7] == 8192


def test_the_context_alone(kernel: KernelEngine) -> None:
    with attached(registers):
        os.getpgid(0)
        os.getpgid(0)
        assert seen[8] == 2


@pytest.mark.skipif(kernel_version() < (6, 10), reason="programs at both ends came with Linux 6.10")
def test_both_ends_of_a_function(kernel: KernelEngine) -> None:
    with attached(both_ends) as made:
        group = os.getpgid(0)
        assert (seen[9], seen[10], seen[11]) == (1, group, 1)
        assert made.mechanism == "kprobe session link, 1 functions"


def test_sections() -> None:
    assert [program.compiled().program.section for program in (opening, opened)] == ["ksyscall/openat", "kretsyscall/openat"]
    assert both_ends.compiled().program.section.startswith("kprobe.session/__")


REFUSED = {
    '@bpf.ksyscall("openat")\ndef f(path): pass': ("no parameter `path`", "it has: dfd, filename, flags, mode"),
    '@bpf.ksyscall("openat")\ndef f(ret): pass': ("no parameter `ret`", "in a kretsyscall"),
    '@bpf.kretsyscall("openat")\ndef f(dfd): pass': ("no parameter `dfd`", "`ret` only"),
    '@bpf.ksyscall("opnat")\ndef f(): pass': ("opnat",),
    '@bpf.kprobe("do_exit")\ndef f(ctx):\n    if bpf.returning(): bpf.printk("x")': ("both ends", "@bpf.kprobe_session"),
    '@bpf.kprobe_session("do_exit")\ndef f(ctx): return 2': ("0 to run where the function returns as well",),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(f"import purebpf as bpf\n{text}\n")
    space: dict[str, object] = {"__name__": "program"}
    exec(compile(script.read_text(), str(script), "exec"), space)
    with pytest.raises(CompileError) as caught:
        space["f"].compiled()  # type: ignore[attr-defined]
    for part in REFUSED[text]:
        assert part in str(caught.value)
    assert "program.py:" in str(caught.value)


def test_the_decorators_want_names() -> None:
    with pytest.raises(Error, match="takes a system call"):
        bpf.ksyscall("sys openat")
    with pytest.raises(Error, match="functions of the kernel"):
        bpf.kprobe_session("do_exit+4")
