"""What the kernel is told of a program: source lines in its log, names of functions, nothing where it wants nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf.isa import Instruction
from purebpf.kernel import debug_info, verifier
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import FunctionSpec, ProgramSpec
from purebpf.tables.enums import ProgramType


@bpf.xdp
def lines(ctx: bpf.XdpContext) -> bpf.XdpAction:
    size = len(ctx.packet)
    if size > 100:
        return bpf.XDP_DROP
    return bpf.XDP_PASS


def test_the_log_shows_python_lines(kernel: KernelEngine) -> None:
    with kernel.load_program(lines.compiled().program, {}, log_level=2) as loaded:
        assert "; if size > 100:" in loaded.log
        assert "; size = len(ctx.packet)" in loaded.log


def test_bpftool_shows_lines_and_names(kernel: KernelEngine) -> None:
    tool = shutil.which("bpftool")
    if tool is None:
        pytest.skip("bpftool is not installed")
    with kernel.load_program(lines.compiled().program, {}) as loaded:
        shown = subprocess.run(
            [tool, "prog", "dump", "xlated", "id", str(loaded.info.id), "linum"], capture_output=True, text=True, timeout=60
        )
    assert "int lines(struct xdp_md * ctx):" in shown.stdout
    number = Path(__file__).read_text().splitlines().index("    if size > 100:") + 1
    assert f"; if size > 100: [file:{__file__} line_num:{number} " in shown.stdout


def test_programs_without_source(kernel: KernelEngine) -> None:
    spec = ProgramSpec("plain", ProgramType.XDP, (Instruction(0xB7), Instruction(0x95)))
    with kernel.load_program(spec, {}) as loaded:
        assert loaded.info.name == "plain"


def test_names_that_are_no_names_in_c(kernel: KernelEngine) -> None:
    code = (Instruction(0x85, 0, 1, 0, 1), Instruction(0x95), Instruction(0xB7), Instruction(0x95))
    functions = (FunctionSpec("größe (1)", 0), FunctionSpec("a.b", 2))
    with kernel.load_program(ProgramSpec("odd", ProgramType.XDP, code, functions=functions), {}) as loaded:
        assert loaded.handle > 2


def test_a_kernel_that_wants_none_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug_info, "kernel_version", lambda: (4, 19))
    fields: verifier.Fields = {}
    told, held = debug_info.tell(lines.compiled().program, "a program", fields)
    assert told.closed
    assert not held
    assert not fields


def test_equal_lines_are_told_once() -> None:
    program = lines.compiled().program
    strings = debug_info.Strings()
    records = debug_info.lines_of(program, strings)
    assert 0 < len(records) // debug_info.LINE_INFO_BYTES < program.slots
    assert bytes(strings.data).count(b"if size > 100:") == 1
