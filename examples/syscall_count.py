"""Counts system calls by the name of the process that makes them.

    sudo purebpf run examples/syscall_count.py -- --seconds 10
    sudo purebpf run examples/syscall_count.py -- --pid 1234

The program runs for every system call of the machine; `settings.only` lets it leave at once for those of other processes. It is
assigned before the program is loaded, so the kernel drops the test where there is nothing to test.
"""

from __future__ import annotations

import argparse

import purebpf as bpf
from purebpf import u32, u64


@bpf.struct
class Process:
    name: str = bpf.chars(16)


calls = bpf.Hash[Process, u64](max_entries=4096)


@bpf.config
class settings:
    only: u32 = 0  # a process id, or 0 for all processes


@bpf.tracepoint("raw_syscalls/sys_enter")
def count(ctx: bpf.TracepointContext) -> None:
    if settings.only == 0 or settings.only == bpf.current.tgid:
        calls[Process(name=bpf.current.comm)] += 1


def busiest(number: int = 10) -> list[tuple[str, int]]:
    """(process name, system calls), the busiest first."""
    rows = sorted(calls.items(), key=lambda row: -row[1])
    return [(process.name, total) for process, total in rows[:number]]


def main() -> None:
    parser = argparse.ArgumentParser(description="count system calls by process name")
    parser.add_argument("--seconds", type=int, help="how long to count; without it, until Ctrl-C")
    parser.add_argument("--pid", type=int, default=0, help="count only those of this process")
    arguments = parser.parse_args()
    settings.only = arguments.pid
    with count.attach():
        for _ in bpf.every(1.0, count=arguments.seconds):
            print("  ".join(f"{name} {total}" for name, total in busiest()), flush=True)


if __name__ == "__main__":
    main()
