"""`python -m bench.maps`: maps from user space, measured beside the same by libbpf in C, in turns on the same map.

A hash table of a million entries (u32 to u64) is read whole into two NumPy arrays, which the peer reads into two arrays of its
own; memory is allocated anew each time on both sides. Single lookups are told per lookup: by the engine (bytes) and by the
declared map (integers), beside libbpf's, which is the bare system call. Times are the processor's, of process and kernel
together; the medians of all rounds count. libbpf's headers and gcc are wanted at the time of the measurement only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy

import purebpf as bpf
from purebpf import u32, u64
from purebpf.kernel.map import KernelMap

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "maps.md"
ENTRIES = 1_000_000
LOOKUPS = 50_000
MOST_RATIO, MOST_ABOVE = 1.2, 1.5  # of reading all, and microseconds above the bare call

table = bpf.Hash[u32, u64](max_entries=ENTRIES)


def compiled(folder: Path) -> Path:
    """The peer. Raises RuntimeError where it cannot be made."""
    if shutil.which("gcc") is None:
        raise RuntimeError("gcc is not installed")
    program = folder / "peer"
    made = subprocess.run(
        ["gcc", "-O2", "-o", str(program), str(HERE / "peer.c"), "-lbpf"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise RuntimeError(f"the peer does not compile (is libbpf-dev there?): {made.stderr.strip().splitlines()[0]}")
    return program


def peer(program: Path, descriptor: int) -> dict[str, float]:
    """One round of libbpf: seconds for all entries, seconds for one lookup."""
    done = subprocess.run(
        [str(program), str(descriptor), str(ENTRIES), "1"], capture_output=True, text=True, check=True, pass_fds=[descriptor]
    )
    found = dict(line.split() for line in done.stdout.splitlines())
    return {"read": int(found["read"]) / 1e9, "lookup": int(found["lookup_ps"]) / 1e12}


def timed(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def ours(live: KernelMap) -> dict[str, float]:
    """One round of purebpf."""
    keys = [key.to_bytes(4, "little") for key in range(LOOKUPS)]

    def raw() -> None:
        lookup = live.lookup
        for key in keys:
            lookup(key)

    def typed() -> None:
        for key in range(LOOKUPS):
            table[key]

    return {"read": timed(table.to_numpy), "lookup": timed(raw) / LOOKUPS, "typed": timed(typed) / LOOKUPS}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.maps")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} anew")
    options = parser.parse_args()
    with bpf.load(table, engine="kernel"), tempfile.TemporaryDirectory() as folder:
        live = table.live
        assert isinstance(live, KernelMap)
        numbers = numpy.arange(ENTRIES, dtype=numpy.uint32)
        table.from_numpy(numbers, numbers.astype(numpy.uint64) * 3)
        program = compiled(Path(folder))
        rounds = [(peer(program, live.handle), ours(live)) for _ in range(options.rounds)]
        keys, values = table.to_numpy()
        assert len(keys) == ENTRIES and (values == keys.astype(numpy.uint64) * 3).all()
        way = table.mechanism
    libbpf = {name: statistics.median(each[0][name] for each in rounds) for name in rounds[0][0]}
    mine = {name: statistics.median(each[1][name] for each in rounds) for name in rounds[0][1]}
    report = told(libbpf, mine, way)
    print(report)
    if options.write:
        RESULTS.write_text(report)


def told(libbpf: dict[str, float], mine: dict[str, float], way: str) -> str:
    """The table."""
    ratio = mine["read"] / libbpf["read"]
    above = {name: (mine[name] - libbpf["lookup"]) * 1e6 for name in ("lookup", "typed")}
    system = os.uname()
    return f"""# Maps from user space

{ENTRIES:,} entries of a hash table, u32 to u64, on Linux {system.release.split("-")[0]}, {system.machine}; `python -m bench.maps --write`.

| | libbpf in C | purebpf | |
|---|---|---|---|
| all entries into NumPy arrays ({way}) | {libbpf["read"] * 1e3:.1f} ms | {mine["read"] * 1e3:.1f} ms | {ratio:.2f} times (at most {MOST_RATIO}) |
| one lookup, bytes | {libbpf["lookup"] * 1e6:.2f} µs | {mine["lookup"] * 1e6:.2f} µs | {above["lookup"]:.2f} µs above the bare call (at most {MOST_ABOVE}) |
| one lookup, `table[key]` of integers | {libbpf["lookup"] * 1e6:.2f} µs | {mine["typed"] * 1e6:.2f} µs | {above["typed"]:.2f} µs above the bare call (at most {MOST_ABOVE}) |
"""  # noqa: E501


if __name__ == "__main__":
    main()
