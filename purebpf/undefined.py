"""What a program refers to by name and nobody has defined: maps, variables and functions of object files that are to be linked
with the program's own. No engine can load such a program."""

from __future__ import annotations

from purebpf.errors import Error
from purebpf.isa.codec import is_unresolved
from purebpf.isa.opcodes import CALL_LOCAL, CALL_OPCODE
from purebpf.spec import ExternKind, ExternSpec, ProgramSpec

WORDS = {
    ExternKind.OTHER_FUNCTION: "function",
    ExternKind.OTHER_VARIABLE: "variable",
    ExternKind.OTHER_MAP: "map",
}
HOW = "link the object that defines it (purebpf link a.o b.o -o c.o)"


def check_defined(spec: ProgramSpec) -> None:
    """Raises Error for a program that is not whole. What is weak may be missing."""
    others = {each.name: each for each in spec.externs if each.kind in WORDS and not each.weak}
    for instruction in spec.instructions:
        name = instruction.symbol
        if name is None:
            continue
        if (instruction.opcode, instruction.src) == (CALL_OPCODE, CALL_LOCAL) and is_unresolved(instruction):
            raise Error(
                f"The program {spec.name!r} calls the function {name!r}, which is not defined here: {HOW}, or declare it as "
                "one of the kernel (`__ksym`)."
            )
        if name in others:
            raise Error(f"The program {spec.name!r} refers to {said(others[name])}: {HOW}.")


def said(extern: ExternSpec) -> str:
    return f"the {WORDS[extern.kind]} {extern.name!r}, which is declared extern and not defined here"
