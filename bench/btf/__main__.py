"""`python -m bench.btf`: what reading the kernel's types costs, each figure beside the limit that it must keep.

Every measurement is a process of its own, several rounds of them; the quickest counts. Times are of the wall clock and of the
CPU (on a busy machine the second tells more), without the start of Python; memory is the most that the process had at once,
less that of a Python that does nothing. `--blobs N` tries N damaged inputs too (100000 is the figure to show), `--write`
writes bench/results/btf.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from purebpf.btf.running import VMLINUX

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results" / "btf.md"
HEAD = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
"""
TAIL = """
taken = {"wall": 1000 * (time.perf_counter() - wall), "cpu": 1000 * (time.process_time() - cpu)}
status = open("/proc/self/status").read().split("VmHWM:")[1]
print(json.dumps(taken | {"memory": int(status.split()[0]) / 1024}))
"""
IMPORTS = """
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind
"""
LOOKUP = """
wall, cpu = time.perf_counter(), time.process_time()  # after the imports, which have a line of their own
btf = kernel_btf()
task = btf.type(btf.find("task_struct", Kind.STRUCT))
assert len([(member.name, btf.kind(btf.resolve(member.type))) for member in task.members]) > 100
"""
ROUND_TRIP = """
from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.running import kernel_btf
before = kernel_btf()
builder = BtfBuilder(sys.byteorder)
types = [type for _, type in before]
for type in types:
    builder.define(builder.reserve(), type)
after = Btf(builder.encode())
assert [type for _, type in after] == types and len(after) == len(before)
"""
BUILD = f"""
import runpy
program = runpy.run_path({str(Path(__file__).with_name("program.py"))!r})["connecting"]
assert program.compiled().program.relocations
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measurement, and the limits that it must keep: milliseconds of the wall clock, MB."""

    name: str
    code: str
    wall: float | None
    memory: float | None
    warm: bool = False  # with the index of an earlier process


FIGURES = (
    Figure("importing the reader", IMPORTS, None, None),
    Figure("`task_struct` with its members, the first time", IMPORTS + LOOKUP, 100, 60),
    Figure("the same with the index of an earlier process", IMPORTS + LOOKUP, 10, None, warm=True),
    Figure("the whole kernel read, written and read again: equal", ROUND_TRIP, None, None),
    Figure("a program of `task_struct`, `sock` and `file` compiled, the first time", BUILD, 250, 100),
    Figure("the same with the index of an earlier process", BUILD, None, None, warm=True),
)
Sample = dict[str, float]


def sample(code: str, cache: str) -> Sample:
    """One process."""
    environment = os.environ | {"XDG_CACHE_HOME": cache, "PUREBPF_KEEP": "no"}
    command = [sys.executable, "-c", HEAD + code + TAIL]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: Sample = json.loads(done.stdout)
    return found


def measured(figure: Figure, rounds: int) -> Sample:
    """The least of each."""
    samples = []
    with tempfile.TemporaryDirectory() as shared:
        if figure.warm:
            sample(figure.code, shared)
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as empty:
                samples.append(sample(figure.code, shared if figure.warm else empty))
    return {key: min(each[key] for each in samples) for key in samples[0]}


def table(rounds: int) -> tuple[list[str], list[str]]:
    """(the lines of the table, what is over its limit)."""
    nothing = min(sample("", "/nonexistent")["memory"] for _ in range(rounds))
    lines = ["| what | wall, ms | CPU, ms | limit | memory, MB | limit |", "|---|--:|--:|--:|--:|--:|"]
    over = []
    for figure in FIGURES:
        found = measured(figure, rounds)
        wall, cpu, memory = found["wall"], found["cpu"], found["memory"] - nothing
        limits = [str(limit) if limit is not None else "-" for limit in (figure.wall, figure.memory)]
        lines.append(f"| {figure.name} | {wall:.1f} | {cpu:.1f} | {limits[0]} | {memory:.1f} | {limits[1]} |")
        print(lines[-1], flush=True)
        if figure.wall is not None and min(wall, cpu) > figure.wall:
            over.append(f"{figure.name}: {cpu:.1f} ms of CPU, the limit is {figure.wall}")
        if figure.memory is not None and memory > figure.memory:
            over.append(f"{figure.name}: {memory:.1f} MB, the limit is {figure.memory}")
    return lines, over


def damaged(count: int) -> str:
    """The last line of the fuzzer. Raises SystemExit when one of the inputs is a problem."""
    command = [sys.executable, "-m", "tests.fuzz.btf", "--count", str(count), "--seed", "1"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr)
    return f"{done.stdout.strip().splitlines()[-1]} ({time.perf_counter() - start:.0f} s)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--blobs", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not VMLINUX.exists():
        print(f"there is no {VMLINUX}: nothing to measure")
        return 0
    lines, over = table(options.rounds)
    told = [f"Linux {platform.release()}, Python {platform.python_version()}, {VMLINUX.stat().st_size / 1e6:.1f} MB of BTF."]
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    told.append(f"The least of {options.rounds} processes each; {busy:.1f} processes waited for each core meanwhile.")
    if options.blobs:
        told.append(f"Damaged inputs: {damaged(options.blobs)}")
        print(told[-1])
    if options.write:
        earlier = re.findall(r"^Damaged inputs: .*$", RESULTS.read_text(), re.MULTILINE) if RESULTS.exists() else []
        kept = [] if options.blobs else earlier
        RESULTS.write_text("# Reading the kernel's types\n\n" + "\n".join(lines) + "\n\n" + "  \n".join([*told, *kept]) + "\n")
    print("\n".join(over) or "all within their limits")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
