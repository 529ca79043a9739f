"""Golden cases in text files.

A file has a preamble (before the first case) that is put before each case's source; in it may be said what the kernel at hand
must have (`# needs the kernel function bpf_throw`). A case is `[case name]`, source lines, and
one section `[error]`, `[warning]`, `[asm]` or `[ir]` with what the compiler says to it. `python -m tests.compiler.test_cases`
writes the sections anew: read the difference before you commit it.
"""

from __future__ import annotations

import importlib.util
import linecache
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind
from purebpf.compiler.frontend import source as frontend_source
from purebpf.errors import Error
from purebpf.isa import disassemble
from purebpf.program import Program

FOLDER = Path(__file__).parent / "golden_cases"
HEADER = re.compile(r"^\[case (\S+)\]\n", re.M)
NEEDS = re.compile(r"^# needs the kernel function (\w+)$", re.M)
SECTION = re.compile(r"^\[(error|warning|asm|ir)\]\n", re.M)


@dataclass(frozen=True, slots=True)
class Case:
    file: Path
    name: str
    preamble: str
    source: str
    kind: str
    expected: str


def read_cases() -> list[Case]:
    found = []
    for file in sorted(FOLDER.glob("*.test")):
        preamble, *rest = HEADER.split(file.read_text())
        for name, body in zip(rest[::2], rest[1::2], strict=True):
            source, kind, expected = SECTION.split(body)
            found.append(Case(file, name, preamble, source, kind, expected.rstrip("\n")))
    return found


def lacks(case: Case) -> str:
    """What a case needs of the kernel at hand and does not find; "" if it can be checked here."""
    wanted = NEEDS.search(case.preamble)
    if wanted is None:
        return ""
    try:
        there = kernel_btf().types_named(wanted[1], Kind.FUNC)
    except Error as error:
        return str(error)
    return "" if there else f"this kernel has no function {wanted[1]}"


def write_cases(cases: dict[Case, str]) -> None:
    """Rewrite the files with new expectations."""
    for file in {case.file for case in cases}:
        mine = [case for case in cases if case.file == file]
        text = mine[0].preamble
        for case in mine:
            text += f"[case {case.name}]\n{case.source}[{case.kind}]\n{cases[case]}\n\n"
        file.write_text(text.rstrip("\n") + "\n")


def outcome(case: Case, folder: Path) -> str:
    """What the compiler says to a case now; the file's path is shown as `case.py`."""
    path = folder / "case.py"
    path.write_text(case.preamble + case.source)
    linecache.clearcache()
    frontend_source._parsed.clear()
    spec = importlib.util.spec_from_file_location("golden_case", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["golden_case"] = module
    try:
        spec.loader.exec_module(module)
        program = [value for value in vars(module).values() if isinstance(value, Program)][-1]
        made = program.compiled()
    except Error as error:
        return str(error).replace(str(path), "case.py") if case.kind == "error" else f"unexpected {error}"
    finally:
        del sys.modules["golden_case"]
    if case.kind == "error":
        return "no error"
    if case.kind == "warning":
        return "\n".join(made.warnings).replace(str(path), "case.py") or "no warning"
    if case.kind == "asm":
        lines = disassemble(made.program.instructions).splitlines()
        return "\n".join(line for line in lines if line and not line.startswith(";"))
    from purebpf.compiler.ir.ops import Module
    from purebpf.compiler.ir.text import format_module

    text = format_module(Module(made.functions))
    return re.sub(r"  @\S+", "", text).replace(f' file "{path}"', "").rstrip("\n")
