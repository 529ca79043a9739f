"""`python -m bench.objects`: object files opened and loaded, beside libbpf in C, in turns, each time in a process of its own.

An object of 2,000 programs is opened: read to the last instruction, nothing loaded. One of thirty probes that read the kernel's
structs (CO-RE) is opened and loaded, from its path to its programs in the kernel; `first` is the first time in the process,
`again` the second, when what is known of the kernel is in memory. Imports have a line of their own, the start of Python is in
none. Medians of all rounds, of the CPU's time and of the wall clock. clang, gcc and libbpf's headers are wanted at the time of
the measurement only. `--write` writes bench/results/objects.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.objects.generate import many, probes
from bench.size import clang

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = HERE.parent / "results" / "objects.md"
PROGRAMS, PROBES = 2000, 30
MOST_MS, MOST_RATIO = 1000, 1.5

OURS = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
def lap():
    global wall, cpu
    taken = 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)
    wall, cpu = time.perf_counter(), time.process_time()
    return dict(zip(("wall", "cpu"), taken))
import purebpf as bpf
import purebpf.elf.reader, purebpf.objects, purebpf.kernel.engine, purebpf.kernel.probe, purebpf.kernel.together
import purebpf.kernel.relocations, purebpf.kernel.hooks, purebpf.kernel.verifier, purebpf.btf.cache
laps = {{"imports": lap()}}
def work():
    {code}
first = work()
laps["first"] = lap()
del first
lap()
again = work()
laps["again"] = lap()
print(json.dumps(laps))
"""
OPEN = "return bpf.load_object(sys.argv[1])"
LOAD = "return purebpf.objects.load(sys.argv[1], engine='kernel')"
Sample = dict[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured: our code, the lap of it, what the peer does, on which object, the most it may take: milliseconds or, of
    a `ratio`, times libbpf's; 0: no limit."""

    name: str
    code: str
    lap: str
    theirs: str
    object: str
    most: float
    ratio: bool


FIGURES = (
    Figure(f"open an object of {PROGRAMS:,} programs", OPEN, "first", "open", "many", MOST_MS, False),
    Figure(f"open and load {PROBES} probes with CO-RE, first", LOAD, "first", "load", "probes", 0, True),
    Figure(f"open and load {PROBES} probes with CO-RE, again", LOAD, "again", "load", "probes", MOST_RATIO, True),
)


def objects(folder: Path) -> dict[str, Path]:
    """The objects, compiled."""
    found = {}
    for name, text in (("many", many(PROGRAMS)), ("probes", probes(PROBES))):
        source = folder / f"{name}.c"
        source.write_text(text)
        found[name] = folder / f"{name}.o"
        command = [clang.CLANG, "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-c", str(source), "-o", str(found[name])]
        subprocess.run(command, check=True)
    return found


def peer(folder: Path) -> Path:
    """libbpf's side, compiled."""
    program = folder / "peer"
    subprocess.run(["gcc", "-O2", "-o", str(program), str(HERE / "peer.c"), "-lbpf"], check=True)
    return program


def answer(command: list[str]) -> dict[str, Sample]:
    """What a process measured of itself."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])}: {done.stderr}")
    found: dict[str, Sample] = json.loads(done.stdout)
    return found


def measured(figure: Figure, program: Path, path: Path, rounds: int) -> dict[str, Sample]:
    """Medians: ours, theirs, and our imports."""
    mine, theirs = [], []
    ours = [sys.executable, "-c", OURS.format(code=figure.code), str(path)]
    answer(ours)  # byte code and the index of the kernel's types are kept from then on
    for _ in range(rounds):
        theirs.append(answer([str(program), figure.theirs, str(path)])["work"])
        mine.append(answer(ours))
    return {
        "ours": median([each[figure.lap] for each in mine]),
        "theirs": median(theirs),
        "imports": median([each["imports"] for each in mine]),
    }


def median(samples: list[Sample]) -> Sample:
    return {key: statistics.median(each[key] for each in samples) for key in ("wall", "cpu")}


def table(rounds: int) -> tuple[list[str], list[str]]:
    """(the lines of the table, what is over its limit)."""
    lines = [
        "| what | purebpf: CPU, ms | wall, ms | libbpf: CPU, ms | wall, ms | ratio (CPU) | at most |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    over = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths, program = objects(folder), peer(folder)
        for figure in FIGURES:
            found = measured(figure, program, paths[figure.object], rounds)
            mine, theirs, imports = found["ours"], found["theirs"], found["imports"]
            ratio = mine["cpu"] / theirs["cpu"]
            limit = f"{figure.most} times" if figure.ratio else f"{figure.most:.0f} ms"
            limit = limit if figure.most else "-"
            lines.append(
                f"| {figure.name} | {mine['cpu']:.1f} | {mine['wall']:.1f} | {theirs['cpu']:.1f} | {theirs['wall']:.1f} "
                f"| {ratio:.2f} | {limit} |"
            )
            print(lines[-1], flush=True)
            if figure.most and (ratio if figure.ratio else mine["cpu"]) > figure.most:
                over.append(f"{figure.name}: {mine['cpu']:.1f} ms of CPU, {ratio:.2f} times libbpf's; at most {limit}")
        lines.append(f"| imports | {imports['cpu']:.1f} | {imports['wall']:.1f} | - | - | - | - |")
        print(lines[-1], flush=True)
    return lines, over


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.objects", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} anew")
    options = parser.parse_args()
    lines, over = table(options.rounds)
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    told = (
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}; medians of {options.rounds} processes "
        f"each, in turns; {busy:.1f} processes waited for each core meanwhile. `python -m bench.objects --write`."
    )
    if options.write:
        RESULTS.write_text("\n".join(["# Object files", "", *lines, "", told, ""]))
    for each in over:
        print(f"over its limit: {each}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
