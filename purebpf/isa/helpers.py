"""Helper functions by name and number, as the assembler and the disassembler need them.

The facts are in the generated `purebpf.tables.helper_rows`, which is read when the first helper is named: it is large.
"""

from __future__ import annotations

from functools import cache

from purebpf.data import data
from purebpf.errors import AssemblerError
from purebpf.isa.instruction import Instruction
from purebpf.isa.opcodes import CALL_HELPER, CALL_OPCODE

PREFIX = "bpf_"


class UnknownHelper(AssemblerError, AttributeError):
    """There is no helper of that name."""


@cache
def names_by_id() -> dict[int, str]:
    """Every helper's full name (`bpf_map_lookup_elem`) by its number."""
    from purebpf.tables.helper_rows import ROWS

    return {row[0]: PREFIX + row[1] for row in ROWS}


@cache
def ids_by_name() -> dict[str, int]:
    """Every helper's number by its full name."""
    return {name: number for number, name in names_by_id().items()}


def helper_id(name: str) -> int:
    """The number of a helper, named with or without `bpf_`. Raises UnknownHelper."""
    full = PREFIX + name.removeprefix(PREFIX)
    number = ids_by_name().get(full)
    if number is None:
        from difflib import get_close_matches

        close = get_close_matches(full, ids_by_name(), n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else "; a kernel function that is no helper is a kfunc"
        raise UnknownHelper(f"there is no helper {full}{hint}")
    return number


@data
class HelperFunction:
    """A helper that can be called: r1 to r5 are its arguments, r0 its result."""

    name: str
    id: int

    def call(self) -> Instruction:
        return Instruction(CALL_OPCODE, src=CALL_HELPER, imm=self.id)


class HelperNames:
    """`Fn`: every helper as an attribute, without `bpf_`: `Fn.perf_event_output.call()`. Raises UnknownHelper."""

    __slots__ = ()

    def __getattr__(self, name: str) -> HelperFunction:
        if name.startswith("_"):
            raise AttributeError(name)
        return HelperFunction(PREFIX + name.removeprefix(PREFIX), helper_id(name))

    def __dir__(self) -> list[str]:
        return sorted(name.removeprefix(PREFIX) for name in ids_by_name())


Fn = HelperNames()
