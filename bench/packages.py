"""How long a generated package takes to start, beyond Python itself: runs of both by turns, so that both see the same machine.

python -m bench.packages [--runs 40]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from purebpf.kernel.probe import permitted
from purebpf.packaging.package import package, write
from purebpf.packaging.settings import Settings

ROOT = Path(__file__).parents[1]
STEPS = {
    "Python alone": "pass",
    "imported": "import counter",
    "opened": "import counter; counter.PacketCount()",
    "loaded": "import counter; counter.PacketCount().load()",
}


def run(program: str, folder: Path) -> tuple[float, float]:
    """Milliseconds of a fresh interpreter: by the clock, and of the processor."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is imported is kept as bytecode, as it always is
    start = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", program], environment)
    _, status, used = os.wait4(child, 0)
    assert status == 0, program
    return 1000 * (time.perf_counter() - start), 1000 * (used.ru_utime + used.ru_stime)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=40)
    runs = options.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(package(Settings((ROOT / "examples" / "packet_count.py",)).read()), folder / "counter")
        for program in STEPS.values():
            run(program, folder)
        times = {step: [] for step in STEPS}  # type: dict[str, list[tuple[float, float]]]
        for _ in range(runs):
            for step, program in STEPS.items():
                times[step].append(run(program, folder))
    where = "the kernel" if permitted() is None else "the virtual machine"
    print(f"examples/packet_count.py, loaded into {where}; milliseconds, those of Python alone taken off; {runs} runs each\n")
    print("| | median | fastest | processor, least |\n|---|---|---|---|")
    bare = [
        median(clock for clock, _ in times["Python alone"]),
        *(min(each) for each in zip(*times["Python alone"], strict=True)),
    ]
    for step, found in times.items():
        clocks, used = zip(*found, strict=True)
        row = [median(clocks), min(clocks), min(used)]
        shown = row if step == "Python alone" else [mine - theirs for mine, theirs in zip(row, bare, strict=True)]
        print(f"| {step} | " + " | ".join(f"{each:.1f}" for each in shown) + " |")


if __name__ == "__main__":
    main()
