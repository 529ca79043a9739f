"""`python -m tests.elf.fuzz --count N`: damaged object files. Each is an Error of purebpf or a collection that can be used;
nothing crashes, hangs, fills memory or leaves a descriptor open. With `--link` each is linked with a sound one instead.

`--seed S --count 1` runs one again, `--save FILE` writes its object. The last line counts.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FrameType

import purebpf as bpf
from purebpf.btf.reader import Btf, BtfError
from purebpf.cli.object_show import shown
from purebpf.elf.container import read
from purebpf.errors import Error
from purebpf.relocate import relocated
from purebpf.spec import CollectionSpec
from tests.elf import corpus
from tests.elf.damage import damaged

SLOW = 1.0  # seconds of CPU that one input may take
MEMORY = 400  # megabytes that a process may have at most
BATCH = 250
LARGEST = 30_000  # bytes of an object to begin with: larger ones only have more of the same


@cache
def bases() -> tuple[bytes, ...]:
    """Sound objects to begin with. Raises Missing where there is no clang."""
    builds = [each for each in corpus.own() if each.level == 3] + corpus.big()
    found = corpus.compiled(builds) | corpus.linked()
    with suppress(corpus.Missing):
        found |= corpus.debian()
    return tuple(raw for path in found.values() if len(raw := path.read_bytes()) <= LARGEST)


def of_seed(seed: int) -> bytes:
    return damaged(bases()[seed % len(bases())], seed)


def use(raw: bytes) -> str:
    """Read it, show it, relocate it for its own types. "refused" where reading says no, "partly" where a program cannot be
    relocated, else "read"."""
    try:
        spec = bpf.load_object(raw)
    except Error as error:
        assert str(error).strip() and len(str(error)) < 2000, "an error that tells nothing, or too much"
        return "refused"
    assert shown(spec)
    target = own_types(spec)
    good = [_relocates(spec, name, target) for name in spec.programs]
    return "read" if all(good) else "partly"


def link(raw: bytes) -> str:
    """Link it, alone or with a sound object on either side. "refused" where linking says no, else "linked"."""
    others = bases()
    other = others[len(raw) * 31 % len(others)]
    together = ([raw], [raw, other], [other, raw])[sum(raw[-64:]) % 3]
    try:
        made = bpf.link_objects(together)
    except Error as error:
        assert str(error).strip() and len(str(error)) < 5000, "an error that tells nothing, or too much"
        return "refused"
    read(made)
    return "linked"


def own_types(spec: CollectionSpec) -> Btf | None:
    """The object's types as those of a kernel; None where they are no sound BTF."""
    from purebpf.btf.builder import BtfBuilder

    try:
        builder = BtfBuilder(sys.byteorder)
        for type in spec.types:
            builder.define(builder.reserve(), type)
        return Btf(builder.encode())
    except BtfError:
        return None


def _relocates(spec: CollectionSpec, name: str, target: Btf | None) -> bool:
    program = spec.programs[name]
    assert program.slots >= 0 and set(program.maps) <= set(spec.maps), "a program without its maps"
    if target is None:
        return True
    try:
        relocated(program, [target])
    except Error:
        return False
    return True


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("takes more than five seconds of CPU" if number == signal.SIGPROF else "is stuck")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def batch(first: int, count: int, job: Callable[[bytes], str]) -> tuple[Counter[str], list[str]]:
    """What came of some seeds, and what went wrong."""
    counts, problems = Counter[str](), []
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, _too_long)
    job(bases()[0])  # whatever is opened once and for all
    before = descriptors()
    for seed in range(first, first + count):
        raw, start = of_seed(seed), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, 5)
        signal.setitimer(signal.ITIMER_REAL, 300)  # a busy machine may give it no time at all for long
        try:
            outcome = job(raw)
        except Exception:
            outcome = "failed"
            problems.append(f"seed {seed}:\n{traceback.format_exc(limit=-6)}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        counts[outcome] += 1
        if (seconds := time.process_time() - start) > SLOW:
            problems.append(f"seed {seed} took {seconds:.1f} s")
        if (after := descriptors()) != before:
            problems.append(f"seed {seed} left {after - before} descriptors open")
            before = after
    memory = counts["megabytes at most"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if memory > MEMORY:
        problems.append(f"seeds {first} to {first + count - 1} took {memory} MB")
    return counts, problems


def batches(seed: int, count: int, jobs: int, job: Callable[[bytes], str] = use) -> Iterator[tuple[Counter[str], list[str]]]:
    bases()  # compiled once, before there are several processes
    firsts = range(seed, seed + count, BATCH)
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(batch, first, min(BATCH, seed + count - first), job) for first in firsts]
        for future in futures:
            yield future.result()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.elf.fuzz", description="Read damaged object files.")
    parser.add_argument("--seed", type=int, default=0, help="the first input (default: 0)")
    parser.add_argument("--count", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one for each core)")
    parser.add_argument("--link", action="store_true", help="link them instead of reading them")
    parser.add_argument("--save", type=Path, help="write the first input there, and do no more")
    options = parser.parse_args()
    if options.save:
        options.save.write_bytes(of_seed(options.seed))
        return 0
    totals, memory, failures, start = Counter[str](), 0, 0, time.perf_counter()
    for counts, problems in batches(options.seed, options.count, options.jobs, link if options.link else use):
        memory = max(memory, counts.pop("megabytes at most"))
        totals += counts
        failures += len(problems)
        for problem in problems:
            print(problem, file=sys.stderr, flush=True)
    what = ", ".join(f"{number} {outcome}" for outcome, number in totals.most_common())
    seconds = time.perf_counter() - start
    print(f"{options.count} inputs: {what}; {failures} problems; {memory} MB at most; {seconds:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
