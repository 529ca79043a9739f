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


def test_every_use_of_purebpf_loads_only_the_plain_data() -> None:
    """The constructors, the tables of forms and the text assembler wait until somebody asks for them."""
    loaded = loaded_by("from purebpf.isa import Instruction")
    assert not {f"purebpf.isa.{name}" for name in ("asm", "labels", "assembler", "disassembler", "references")} & loaded


def test_constructors_load_neither_the_helper_table_nor_the_text_assembler() -> None:
    more = loaded_by("from purebpf.isa.asm import *") - loaded_by("from purebpf.isa import Instruction")
    isa = ("asm", "codec", "forms", "helpers", "labels", "opcodes")
    assert {name for name in more if name.startswith("purebpf.")} <= {
        "purebpf.data",
        "purebpf.errors",
        *(f"purebpf.isa.{name}" for name in isa),
    }


def test_submodules_can_be_imported_from_the_package() -> None:
    assert "purebpf.isa.opcodes" in loaded_by("from purebpf.isa import opcodes")
