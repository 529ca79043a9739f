"""Addresses of a process: of this one, with files and memory that the tests map into it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from purebpf.errors import Error
from purebpf.symbols import Frame, ProcessSymbols
from purebpf.symbols.mappings import Mapping, parse
from purebpf.symbols.perf_map import parse as parse_perf_map
from purebpf.symbols.perf_map import read_perf_map
from tests.symbols.image import FUNC, GLOBAL, Mapped, image

SYMBOLS = [("first", 0x10, 0x10, FUNC, GLOBAL), ("second", 0x20, 0x10, FUNC, GLOBAL)]


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "a file"
    path.write_bytes(image(SYMBOLS))
    return path


@pytest.fixture
def jit_map() -> Iterator[Path]:
    path = Path(f"/tmp/perf-{os.getpid()}.map")
    if path.exists():
        pytest.skip("this Python writes its own perf map")
    yield path
    path.unlink(missing_ok=True)


def test_functions_of_a_mapped_file(binary: Path) -> None:
    with Mapped(binary) as code:
        symbols = ProcessSymbols(os.getpid())
        assert symbols.frame(code.start + 0x12) == Frame(code.start + 0x12, "first", str(binary), 2)
        nameless = symbols.frame(code.start + 0x40)
        assert (nameless.name, nameless.module, nameless.offset) == ("", str(binary), 0x1040)
        assert nameless.label == "[a file+0x1040]"


def test_callers_are_looked_up_before_their_return_address(binary: Path) -> None:
    with Mapped(binary) as code:
        frames = ProcessSymbols(os.getpid()).frames([code.start + 0x20, code.start + 0x20, code.start + 0x25])
        assert [(frame.name, frame.offset) for frame in frames] == [("second", 0), ("first", 0x10), ("second", 5)]
        assert [frame.address - code.start for frame in frames] == [0x20, 0x20, 0x25]


def test_a_stack_ends_where_it_leads_out_of_all_code(binary: Path) -> None:
    with Mapped(binary) as code:
        frames = ProcessSymbols(os.getpid()).frames([code.start + 0x12, code.start + 0x25, 0x10, 0x20, code.start + 0x12])
    assert [frame.label for frame in frames] == ["first", "second", "[unknown]"]


def test_a_file_mapped_later_is_found(binary: Path) -> None:
    symbols = ProcessSymbols(os.getpid())
    with Mapped(binary) as code:
        assert symbols.frame(code.start + 0x12).name == "first"


def test_a_file_that_was_replaced_is_not_taken_for_the_mapped_one(binary: Path) -> None:
    with Mapped(binary) as code:
        symbols = ProcessSymbols(os.getpid())
        binary.unlink()
        binary.with_name("other").write_bytes(image([("wrong", 0x10, 0x10, FUNC, GLOBAL)]))
        binary.with_name("other").rename(binary)
        found = symbols.frame(code.start + 0x12)
        if found.name:  # the kernel let us open the mapped file itself
            assert found.name == "first"
        else:
            assert "not there any more" in symbols.problems[str(binary)]


def test_what_is_no_elf_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"not ELF " * 4096)
    with Mapped(path) as code:
        symbols = ProcessSymbols(os.getpid())
        assert symbols.frame(code.start).label == "[text+0x1000]"
        assert "cannot be read as an ELF file" in symbols.problems[str(path)]


def test_functions_of_a_jit_compiler(jit_map: Path) -> None:
    with Mapped(None) as code:
        jit_map.write_text(f"{code.start + 0x10:x} 10 py::work:/a b.py\n")
        symbols = ProcessSymbols(os.getpid())
        found = symbols.frame(code.start + 0x14)
        assert (found.name, found.module, found.offset, found.label) == ("py::work:/a b.py", "[jit]", 4, "py::work:/a b.py_[j]")
        assert symbols.frame(code.start + 0x40).label == "[anon]"
        with jit_map.open("a") as file:
            file.write(f"{code.start + 0x80:x} 10 later\n")
        assert symbols.frame(code.start + 0x88).name == "later"


def test_lines_of_a_perf_map_that_are_none_are_left_out(tmp_path: Path) -> None:
    table = parse_perf_map(b"10 8 a\nzz 8 b\n20 8\n30 0 empty\n0x40 0x8 c d\n10 4 again\n50 8 h")
    assert [table.find(address) for address in (0x10, 0x15, 0x30, 0x47, 0x50)] == [
        ("again", 0), None, None, ("c d", 7), ("h", 0),
    ]  # fmt: skip
    assert len(read_perf_map(str(tmp_path))) == len(read_perf_map(str(tmp_path / "no"))) == 0


def test_functions_of_python_and_the_vdso() -> None:
    symbols = ProcessSymbols(os.getpid())
    address = ctypes.cast(ctypes.pythonapi.PyEval_EvalCode, ctypes.c_void_p).value
    assert address is not None and symbols.frame(address + 2).name == "PyEval_EvalCode"
    lines = Path("/proc/self/maps").read_text().splitlines()
    vdso = [line for line in lines if line.endswith("[vdso]")]
    if vdso:
        start, end = (int(part, 16) for part in vdso[0].split()[0].split("-"))
        names = {symbols.frame(at).name for at in range(start, end, 16)}
        assert any("gettime" in name for name in names)


def test_stacks_of_a_process_that_has_ended_keep_their_names() -> None:
    program = (
        "import ctypes, sys; print(ctypes.cast(ctypes.pythonapi.PyEval_EvalCode, ctypes.c_void_p).value); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    address = int(child.stdout.readline())
    symbols = ProcessSymbols(child.pid)
    child.communicate("")
    assert symbols.name.startswith("python") and symbols.frame(address + 1).name == "PyEval_EvalCode"
    with pytest.raises(Error, match=f"no process {child.pid}"):
        ProcessSymbols(child.pid)


def test_an_address_of_nowhere_stays_one() -> None:
    found = ProcessSymbols(os.getpid()).frame(0x1234)
    assert (found.name, found.module, found.label, str(found)) == ("", "", "[unknown]", "0x1234 (unknown)")


def test_lines_of_maps() -> None:
    text = (
        b"5000-6000 r-xp 00001000 08:01 77                 /usr/lib/a\\012b.so (deleted)\n"
        b"1000-2000 rw-p 00000000 00:00 0                  [heap]\n"
        b"3000-4000 r-xp 00000000 00:00 0 \n"
        b"7000-8000 r-xp 00000000 00:00 0                  [vdso]\n"
    )
    found = parse(text)
    assert found == [
        Mapping(0x3000, 0x4000, 0, 0, ""),
        Mapping(0x5000, 0x6000, 0x1000, 77, "/usr/lib/a\nb.so", True),
        Mapping(0x7000, 0x8000, 0, 0, "[vdso]"),
    ]
    assert [mapping.file for mapping in found] == [False, True, False]
