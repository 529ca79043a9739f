"""A profiler: where the CPUs spend their time, by call stacks sampled in the kernel. Needs root.

python examples/profile.py --pid 1234 --seconds 5                        the hottest functions
python examples/profile.py --seconds 5 --folded > all.folded             of the whole machine, for tools for flame graphs
python examples/profile.py --pid 1234 --seconds 5 --svg profile.svg      a flame graph for the browser

Processes without frame pointers show a frame or two. `python -X perf` gives Python's own functions names (3.12).
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import purebpf as bpf
from purebpf import s32, u32, u64
from purebpf.symbols import Folded, KernelSymbols, ProcessSymbols


@bpf.struct
class Sample:
    pid: u32
    kernel: s32  # numbers in `stacks`, negative where there is none
    user: s32


stacks = bpf.StackTrace(max_entries=16384)
samples = bpf.Hash[Sample, u64](max_entries=16384)


@bpf.config
class settings:
    idle: bool = False  # whether the idle task counts


@bpf.perf_event
def sample(ctx: bpf.PerfEventContext) -> None:
    pid = bpf.current.tgid
    if pid != 0 or settings.idle:
        samples[Sample(pid=pid, kernel=bpf.stack(stacks), user=bpf.stack(stacks, user=True))] += 1


class Profile:
    """Samples with names. Processes are looked at as soon as they are seen: they may end before the profile does."""

    def __init__(self) -> None:
        self.kernel = KernelSymbols()
        self.processes: dict[int, ProcessSymbols | None] = {}

    def look(self) -> None:
        """Get to know the processes that were sampled since."""
        for pid in {found.pid for found in samples} - self.processes.keys():
            try:
                self.processes[pid] = ProcessSymbols(pid) if pid else None
            except bpf.Error:  # it has ended already
                self.processes[pid] = None

    def folded(self) -> Folded:
        """All stacks, each begun with the name of its process."""
        self.look()
        made = Folded()
        for found, count in samples.items():
            process = self.processes[found.pid]
            addresses = stacks.get(found.user) or []
            user = [frame.label for frame in process.frames(addresses)] if process else ["[unknown]" for _ in addresses]
            kernel = [frame.label for frame in self.kernel.frames(stacks.get(found.kernel) or [])]
            name = process.name if process else f"pid {found.pid}" if found.pid else "idle"
            made.add([name, *reversed(user), *reversed(kernel)], count)
        return made


def record(seconds: float, frequency: int, pid: int | None = None) -> Folded:
    """Sample one process with all its threads, or all CPUs."""
    profile = Profile()
    if pid is not None:
        profile.processes[pid] = ProcessSymbols(pid)
    with bpf.load(sample):
        with sample.attach(frequency=frequency, pid=pid):
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                time.sleep(min(left, 0.25))
                profile.look()
        folded = profile.folded()
    if profile.kernel.problem:
        print(profile.kernel.problem, file=sys.stderr)
    return folded


def main() -> None:
    parser = argparse.ArgumentParser(description="Sample call stacks and show where the time goes.")
    parser.add_argument("-p", "--pid", type=int, help="only this process (all)")
    parser.add_argument("-F", "--frequency", type=int, default=99, help="samples a second on each CPU (99)")
    parser.add_argument("-s", "--seconds", type=float, default=5.0, help="how long (5)")
    parser.add_argument("--idle", action="store_true", help="count the idle task too")
    parser.add_argument("--folded", action="store_true", help="write folded stacks")
    parser.add_argument("--svg", metavar="FILE", help="write a flame graph")
    given = parser.parse_args()
    settings.idle = given.idle
    folded = record(given.seconds, given.frequency, given.pid)
    if given.svg:
        of = f"process {given.pid}" if given.pid else f"all {os.cpu_count()} CPUs"
        with open(given.svg, "w", encoding="utf-8") as file:
            file.write(folded.svg(f"{of}, {given.seconds:g} s at {given.frequency} Hz"))
    if given.folded:
        print(folded, end="")
    elif not given.svg:
        print(f"{'own':>7}  {'total':>7}  function   ({folded.total} samples)")
        for row in folded.top(20):
            print(f"{row.own / folded.total:7.1%}  {row.total / folded.total:7.1%}  {row.name}")


if __name__ == "__main__":
    main()
