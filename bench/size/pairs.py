"""The pairs: a Python file with a program, and a C file that does the same work.

clang's slots were measured with clang 19.1.7, `-O2 -target bpf`, by instruction set level; the test suite holds ours
against them without needing clang.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Pair:
    """`clang` is slots by cpu level."""

    python: Path
    program: str
    c: Path
    section: str
    clang: dict[int, int]


PAIRS = (Pair(ROOT / "examples/packet_count.py", "count", ROOT / "bench/size/packet_count.c", "xdp", {3: 36, 4: 36}),)


def our_slots(pair: Pair, cpu: int) -> int:
    """Slots of the Python program."""
    from purebpf.cli.files import programs_of
    from purebpf.compiler.options import Options

    program = programs_of(pair.python)[pair.program]
    program.options = Options(cpu=cpu)
    return program.compiled().program.slots
