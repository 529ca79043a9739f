"""Parameters of functions of processes, by name and type from debugging information, or by position. The library that is probed
is one of the tests' own, see tests/kernel/probed."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s64, u64
from purebpf.binaries import dwarf
from purebpf.binaries.dwarf import prototype
from purebpf.binaries.files import opened, symbol_address
from purebpf.errors import CompileError
from purebpf.kernel.engine import KernelEngine

FOLDER = Path(__file__).parents[1] / "kernel" / "probed"
MACHINE = os.uname().machine
PROBED, STRIPPED = (str(FOLDER / f"{name}-{MACHINE}.so") for name in ("probed", "stripped"))
pytestmark = pytest.mark.skipif(not Path(PROBED).exists(), reason=f"the tests have no library to probe on {MACHINE}")
seen = bpf.Array[s64](max_entries=8)


@bpf.globals
class only:
    pid: u64 = 0


@bpf.uprobe(PROBED, "add")
def of_add(d: bool, a: int, c: int, b: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = a
        seen[1] = b
        seen[2] = c
        seen[3] = d
        seen[4] += 1


@bpf.uretprobe(PROBED, "add")
def sum_of(ret: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = ret


@bpf.uprobe(PROBED, "mixed")
def of_mixed(colour: int, name: int, port: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = colour
        seen[1] = port
        text = bpf.read_user_str(name)
        seen[2] = len(text)


@bpf.uprobe(PROBED, "mixed")
def by_position(arg0: int, arg1: int, arg2: int, ctx: bpf.ProbeContext) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = bpf.s32(arg0)
        seen[1] = bpf.u16(arg2)
        seen[2] = len(bpf.read_user_str(arg1))


@bpf.uprobe(PROBED, "many")
def of_many(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f


@bpf.uretprobe(PROBED, "yes")
def truth(ret: bool) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = ret
        seen[1] += 1


@bpf.uprobe(PROBED, "hidden")
def of_hidden(s: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = s


@bpf.uprobe(STRIPPED, "add")
def of_stripped(arg0: int, arg1: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = bpf.s32(arg0)
        seen[1] = bpf.s64(arg1)


@bpf.uretprobe(STRIPPED, "add")
def sum_of_stripped(ret: bpf.s32) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = ret


def probed(program: bpf.Program, call: Callable[[ctypes.CDLL], object], library: str = PROBED) -> list[int]:
    """What the program saw of a call."""
    loaded = ctypes.CDLL(library)
    with program.attach(pid=0):
        only.pid = os.getpid()
        for index in range(8):
            seen[index] = 0
        call(loaded)
        return [seen[index] for index in range(8)]


LONG = ctypes.c_long


def call_add(library: ctypes.CDLL) -> int:
    return int(library.add(-5, LONG(-(1 << 40)), ctypes.c_ubyte(200), ctypes.c_bool(True)))


def call_mixed(library: ctypes.CDLL) -> int:
    return int(library.mixed(ctypes.c_double(1.5), -1, b"purebpf", ctypes.c_ushort(65535)))


def test_parameters_by_name_and_type(kernel: KernelEngine) -> None:
    assert probed(of_add, call_add)[:5] == [-5, -(1 << 40), 200, 1, 1]


def test_results_have_their_type(kernel: KernelEngine) -> None:
    assert probed(sum_of, call_add)[0] == -5 + 200 + 1
    assert probed(sum_of, lambda library: library.add(-50, LONG(0), 1, False))[0] == -49


def test_floating_point_takes_no_register_of_the_others(kernel: KernelEngine) -> None:
    assert probed(of_mixed, call_mixed)[:3] == [-1, 65535, 7]


def test_registers_by_position(kernel: KernelEngine) -> None:
    assert probed(by_position, call_mixed)[:3] == [-1, 65535, 7]


def test_all_registers(kernel: KernelEngine) -> None:
    assert probed(of_many, lambda library: library.many(1, 2, 3, 4, 5, 6, 7, 8, 9))[0] == 654321


def test_bools(kernel: KernelEngine) -> None:
    assert probed(truth, lambda library: library.yes(5))[:2] == [1, 1]
    assert probed(truth, lambda library: library.yes(-5))[:2] == [0, 1]


def test_functions_without_a_dynamic_symbol(kernel: KernelEngine) -> None:
    assert probed(of_hidden, lambda library: library.calls_hidden(-7))[0] == -7


def test_without_debugging_information_parameters_are_positional(kernel: KernelEngine) -> None:
    assert probed(of_stripped, call_add, STRIPPED)[:2] == [-5, -(1 << 40)]
    assert probed(sum_of_stripped, lambda library: library.add(-50, LONG(0), 1, False), STRIPPED)[0] == -49


REFUSED = {
    f'@bpf.uprobe({PROBED!r}, "add")\ndef f(e): pass': ("has no parameter `e`", "it has: a, b, c, d, arg0"),
    f'@bpf.uprobe({PROBED!r}, "add")\ndef f(ret): pass': ("has no parameter `ret`", "in a uretprobe"),
    f'@bpf.uretprobe({PROBED!r}, "add")\ndef f(a): pass': ("has no parameter `a`", "`ret` only"),
    f'@bpf.uprobe({STRIPPED!r}, "add")\ndef f(a): pass': ("has no parameter `a`", "no debugging information", "arg0, arg1"),
    f'@bpf.uprobe({PROBED!r}, "ad")\ndef f(a): pass': ("has no function 'ad'", "did you mean add"),
    f'@bpf.uprobe({PROBED!r}, "ad")\ndef f(ctx): pass': ("has no function 'ad'", "did you mean add"),
    '@bpf.uprobe("libnothing.so", "x")\ndef f(ctx): pass': ("no library or command 'libnothing.so'",),
    f'@bpf.uprobe({PROBED!r}, "zz*")\ndef f(ctx): pass': ("no function that fits",),
    f'@bpf.uprobe({PROBED!r}, "mixed")\ndef f(scale): pass': ("`scale`", "cannot be read", "a `double`"),
    f'@bpf.uprobe({PROBED!r}, "by_value")\ndef f(big): pass': ("cannot be read", "passed by value"),
    f'@bpf.uprobe({PROBED!r}, "by_value")\ndef f(last): pass': ("cannot be read", "behind `big`"),
    f'@bpf.uretprobe({PROBED!r}, "real")\ndef f(ret): pass': ("cannot be read", "a `double`"),
    f'@bpf.uretprobe({PROBED!r}, "nothing")\ndef f(ret): pass': ("cannot be read", "returns nothing"),
    f'@bpf.uprobe({PROBED!r}, "add+4")\ndef f(a): pass': ("has no parameter `a`", "arg0"),
    f'@bpf.uprobe({PROBED!r}, "*add*")\ndef f(a): pass': ("has no parameter `a`", "arg0"),
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


def test_the_debug_file_of_a_stripped_one_is_found_by_its_build_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = symbol_address(STRIPPED, "add")
    assert prototype(STRIPPED, address) is None
    with opened(PROBED) as (elf, _):
        number = next(elf.get_section_by_name(".note.gnu.build-id").iter_notes())["n_desc"]
    folder = tmp_path / ".build-id" / number[:2]
    folder.mkdir(parents=True)
    shutil.copy(PROBED, folder / f"{number[2:]}.debug")
    monkeypatch.setattr(dwarf, "DEBUG_FOLDER", str(tmp_path))
    found = prototype(STRIPPED, address)
    assert found is not None
    assert [name for name, _ in found.parameters] == ["a", "b", "c", "d"]
    assert [(type.kind, type.size, type.signed) for _, type in found.parameters] == [
        ("int", 4, True),
        ("int", 8, True),
        ("int", 1, False),
        ("bool", 1, False),
    ]
    assert found.result.name == "int"
