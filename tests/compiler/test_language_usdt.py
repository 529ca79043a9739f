"""Probes that a library has itself: arguments in registers, memory and constants, places that have them differently,
semaphores. The library is one of the tests' own, see tests/kernel/probed."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s64, u64
from purebpf.binaries.usdt import Argument, Site, arguments, probe_sites, probes, specifications
from purebpf.errors import CompileError, Error
from purebpf.kernel.engine import KernelEngine
from tests.kernel.programs import needs

MACHINE = os.uname().machine
FOLDER = Path(__file__).parents[1] / "kernel" / "probed"
PROBED = str(FOLDER / f"probed-{MACHINE}.so")
ON_AMD = MACHINE == "x86_64"
pytestmark = [
    pytest.mark.skipif(not Path(PROBED).exists(), reason=f"the tests have no library to probe on {MACHINE}"),
    needs((5, 15), "cookies of uprobes"),
]
LONG = ctypes.c_long
seen = bpf.Array[s64](max_entries=8)


@bpf.globals
class only:
    pid: u64 = 0


@bpf.usdt(PROBED, "tests", "values")
def values(a: int, b: int, c: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = a
        seen[1] = b
        seen[2] = c
        seen[3] += 1
        seen[4] = bpf.cookie()


@bpf.usdt(PROBED, "tests", "values")
def by_number(arg2: int, ctx: bpf.ProbeContext, arg0: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = arg0
        seen[2] = arg2


@bpf.usdt(PROBED, "tests", "values")
def the_last(_a: int, _b: int, c: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = c


@bpf.usdt(PROBED, "tests", "gated")
def gated(x: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = x


@bpf.usdt(PROBED, "tests", "bare")
def bare() -> None:
    if bpf.current.tgid == only.pid:
        seen[0] += 1


def probed(program: bpf.Program, call: Callable[[ctypes.CDLL], object], cookie: int = 0) -> list[int]:
    """What the program saw of a call."""
    library = ctypes.CDLL(PROBED)
    with program.attach(pid=0, cookie=cookie):
        only.pid = os.getpid()
        for index in range(8):
            seen[index] = 0
        call(library)
        return [seen[index] for index in range(8)]


def test_arguments_in_registers(kernel: KernelEngine) -> None:
    call = lambda library: library.in_registers(-7, 300, LONG(-(1 << 40)))  # noqa: E731
    assert probed(values, call)[:4] == [-7, 300 & 255, -(1 << 40), 1]
    assert probed(by_number, call)[:3] == [-7, 0, -(1 << 40)]


def test_arguments_are_left_out_by_name(kernel: KernelEngine) -> None:
    assert probed(the_last, lambda library: library.in_memory(1, LONG(33)))[0] == 33


def test_arguments_in_memory_and_constants(kernel: KernelEngine) -> None:
    call = lambda library: library.in_memory(-9, LONG(1 << 41))  # noqa: E731
    assert probed(values, call)[:4] == [-9, 200, 1 << 41, 1]
    assert probed(by_number, call)[:3] == [-9, 0, 1 << 41]


def test_the_authors_cookie_is_beside(kernel: KernelEngine) -> None:
    largest = (1 << 48) - 1
    assert probed(values, lambda library: library.in_memory(1, LONG(2)), largest)[4] == largest
    assert probed(values, lambda library: library.in_registers(1, 2, LONG(3)))[4] == 0
    with pytest.raises(Error, match=r"below 2\*\*48"):
        values.attach(pid=0, cookie=largest + 1)


def test_the_mechanism_tells_the_places(kernel: KernelEngine) -> None:
    with values.attach(pid=0) as attached:
        assert attached.mechanism == "usdt at 2 places, perf event link"
    with gated.attach(pid=0) as attached:
        assert attached.mechanism == "usdt, perf event link"
        assert attached.info.program_id


def test_semaphores_count_who_listens(kernel: KernelEngine) -> None:
    library = ctypes.CDLL(PROBED)
    assert library.gated(5) == 0
    assert probed(gated, lambda library: library.gated(-6))[0] == -6
    with gated.attach(pid=0):
        assert library.gated(5) == 1
    assert library.gated(5) == 0


def test_probes_without_arguments(kernel: KernelEngine) -> None:
    assert probed(bare, lambda library: library.without_arguments())[0] == 1


if ON_AMD:

    @bpf.usdt(PROBED, "tests", "indexed")
    def indexed(element: int, high: int) -> None:
        if bpf.current.tgid == only.pid:
            seen[0] = element
            seen[1] = high

    @bpf.usdt(PROBED, "tests", "global")
    def of_a_global(level: int) -> None:
        if bpf.current.tgid == only.pid:
            seen[0] = level


@pytest.mark.skipif(not ON_AMD, reason="these operands are x86-64's")
def test_indexed_and_high_operands(kernel: KernelEngine) -> None:
    table = (LONG * 400)(*range(400))
    assert probed(indexed, lambda library: library.indexed(table, LONG(0x87)))[:2] == [0x88, 0]
    assert probed(indexed, lambda library: library.indexed(table, LONG(0x180)))[:2] == [0x181, 1]


@pytest.mark.skipif(not ON_AMD, reason="these operands are x86-64's")
def test_operands_by_the_instructions_address(kernel: KernelEngine) -> None:
    assert probed(of_a_global, lambda library: library["global"]())[0] == -3

    def changed(library: ctypes.CDLL) -> None:
        ctypes.c_int.in_dll(library, "level").value = 12345
        library["global"]()
        ctypes.c_int.in_dll(library, "level").value = -3

    assert probed(of_a_global, changed)[0] == 12345


REFUSED = {
    f'@bpf.usdt({PROBED!r}, "tests", "value")\ndef f(a): pass': ("no probe tests:value", "did you mean tests:values"),
    f'@bpf.usdt({PROBED!r}, "zq", "x")\ndef f(): pass': ("no probe zq:x", "it has tests:bare"),
    '@bpf.usdt("libc.so.6x", "libc", "x")\ndef f(): pass': ("no library or command",),
    f'@bpf.usdt({PROBED!r}, "tests", "gated")\ndef f(a, b): pass': ("no argument number 1", "it has 1"),
    f'@bpf.usdt({PROBED!r}, "tests", "gated")\ndef f(_a):\n    bpf.printk(f"{{_a}}")': ("`_a` may have no value", "left out"),
    f'@bpf.usdt({PROBED!r}, "tests", "gated")\ndef f(arg4): pass': ("no argument number 4",),
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


def test_the_decorator_wants_three_words() -> None:
    with pytest.raises(Error, match="a provider and a name"):
        bpf.usdt("libc.so.6", "libc", "")
    with pytest.raises(Error, match=r"`@bpf\.usdt`"):
        bpf.usdt("libc.so.6")  # type: ignore[call-arg]


def test_the_probes_of_a_file() -> None:
    found = probes(PROBED)
    assert found["tests", "values"] == 2
    sites = probe_sites(PROBED, "tests", "values")
    assert len(specifications(sites)) == 2
    assert probe_sites(PROBED, "tests", "gated")[0].semaphore


AMD = {
    "-4@%edi": Argument(4, True, "register", 0, 112),
    "1@%ah": Argument(1, False, "register", 8, 80),
    "2@%r9w": Argument(2, False, "register", 0, 64),
    "1@%sil": Argument(1, False, "register", 0, 104),
    "8@$-5": Argument(8, False, "constant", -5),
    "4@-0x14(%rbp)": Argument(4, False, "memory", -20, 32),
    "8@(%rax)": Argument(8, False, "memory", 0, 80),
    "8@16(%rax,%rbx,4)": Argument(8, False, "memory", 16, 80, 40, 4),
    "8@(%rsi,%rcx)": Argument(8, False, "memory", 0, 104, 88, 1),
}
ARM = {
    "-4@x0": Argument(4, True, "register", 0, 0),
    "4@w17": Argument(4, False, "register", 0, 136),
    "8@sp": Argument(8, False, "register", 0, 248),
    "-4@-7": Argument(4, True, "constant", -7),
    "8@[sp, 16]": Argument(8, False, "memory", 16, 248),
    "8@[x29]": Argument(8, False, "memory", 0, 232),
    "8@[x1, x2, lsl 3]": Argument(8, False, "memory", 0, 8, 16, 8),
}


@pytest.mark.parametrize("machine, table", [("x86_64", AMD), ("aarch64", ARM)])
def test_operands(machine: str, table: dict[str, Argument]) -> None:
    site = Site(0, 0, " ".join(table), 0)
    assert arguments(PROBED, site, machine) == list(table.values())


@pytest.mark.parametrize("text", ["8f@%xmm0", "16@%rax", "8@%fs:0(%rax)", "8@%xmm1", "4@nowhere(%rip)", "8@[x0, w1, sxtw 2]"])
def test_operands_that_cannot_be_read(text: str) -> None:
    machine = "aarch64" if "[" in text else "x86_64"
    (found,) = arguments(PROBED, Site(0, 0, text, 0), machine)
    assert isinstance(found, str) and text in found
