"""`python -m tests.explain.record [SERIES]`: write the running kernel's logs of the programs in `programs.py` into `logs/`.

The logs of other kernels are made by running this in them (docs/kernels.md) and taking the files out.
"""

from __future__ import annotations

import sys
from pathlib import Path

from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from tests.explain.live import log_of
from tests.explain.programs import PROGRAMS

LOGS = Path(__file__).parent / "logs"
KEPT = 4096  # characters of each end of a long log


def save(series: str, name: str, log: str) -> None:
    """Keep a log; of a long one the first and the last lines."""
    text = log.rstrip() + "\n"
    if len(text) > 4 * KEPT:
        text = text[:KEPT].rpartition("\n")[0] + "\n" + text[-KEPT:].partition("\n")[2]
    folder = LOGS / series
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.log").write_text(text)


def main() -> None:
    series = sys.argv[1] if len(sys.argv) > 1 else "{}.{}".format(*kernel_version())
    kernel, version = KernelEngine(), kernel_version()
    for program in PROGRAMS:
        if program.since <= version < program.until:
            save(series, program.name, log_of(program, kernel))


if __name__ == "__main__":
    main()
