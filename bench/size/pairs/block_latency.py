"""Latency of block I/O as a histogram by powers of two of microseconds; requests are known by device and sector."""

from random import Random

import purebpf as bpf
from purebpf import u32, u64


@bpf.struct
class Request:
    sector: u64 = 0
    dev: u32 = 0
    unused: u32 = 0


@bpf.struct
class Histogram:
    slots: list[u64] = bpf.array(u64, 32)


issued = bpf.Hash[Request, u64](max_entries=10_240)
latency = bpf.PerCpuArray[Histogram](max_entries=1)


def log2(x: u64) -> u32:
    """The place of the highest bit, by halving; 0 for 0."""
    n = 0
    if x >> 32:
        x >>= 32
        n += 32
    if x >> 16:
        x >>= 16
        n += 16
    if x >> 8:
        x >>= 8
        n += 8
    if x >> 4:
        x >>= 4
        n += 4
    if x >> 2:
        x >>= 2
        n += 2
    if x >> 1:
        n += 1
    return n


@bpf.tracepoint("block/block_rq_complete")
def block_latency(ctx: bpf.TracepointContext) -> None:
    key = Request(sector=ctx.sector, dev=ctx.dev)
    start = issued.get(key)
    if start is None:
        return
    microseconds = u64(bpf.ktime() - start) // 1000
    slot = min(log2(microseconds), 31)
    latency[0].slots[slot] += 1
    del issued[key]


def fill(rng: Random) -> None:
    for sector in (0, 1, 2, 5):
        for dev in (0, 1, 2, 5):
            issued[Request(sector=sector, dev=dev)] = 10**12 - rng.getrandbits(rng.randrange(1, 40))


def contexts(rng: Random) -> list[bytes]:
    def one() -> bytes:
        numbers = rng.choice([0, 1, 2, 5, 9]), rng.choice([0, 1, 2, 5, 9])
        return bytes(8) + numbers[0].to_bytes(4, "little") + bytes(4) + numbers[1].to_bytes(8, "little") + bytes(32)

    return [one() for _ in range(200)]
