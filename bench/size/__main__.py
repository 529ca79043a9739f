"""`python -m bench.size [NAME...]`: every pair compiled, compared, measured; the table goes to bench/results/size.md.

Where clang is installed (clang-19, or what PUREBPF_CLANG names) its slots are measured again, and both halves run on the same
inputs; without it, the table holds the checked-in numbers of clang. `--record` checks in the slots of this run, `--quick`
leaves out times. With names, only those pairs are run and no file is written.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, field

from bench.size import clang, equality, measure
from bench.size.pairs import LEVELS, ROOT, Pair, Slots, our_slots, pairs, program_of, record, recorded
from purebpf.errors import Error
from purebpf.kernel.probe import permitted

RESULTS = ROOT / "bench/results/size.md"


@dataclass(slots=True)
class Row:
    """A pair's numbers; (ours, clang's) where there are two."""

    name: str
    slots: Slots
    runs: int = 0
    verified: tuple[int, int] | None = None
    executed: tuple[int, int] | None = None
    time: tuple[float, float] | None = None
    failures: list[str] = field(default_factory=list)


def run(pair: Pair, known: Slots | None, *, kernel: bool, times: bool) -> Row:
    """Compile and measure a pair. What goes wrong is in the row's `failures`."""
    row = Row(pair.name, Slots({}, {} if clang.available() or known is None else dict(known.clang)))
    for cpu in LEVELS:
        row.slots.ours[cpu] = our_slots(pair, cpu)
        if not clang.available():
            continue
        program = program_of(pair, cpu)
        ours = program.spec()
        theirs = clang.program(pair.c, cpu, ours)
        (other,) = theirs.programs.values()
        row.slots.clang[cpu] = other.slots
        try:
            row.runs += equality.check(program, ours, theirs, kernel=kernel)
            if cpu == LEVELS[0]:
                one, two = (ours, program), (theirs, program)
                counts = measure.executed(one), measure.executed(two)
                row.executed = sum(counts[0]), sum(counts[1])
                if kernel:
                    row.verified = measure.verified(one), measure.verified(two)
                    row.time = measure.nanoseconds(one, two, counts[1]) if times else None
        except (Error, equality.Different) as error:
            row.failures.append(f"v{cpu}: {error}")
    return row


def mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.prod(ratios) ** (1 / len(ratios)) if ratios else math.nan


def quotients(rows: list[Row]) -> dict[str, list[float]]:
    """Ours by clang's, for all pairs that have the number."""
    made = {f"slots v{cpu}": [r.slots.ours[cpu] / r.slots.clang[cpu] for r in rows if cpu in r.slots.clang] for cpu in LEVELS}
    for what in ("verified", "executed", "time"):
        made[what] = [a / b for a, b in (getattr(r, what) for r in rows if getattr(r, what) is not None)]
    return made


def cells(pair: tuple[float, float] | None, digits: int = 0) -> str:
    """`ours / clang's`, or a dash."""
    return "–" if pair is None else f"{pair[0]:,.{digits}f} / {pair[1]:,.{digits}f}"


def ratio(pair: tuple[float, float] | None) -> str:
    return "–" if pair is None else f"{pair[0] / pair[1]:.2f}"


def table(rows: list[Row]) -> str:
    """The results as a page of Markdown; every cell is ours / clang's."""
    lines = [
        "# Python and C side by side",
        "",
        "Each program is written once in Python and once in C (`bench/size/pairs`); both do the same on the same inputs.",
        f"Cells are purebpf / clang ({clang.version() if clang.available() else 'checked-in numbers'}, `-O2 -target bpf`); "
        "a ratio under 1 is in our favour. `docs/bench.md` explains the columns.",
        "",
        "| program | slots v3 | ratio | slots v4 | ratio | verified | executed | time ns | ratio |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        both = {cpu: (row.slots.ours[cpu], row.slots.clang[cpu]) if cpu in row.slots.clang else None for cpu in LEVELS}
        slots = " | ".join(f"{cells(both[cpu])} | {ratio(both[cpu])}" for cpu in LEVELS)
        executed = ratio(row.executed)
        lines.append(
            f"| {row.name} | {slots} | {cells(row.verified)} | {executed} | {cells(row.time, 1)} | {ratio(row.time)} |"
        )
    made = quotients(rows)
    totals = {cpu: (sum(r.slots.ours[cpu] for r in rows), sum(r.slots.clang.get(cpu, 0) for r in rows)) for cpu in LEVELS}
    sums = " | ".join(f"{cells(totals[cpu])} | {ratio(totals[cpu])}" for cpu in LEVELS)
    means = {name: f"{mean(values):.2f}" if values else "–" for name, values in made.items()}
    lines.append(f"| **total** | {sums} | | | | |")
    slots_means = f"| {means['slots v3']} | | {means['slots v4']}"
    lines.append(f"| **geometric mean** | {slots_means} | {means['verified']} | {means['executed']} | | {means['time']} |")
    lines.append("")
    for cpu in LEVELS:
        smaller = sum(q < 1 for q in made[f"slots v{cpu}"])
        larger = sum(q > 1 for q in made[f"slots v{cpu}"])
        worst = max(made[f"slots v{cpu}"], default=math.nan)
        lines.append(f"v{cpu}: smaller than clang's {smaller}, larger {larger}, of {len(rows)}; worst ratio {worst:.2f}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.size", description="purebpf's code beside clang's")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--record", action="store_true", help="check in the slots of this run")
    parser.add_argument("--quick", action="store_true", help="no times")
    arguments = parser.parse_args()
    chosen = [pair for pair in pairs() if not arguments.names or pair.name in arguments.names]
    reason = permitted()
    for missing in [f"{clang.CLANG} is not installed: its slots are those checked in, nothing is compared"] * (
        not clang.available()
    ):
        print(missing, file=sys.stderr)
    if reason:
        print(f"no kernel measurements: {reason}", file=sys.stderr)
    known = recorded()
    rows = []
    for pair in chosen:
        rows.append(run(pair, known.get(pair.name), kernel=reason is None, times=not arguments.quick))
        print(
            f"{pair.name}: {rows[-1].runs} runs compared" + "".join(f"\n  {each}" for each in rows[-1].failures),
            file=sys.stderr,
        )
    text = table(rows)
    print(text)
    made = quotients(rows)
    worst = max((q for cpu in LEVELS for q in made[f"slots v{cpu}"]), default=math.nan)
    time = f" time={mean(made['time']):.2f}" if made["time"] else ""
    print(f"slots v3={mean(made['slots v3']):.2f} v4={mean(made['slots v4']):.2f} worst={worst:.2f}{time}")
    if arguments.record:
        record(known | {row.name: row.slots for row in rows})
    if not arguments.names and not arguments.quick:
        RESULTS.write_text(text)
    if any(row.failures for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
