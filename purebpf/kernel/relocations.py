"""CO-RE relocations against the running kernel's types (Linux 5.4), and its modules' where it has none of the name (5.11)."""

from __future__ import annotations

from purebpf.btf.core import Resolver
from purebpf.btf.running import targets
from purebpf.errors import Unsupported
from purebpf.isa.instruction import Instruction
from purebpf.relocate import relocated, unresolved
from purebpf.spec import ProgramSpec


def for_this_kernel(spec: ProgramSpec, resolver: Resolver | None = None) -> tuple[Instruction, ...]:
    """The program's instructions with what they want to know of this kernel; `resolver` is one for it and the program's types.
    Raises Unsupported where it does not tell its
    types, Error for a relocation that makes no sense or is ambiguous."""
    try:
        return relocated(spec, resolver or targets())
    except Unsupported as error:
        raise Unsupported(f"The program {spec.name!r} asks for the kernel's own types. {error}") from error


def without_answer(spec: ProgramSpec) -> dict[int, str]:
    """Why relocations have no answer here, by slot."""
    return unresolved(spec, targets())
