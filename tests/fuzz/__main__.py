"""`python -m tests.fuzz --seconds N [--seed S]`: random programs for so long; failures are made small; the last line counts.

`--seed S --count 1` runs one program again. `--keep FOLDER` writes each failing program into a file.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

from purebpf.engine import Engine
from purebpf.kernel.probe import permitted
from purebpf.vm.engine import VmEngine
from tests.fuzz.generate import Generator
from tests.fuzz.oracles import Tally, examine
from tests.fuzz.shrink import shrink, signature

SCALES = (0.3, 0.6, 1.0)
"""Sizes of programs, in turn."""


def program(seed: int) -> str:
    """The program of a seed, the same wherever it is made."""
    return Generator(seed, SCALES[seed % len(SCALES)]).source()


def engines() -> list[Engine]:
    """Those that can be used here; says why the kernel is not one of them."""
    found: list[Engine] = [VmEngine()]
    reason = permitted()
    if reason is None:
        from purebpf.kernel.engine import KernelEngine

        return [*found, KernelEngine()]
    print(f"without the kernel: {reason}", file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Compare random programs on all engines.")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="the first program (default: 0)")
    parser.add_argument("--count", type=int, default=None, help="at most so many programs")
    parser.add_argument("--shrink", type=float, default=20, help="seconds for making a failing program small (default: 20)")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for failing programs")
    options = parser.parse_args()
    warnings.simplefilter("ignore", SyntaxWarning)  # shrinking makes odd programs
    tally, used, seen = Tally(), engines(), Counter[tuple[str, ...]]()
    end = time.monotonic() + options.seconds
    for seed in itertools.count(options.seed):
        if time.monotonic() > end or (options.count is not None and tally.programs >= options.count):
            break
        failure = examine(program(seed), seed, used)
        tally.add(failure)
        if failure is None or failure.kind == "large":
            continue
        alike = signature(failure)
        seen[alike[0], *alike[2:]] += 1
        if seen[alike[0], *alike[2:]] > 1:
            print(f"== seed {seed}: {failure.kind} ({failure.engine}), like one before", file=sys.stderr)
            continue
        small = shrink(failure, used, options.shrink)
        print(small, file=sys.stderr, flush=True)
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"seed{seed}.py").write_text(f"# {failure.kind}, {failure.engine}\n{small.source}\n")
    print(tally.line())
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
