"""The instruction set: instructions, their bytes, constructors to write assembly in Python, text assembler and disassembler.

Everything public can be imported from here. What is not needed for plain data (`Instruction`) is loaded when it is first
used, because every use of purebpf imports this package. `from purebpf.isa.asm import *` gives all one needs to write a program.
"""

from __future__ import annotations

from importlib import import_module

from purebpf.isa.instruction import Instruction as Instruction
from purebpf.isa.instruction import SourceLine as SourceLine

TYPE_CHECKING = False  # the checker takes it as true; importing it from typing would cost milliseconds
if TYPE_CHECKING:
    from purebpf.isa.asm import *  # noqa: F403
    from purebpf.isa.assembler import parse as parse
    from purebpf.isa.assembler import parse_instruction as parse_instruction
    from purebpf.isa.assembler import parse_items as parse_items
    from purebpf.isa.codec import decode as decode
    from purebpf.isa.codec import encode as encode
    from purebpf.isa.disassembler import disassemble as disassemble
    from purebpf.isa.disassembler import format_instruction as format_instruction
    from purebpf.isa.forms import cpu_level as cpu_level
    from purebpf.isa.forms import minimum_kernel as minimum_kernel
    from purebpf.isa.labels import label_slots as label_slots

MODULES = {
    "parse": "assembler",
    "parse_instruction": "assembler",
    "parse_items": "assembler",
    "decode": "codec",
    "encode": "codec",
    "disassemble": "disassembler",
    "format_instruction": "disassembler",
    "cpu_level": "forms",
    "minimum_kernel": "forms",
    "assemble": "labels",
    "label_slots": "labels",
}
"""Where a public name is. What begins with a capital letter, besides, is a constructor, register or size of `asm`."""


def __getattr__(name: str) -> object:
    home = MODULES.get(name) or ("asm" if name[:1].isupper() else None)
    value = getattr(import_module(f"{__name__}.{home}"), name, None) if home else None
    if value is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    asm = import_module(f"{__name__}.asm")
    return sorted({*globals(), *MODULES, *asm.__all__})
