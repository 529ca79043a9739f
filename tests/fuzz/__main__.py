"""`python -m tests.fuzz --seconds N` or `--count N`: random programs; failures are made small; the last line counts.

`--seed S --count 1 --jobs 1` runs one program again. `--keep FOLDER` writes each failing program into a file.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import Counter
from pathlib import Path

from tests.fuzz.oracles import Failure, Tally
from tests.fuzz.pool import engines, reports
from tests.fuzz.shrink import shrink, signature


def write(folder: Path, failure: Failure) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    detail = "\n".join(
        f"# {line}" for line in f"{failure.kind}, {failure.engine} {failure.mutation}\n{failure.detail}".splitlines()
    )
    (folder / f"{failure.kind}_seed{failure.seed}.py").write_text(f"{detail}\n{failure.source}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Compare random programs on all engines.")
    parser.add_argument("--seconds", type=float, default=None, help="how long (default: 60, or as long as --count takes)")
    parser.add_argument("--seed", type=int, default=0, help="the first program (default: 0)")
    parser.add_argument("--count", type=int, default=None, help="at most so many programs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one for each core)")
    parser.add_argument("--shrink", type=float, default=20, help="seconds for making a failing program small (default: 20)")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for failing programs")
    options = parser.parse_args()
    seconds = options.seconds or (60 if options.count is None else float("inf"))
    warnings.simplefilter("ignore")  # shrinking makes odd programs
    tally, counts, seen = Tally(), Counter[str](), Counter[tuple[str, ...]]()
    for report in reports(options.seed, options.count, seconds, options.jobs):
        tally.programs += 1
        counts += report.counts
        for failure in report.failures:
            tally.add(failure)
            if failure.kind == "large":  # shrinking these would take long
                print(f"== seed {failure.seed}: large ({failure.engine})", file=sys.stderr, flush=True)
                if options.keep is not None:
                    write(options.keep, failure)
                continue
            seen[signature(failure)] += 1
            if seen[signature(failure)] > 1:
                print(
                    f"== seed {failure.seed}: {failure.kind} ({failure.engine}), like one before", file=sys.stderr, flush=True
                )
                continue
            small = shrink(failure, list(engines()), options.shrink)
            print(small, file=sys.stderr, flush=True)
            if options.keep is not None:
                write(options.keep, small)
    print("mutants:", ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "none")
    print(tally.line())
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
