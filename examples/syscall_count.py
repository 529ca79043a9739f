"""Counts system calls by the name of the process that makes them.

sudo purebpf run examples/syscall_count.py [SECONDS]
"""

from __future__ import annotations

import sys

import purebpf as bpf
from purebpf import u64


@bpf.struct
class Process:
    name: str = bpf.chars(16)


calls = bpf.Hash[Process, u64](max_entries=4096)


@bpf.tracepoint("raw_syscalls/sys_enter")
def count(ctx: bpf.TracepointContext) -> None:
    calls[Process(name=bpf.current.comm)] += 1


def busiest(number: int = 10) -> list[tuple[str, int]]:
    """(process name, system calls), the busiest first."""
    rows = sorted(calls.items(), key=lambda row: -row[1])
    return [(process.name, total) for process, total in rows[:number]]


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else None
    with count.attach():
        for _ in bpf.every(1.0, count=seconds):
            print("  ".join(f"{name} {total}" for name, total in busiest()))


if __name__ == "__main__":
    main()
