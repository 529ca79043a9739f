"""What an import of the instruction set costs: every use of purebpf pays it."""

from __future__ import annotations

import json
import subprocess
import sys


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh Python has loaded after `statement`."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_plain_data_loads_no_other_part_of_the_room() -> None:
    modules = {name for name in loaded_by("from purebpf.isa import Instruction") if name.startswith("purebpf.")}
    assert modules == {"purebpf.isa", "purebpf.isa.instruction"}


def test_constructors_load_neither_tables_nor_the_text_assembler() -> None:
    modules = loaded_by("from purebpf.isa.asm import *")
    assert not {name for name in modules if name.startswith(("purebpf.tables", "purebpf.isa.assembler"))}
    assert not {"typing", "difflib"} & (modules - loaded_by("import dataclasses, enum, struct"))


def test_submodules_can_be_imported_from_the_package() -> None:
    assert "purebpf.isa.opcodes" in loaded_by("from purebpf.isa import opcodes")
