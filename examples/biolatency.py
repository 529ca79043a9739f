"""How long disks take for reads and writes: a histogram of powers of two. Needs root and Linux 5.2.

python examples/biolatency.py 5            5 seconds, all disks
python examples/biolatency.py 5 sda        one of them
            usecs     reads    writes
     64 -     127        12         0
    128 -     255       803        17
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import purebpf as bpf
from purebpf import u32, u64

BUCKETS = 27
MINOR_BITS = 20  # of a device's number inside the kernel


@bpf.struct
class Request:
    sector: u64
    device: u32


@bpf.config
class settings:
    only_device: u32 = 0  # 0: all


@bpf.struct
class Row:
    reads: u64 = 0
    writes: u64 = 0


started = bpf.LruHash[Request, u64](max_entries=16384)  # when the disk was given a request
histogram = bpf.PerCpuArray[Row](max_entries=BUCKETS)


@bpf.tracepoint("block/block_rq_issue")
def issued(ctx: bpf.TracepointContext) -> None:
    if ctx.nr_sector != 0 and (settings.only_device == 0 or ctx.dev == settings.only_device):  # a flush has no sectors
        started[Request(sector=ctx.sector, device=ctx.dev)] = bpf.ktime()


@bpf.tracepoint("block/block_rq_complete")
def completed(ctx: bpf.TracepointContext) -> None:
    since = started.pop(Request(sector=ctx.sector, device=ctx.dev))
    if since is None:
        return
    microseconds = (bpf.ktime() - since) // 1000
    row = histogram[min(microseconds.bit_length(), BUCKETS - 1)]
    if ctx.rwbs.startswith("R"):
        row.reads += 1
    else:
        row.writes += 1


def number(disk: str) -> int:
    """A disk's number as the kernel has it, from its name."""
    major, minor = Path(f"/sys/class/block/{disk}/dev").read_text().split(":")
    return int(major) << MINOR_BITS | int(minor)


def rows() -> list[tuple[int, int, int, int]]:
    """(from, to, reads, writes) in microseconds, from the first to the last that has any."""
    counts = [(sum(row.reads for row in each), sum(row.writes for row in each)) for each in histogram.values()]
    used = [bucket for bucket, both in enumerate(counts) if any(both)]
    return [(1 << at >> 1, (1 << at) - 1, *counts[at]) for at in range(used[0], used[-1] + 1)] if used else []


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    settings.only_device = number(sys.argv[2]) if len(sys.argv) > 2 else 0
    with bpf.load(issued, completed), issued.attach(), completed.attach():
        time.sleep(seconds)
        found = rows()
    print(f"{'usecs':>17}{'reads':>10}{'writes':>10}")
    for low, high, reads, writes in found:
        print(f"{low:>7} - {high:>7}{reads:>10}{writes:>10}")


if __name__ == "__main__":
    main()
