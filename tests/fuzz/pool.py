"""Examines the programs of many seeds on all cores; a program that takes too long counts as failed."""

from __future__ import annotations

import multiprocessing
import random
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType

from purebpf.engine import Engine
from purebpf.kernel.probe import permitted
from purebpf.vm.engine import VmEngine
from tests.fuzz.generate import Generator
from tests.fuzz.guards import examine_unguarded
from tests.fuzz.oracles import Failure, examine
from tests.fuzz.spoil import examine_spoiled, spoiled

SCALES = (0.05, 0.3, 0.6, 1.0)
SHARES = (700, 265, 30, 5)
"""How many in a thousand programs have each of these sizes."""
PATIENCE = 60
"""Seconds of one processor's time for one program: more is a hang."""
BATCH = 64
BUDGET = 2_000_000
"""Instructions for one run on the virtual machine: without its checks a loop may go on as long as the kernel lets it."""


class Hang(Exception):
    """A program takes longer than `PATIENCE`."""


@dataclass(slots=True)
class Report:
    """What came of one seed: failures, and counts by word ("spoiled", "taken", "refused", "harmless")."""

    seed: int
    failures: list[Failure] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def scale_of(seed: int) -> float:
    return random.Random(f"scale {seed}").choices(SCALES, SHARES)[0]


def program(seed: int) -> str:
    """The program of a seed, the same wherever it is made."""
    return Generator(seed, scale_of(seed)).source()


@cache
def engines() -> tuple[Engine, ...]:
    """Those that can be used here; says why the kernel is not one of them."""
    reason = permitted()
    if reason is None:
        from purebpf.kernel.engine import KernelEngine

        return VmEngine(budget=BUDGET), KernelEngine()
    print(f"without the kernel: {reason}", file=sys.stderr)
    return (VmEngine(budget=BUDGET),)


def oracles_of(seed: int) -> tuple[str, ...]:
    """Every tenth program's IR is interpreted after each pass, every fifth runs as Python."""
    return ("ir", "engines", *(("python",) if seed % 5 == 0 else ()), *(("passes",) if seed % 10 == 3 else ()))


def seed_report(seed: int, used: tuple[Engine, ...]) -> Report:
    """All that is done with one seed: the program, one with a mistake, one without a check."""
    report, source = Report(seed), program(seed)

    def note(failure: Failure | None) -> None:
        if failure is not None:
            report.failures.append(failure)

    note(patiently(lambda: examine(source, seed, list(used), oracles=oracles_of(seed)), source, seed, ""))
    small = scale_of(seed) < 0.6
    change = spoiled(source, random.Random(seed)) if seed % 2 == 0 and small else None
    if change is not None:
        mutation, changed = change
        report.counts["spoiled"] += 1
        note(patiently(lambda: examine_spoiled(changed, seed, list(used), mutation), changed, seed, mutation))
    if seed % 4 == 1 and small:
        removal = examine_unguarded(source, seed, used[0], used[1] if len(used) > 1 else None)
        report.counts[f"unguarded {removal.verdict}"] += 1
        note(removal.failure)
    return report


def patiently(run: Callable[[], Failure | None], source: str, seed: int, mutation: str) -> Failure | None:
    """`run`, ended when it takes too long."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Hang(f"still busy after {PATIENCE} seconds")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        return run()
    except Exception:
        return Failure("traceback", "", traceback.format_exc(limit=-4), source, seed, mutation)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def reports(first: int, count: int | None, seconds: float, jobs: int) -> Iterator[Report]:
    """One report for each seed from `first` on, in any order, until the time is up or `count` seeds are done."""
    end = time.monotonic() + seconds

    def batches() -> Iterator[list[int]]:
        at, last = first, first + count if count is not None else None
        while time.monotonic() < end and (last is None or at < last):
            stop = at + BATCH if last is None else min(at + BATCH, last)
            yield list(range(at, stop))
            at = stop

    if jobs == 1:
        for batch in batches():
            for seed in batch:
                yield seed_report(seed, engines())
        return
    yield from _shared(batches(), jobs)


def _shared(batches: Iterator[list[int]], jobs: int) -> Iterator[Report]:
    """The reports of batches that processes work on. One that is killed (a kernel may end whoever meets a mistake of its own)
    costs its seed, which is reported; another goes on with the rest."""
    workers: dict[Connection, tuple[BaseProcess, list[int]]] = {}
    try:
        while True:
            while len(workers) < jobs and (batch := next(batches, None)) is not None:
                worker = _worker(batch)
                workers[worker[0]] = (worker[1], batch)
            if not workers:
                return
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                process, batch = workers[pipe]
                try:
                    report: Report = pipe.recv()
                except EOFError:
                    del workers[pipe]
                    pipe.close()
                    process.join()
                    if not batch:
                        continue
                    report = Report(batch[0], [_killed(batch[0], process.exitcode)])
                    if batch[1:]:
                        worker = _worker(batch[1:])
                        workers[worker[0]] = (worker[1], batch[1:])
                else:
                    batch.pop(0)
                yield report
    finally:
        for process, _ in workers.values():
            process.kill()


def _worker(seeds: list[int]) -> tuple[Connection, BaseProcess]:
    """A process that examines seeds, and the pipe from which their reports come in order."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def work() -> None:
        ours.close()
        warnings.simplefilter("ignore")  # spoiled programs are odd, and results here are any numbers
        for seed in seeds:
            theirs.send(seed_report(seed, engines()))

    process = context.Process(target=work, daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _killed(seed: int, status: int | None) -> Failure:
    return Failure("traceback", "", f"the process that examined it ended with status {status}", program(seed), seed)
