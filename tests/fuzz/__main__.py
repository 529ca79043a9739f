"""`python -m tests.fuzz --seconds N [--seed S]`: random programs for so long; the last line counts them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from purebpf.engine import Engine
from purebpf.kernel.probe import permitted
from purebpf.vm.engine import VmEngine
from tests.fuzz.generate import Generator
from tests.fuzz.oracles import Tally, run_sample


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    engines: list[Engine] = [VmEngine()]
    reason = permitted()
    if reason is None:
        from purebpf.kernel.engine import KernelEngine

        engines.append(KernelEngine())
    else:
        print(f"without the kernel: {reason}", file=sys.stderr)
    tally, seed, end = Tally(), options.seed, time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            run_sample(Generator(seed).sample(), seed, engines, Path(folder), tally)
            seed += 1
    for failure in tally.failures[:20]:
        print(failure, file=sys.stderr)
    print(tally.line())
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
