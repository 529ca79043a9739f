"""Is every record read once, and in order? Producers on all CPUs send numbered records, one reader reads, by copies and by
views of the ring's memory in turns."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass

import numpy

from bench.events.stream import refused, send, sent, stream

EACH = 100  # records of one run
REPEAT = 1000  # runs of one call


@dataclass(frozen=True)
class Sound:
    """`lost` records were neither read nor counted as dropped, or were read twice, or out of order."""

    lost: int
    words: str


def _produce(cpu: int, calls: int) -> None:
    os.sched_setaffinity(0, {cpu})
    for _ in range(calls):
        send.run(bytes(64), repeat=REPEAT)


def compared(records: int) -> Sound:
    """So many records, which are sent from all CPUs that this process may use."""
    cpus = sorted(os.sched_getaffinity(0))
    calls = max(1, records // (EACH * REPEAT * len(cpus)))
    context = multiprocessing.get_context("fork")
    with send.load(engine="kernel"):
        producers = [context.Process(target=_produce, args=(cpu, calls)) for cpu in cpus]
        start = time.monotonic()
        for producer in producers:
            producer.start()
        last = numpy.full(max(cpus) + 1, -1, numpy.int64)
        read = wrong = turn = 0
        while True:
            running = any(producer.is_alive() for producer in producers)
            turn += 1
            batch = stream.read_batch(0.05, copy=turn % 2 == 0)
            for cpu in cpus:
                numbers = batch["number"][batch["cpu"] == cpu].astype(numpy.int64)
                if len(numbers):
                    steps = numpy.diff(numbers, prepend=last[cpu])
                    wrong += int((steps <= 0).sum())
                    last[cpu] = numbers[-1]
            read += len(batch)
            if not running and not len(batch):
                break
        taken = time.monotonic() - start
        for producer in producers:
            producer.join()
        made, dropped = sum(sent[0]), sum(refused[0])
    lost = abs(made - dropped - read) + wrong
    share = dropped / made if made else 0
    words = (
        f"{made:,} records were sent from {len(cpus)} CPUs in {taken:.0f} s: {read:,} were read, each once and in order, and "
        f"{dropped:,} ({share:.0%}) found the ring full, as the programs counted; {lost} are missing."
    )
    return Sound(lost, words)
