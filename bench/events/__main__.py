"""`python -m bench.events`: reading a ring buffer, beside libbpf in C and BCC in Python, in turns on the same ring.

Each reader adds up a field of all records that a program has put into the ring: libbpf's by a callback in C, BCC's by one in
Python, ours by `read_batch(copy=False)`, by `read_batch()` and by `for event in ring`. The sum is in all times. They are the
processor's; a turn is some full rings, as one reader reads on, and the medians of all rings count. Then producers on all CPUs
send while one reader reads: what comes is compared with what the programs counted. Single maps are measured by `bench.maps`,
whose ratio the last line repeats. libbpf's headers, gcc and BCC are wanted at that time only.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.events.sound import compared
from bench.events.stream import SIZE, fill, ring

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "events.md"
MAPS = HERE.parent / "results" / "maps.md"
PER_RUN = 1000  # records of one run of the program
TURN = 5  # rings
VIEW, COPY, ITER = "`ring.read_batch(copy=False)`", "`ring.read_batch()`", "`for event in ring`"
BCC = ("/usr/bin/python3", str(HERE / "bcc_peer.py"))


class Peer:
    """Another reader, in a process of its own."""

    def __init__(self, command: list[str], descriptor: int) -> None:
        self.process = subprocess.Popen(
            [*command, str(descriptor)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[descriptor]
        )

    def read(self) -> tuple[int, float, int]:
        """Records, seconds, sum."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print("read", file=self.process.stdin, flush=True)
        count, taken, total = self.process.stdout.readline().split()
        return int(count), int(taken) / 1e9, int(total)

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def compiled(folder: Path) -> str | None:
    """libbpf's consumer; None, with the reason printed, where it cannot be made."""
    if shutil.which("gcc") is None:
        print("without libbpf: gcc is not installed")
        return None
    program = str(folder / "peer")
    made = subprocess.run(
        ["gcc", "-O2", "-o", program, str(HERE / "peer.c"), "-lbpf"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        print(f"without libbpf: the peer does not compile (is libbpf-dev there?): {made.stderr.strip().splitlines()[0]}")
        return None
    return program


def has_bcc() -> bool:
    found = subprocess.run([BCC[0], "-c", "import bcc"], capture_output=True, check=False).returncode == 0
    if not found:
        print("without BCC: it is not installed")
    return found


def batch(copy: bool) -> tuple[int, float, int]:
    start = time.process_time()
    count = total = 0
    while len(records := ring.read_batch(0, copy=copy)):
        count += len(records)
        total += int(records["number"].sum())
    return count, time.process_time() - start, total


def iterated() -> tuple[int, float, int]:
    start = time.process_time()
    count = total = 0
    for event in ring.records(0):
        count += 1
        total += event.number
    return count, time.process_time() - start, total


def measured(readers: dict[str, Callable[[], tuple[int, float, int]]], rounds: int) -> dict[str, float]:
    """Nanoseconds for a record, by reader: medians."""
    runs = (SIZE // 24 - 1) // PER_RUN
    wanted = runs * PER_RUN, runs * (PER_RUN * (PER_RUN - 1) // 2)
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            for _ in range(TURN):
                fill.run(bytes(64), repeat=runs)
                count, taken, total = read()
                assert (count, total) == wanted, f"{name} read {count} records with the sum {total}, not {wanted}"
                times[name].append(taken / count * 1e9)
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.events")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--records", type=int, default=50_000_000, help="for the comparison with what was sent")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} anew")
    options = parser.parse_args()
    with fill.load(engine="kernel"), tempfile.TemporaryDirectory() as folder:
        peers: dict[str, Peer] = {}
        if (program := compiled(Path(folder))) is not None:
            peers["libbpf in C"] = Peer([program], ring.live.handle)
        if has_bcc():
            peers["BCC, `event()` in a callback"] = Peer(list(BCC), ring.live.handle)
        readers = {name: peer.read for name, peer in peers.items()}
        readers |= {VIEW: partial(batch, False), COPY: partial(batch, True), ITER: iterated}
        found = measured(readers, options.rounds)
        for peer in peers.values():
            peer.close()
    sent = compared(options.records)
    report = told(found, sent.words)
    if options.write:
        RESULTS.write_text(report)
    print(report)
    maps = re.search(r"\| ([\d.]+) times", MAPS.read_text()) if MAPS.exists() else None
    ratios = [
        ("batch/libbpf", _ratio(found, "libbpf in C", VIEW)),
        ("iter/bcc", _ratio(found, "BCC, `event()` in a callback", ITER)),
        ("lost", str(sent.lost)),
        ("maps/libbpf", maps[1] if maps else "-"),
    ]
    print(" ".join(f"{name}={value}" for name, value in ratios))


def _ratio(found: dict[str, float], peer: str, mine: str) -> str:
    """Records in the same time, ours to theirs."""
    return f"{found[peer] / found[mine]:.2f}" if peer in found else "-"


def told(found: dict[str, float], words: str) -> str:
    system = os.uname()
    rows = "\n".join(f"| {name} | {each:.1f} ns | {1000 / each:.1f} million |" for name, each in found.items())
    return f"""# Events from a ring buffer

Records of 16 bytes (four fields) in a ring of {SIZE >> 20} MiB, on Linux {system.release.split("-")[0]}, {system.machine}; `python -m bench.events --write`.

| reader | a record | records a second |
|---|---|---|
{rows}

{words}
"""  # noqa: E501


if __name__ == "__main__":
    main()
