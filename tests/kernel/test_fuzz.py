"""Random programs on the kernel that is there: compiled for what it takes, they do what Python says they mean.

In the guests of `make kernels` 500 of them run, else some; `python -m tests.fuzz` runs as many as one likes on more oracles.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable

import pytest

from purebpf.collection import Collection
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from tests.fuzz.ahead import case_of
from tests.fuzz.oracles import Failure
from tests.kernels.results import COUNT
from tests.kernels.stream import first_kernel

FIRST = 70_000
BATCHES = 10
BATCH = 50 if "PUREBPF_STREAM" in os.environ else 4
MOST = 1000  # seeds for one batch


def outcome(seed: int) -> tuple[str, Failure | None]:
    """What became of a seed's program: "run", "too large for the verifier", "for later kernels", or how it failed."""
    engine = KernelEngine()
    case = case_of(seed, Collection([], engine).target)
    failure = case if isinstance(case, Failure) else case.on(engine)
    if failure is None:
        return "run", None
    if first_kernel(failure.detail) > kernel_version():
        return "for later kernels", None
    if failure.kind == "large":
        return "too large for the verifier", failure
    return failure.kind, failure


def batch_from(first: int) -> tuple[Counter[str], list[Failure]]:
    """What became of so many programs that `BATCH` ran, counted, and the failures."""
    counts: Counter[str] = Counter()
    failures: list[Failure] = []
    jobs = os.cpu_count() or 1
    pool = multiprocessing.get_context("fork").Pool(jobs)
    for start in range(first, first + MOST, 4 * jobs):
        for word, failure in pool.map(outcome, range(start, start + 4 * jobs), 1):
            counts[word] += 1
            if failure is not None and failure.kind != "large":
                failures.append(failure)
        if counts["run"] >= BATCH:
            break
    pool.close()
    pool.join()
    return counts, failures


@pytest.mark.kernel
@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_programs_do_what_python_says(batch: int, record_property: Callable[[str, object], None]) -> None:
    counts, failures = batch_from(FIRST + batch * MOST)
    for word, number in counts.items():
        record_property(f"{COUNT}random programs, {word}", number)
    assert not failures, "\n".join(map(str, failures))
    assert counts["run"] >= BATCH
