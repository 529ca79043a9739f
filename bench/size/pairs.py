"""The pairs: `pairs/NAME.py` with one program, and `pairs/NAME.c` that does the same work.

A pair whose Python half is one of the examples has only the C file here. A Python half may also define `fill(rng)`, which
writes maps before the runs, `packets(rng)`, which gives packets beside the usual ones, and `contexts(rng)` for programs on
events.

Slots of both halves are checked in as `slots.tsv`, so that the test suite can hold ours against them without clang.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from purebpf.cli.files import programs_of
from purebpf.compiler.options import Options
from purebpf.program import Program

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TABLE = HERE / "slots.tsv"
LEVELS = (3, 4)


@dataclass(frozen=True, slots=True)
class Pair:
    name: str
    python: Path
    c: Path


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots by level of the instruction set."""

    ours: dict[int, int]
    clang: dict[int, int]


def pairs() -> list[Pair]:
    """All of them, by name."""
    found = []
    for c in sorted((HERE / "pairs").glob("*.c")):
        own = c.with_suffix(".py")
        found.append(Pair(c.stem, own if own.exists() else ROOT / "examples" / own.name, c))
    return found


def program_of(pair: Pair, cpu: int) -> Program:
    """The Python half, newly imported, to be compiled for a level."""
    (program,) = programs_of(pair.python).values()
    program.options = Options(cpu=cpu)
    return program


def hook(program: Program, name: str) -> Any:
    """What the pair's module defines under a name (`fill`, `packets`, `contexts`), or None."""
    return program.function.__globals__.get(name)


def our_slots(pair: Pair, cpu: int) -> int:
    return program_of(pair, cpu).compiled().program.slots


def recorded() -> dict[str, Slots]:
    """The checked-in numbers."""
    table = {}
    for line in TABLE.read_text().splitlines()[1:]:
        name, *numbers = line.split("\t")
        ours3, ours4, clang3, clang4 = map(int, numbers)
        table[name] = Slots({3: ours3, 4: ours4}, {3: clang3, 4: clang4})
    return table


def record(table: dict[str, Slots]) -> None:
    """Write the numbers down."""
    rows = ["name\tours v3\tours v4\tclang v3\tclang v4"]
    for name, slots in sorted(table.items()):
        rows.append("\t".join([name, *(str(side[cpu]) for side in (slots.ours, slots.clang) for cpu in LEVELS)]))
    TABLE.write_text("\n".join(rows) + "\n")
