"""`python -m tests.fuzz.btf --count N`: damaged BTF. Each is a `BtfError` or types that can be used; nothing crashes or hangs.

`--seed S --count 1` runs one again. With `--kernel`, what the kernel takes must be taken here too. The last line counts.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from types import FrameType

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.c_header import c_header
from purebpf.btf.check import check
from purebpf.btf.compare import differences
from purebpf.btf.dedup import deduplicate
from purebpf.btf.dump import lines
from purebpf.btf.minimal import minimal, minimal_for
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.types import DeclTag, Kind, Linkage, Member, Ptr, Struct, Type, Typedef, Var
from tests.btf.graphs import task_btf
from tests.btf.make import everything

SLOW = 1.0  # seconds of CPU that one input may take
BATCH = 500
VALUES = (0, 1, 2, 3, 4, 8, 16, 24, 31, 32, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@cache
def bases() -> tuple[bytes, ...]:
    """Small and sound BTFs to begin with."""
    task = bytes(task_btf()[0].raw)
    return (everything("little").bytes(), everything("big").bytes(), task, module(), task)


@cache
def below() -> Btf:
    """What the module's BTF builds on."""
    return task_btf()[0]


@cache
def module() -> bytes:
    """A split BTF."""
    builder = BtfBuilder("little", base=below())
    own = builder.add(Struct("own", 64, (Member("of", 1, 0), Member("count", below().find("int"), 448))))
    builder.add(DeclTag("tag", builder.add(Typedef("task", builder.add(Ptr(own)))), -1))
    builder.add(Var("here", own, Linkage.STATIC))
    return builder.encode()


def damaged(seed: int) -> tuple[bytes, Btf | None]:
    """The bytes of a seed: a sound BTF, changed in a few places; and its base if it is a module's."""
    chance = random.Random(seed)
    chosen = chance.choice(bases())
    raw = bytearray(chosen)
    mark = "<" if raw[0] == 0x9F else ">"
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 8, 20))):
        CHANGES[chance.randrange(len(CHANGES))](raw, chance, mark)
    return bytes(raw), below() if chosen == module() else None


def _byte(raw: bytearray, chance: random.Random, mark: str) -> None:
    if raw:
        raw[chance.randrange(len(raw))] = chance.randrange(256)


def _bit(raw: bytearray, chance: random.Random, mark: str) -> None:
    if raw:
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def _word(raw: bytearray, chance: random.Random, mark: str) -> None:
    """A whole word: a value that is often special, a small number, or one near the last type's."""
    if len(raw) >= 28:
        value = chance.choice((chance.choice(VALUES), chance.randrange(40), chance.randrange(1 << 32)))
        struct.pack_into(mark + "I", raw, chance.randrange(len(raw) // 4) * 4, value)


def _kind(raw: bytearray, chance: random.Random, mark: str) -> None:
    """A word that looks like an info word gets another kind, count or flag."""
    if len(raw) >= 64:
        value = chance.randrange(2) << 31 | chance.randrange(22) << 24 | chance.choice((0, 0, 1, 2, 3, 0xFFFF))
        struct.pack_into(mark + "I", raw, 24 + 4 * chance.randrange((len(raw) - 28) // 4), value)


def _cut(raw: bytearray, chance: random.Random, mark: str) -> None:
    if raw and not chance.randrange(8):
        del raw[chance.randrange(len(raw)) :]


def _move(raw: bytearray, chance: random.Random, mark: str) -> None:
    """Some words are doubled, or go, and the header's sizes with them."""
    if len(raw) < 64:
        return
    at = 24 + 4 * chance.randrange((len(raw) - 28) // 4)
    size = 4 * chance.randrange(1, 8)
    types, strings = struct.unpack_from(mark + "II", raw, 12)
    if chance.randrange(2):
        raw[at:at] = raw[at : at + size]
    else:
        del raw[at : at + size]
        size = -size
    if chance.randrange(8) and 0 <= types + size < 1 << 31 and 0 <= strings + size < 1 << 31:
        struct.pack_into(mark + "II", raw, 12, types + size, strings + size)


# What the kernel does not look at: names outside of ASCII, integers of odd sizes, bits that mean nothing.
STRICTER = re.compile(r"not UTF-8|bits at bit \d+ in \d+ bytes|has the encoding")
CHANGES = (_byte, _bit, _word, _word, _kind, _cut, _move)


def use(raw: bytes, base: Btf | None = None) -> str:
    """Use all there is. "refused" for bytes that cannot be opened, "damaged" for types that cannot be used, "decoded" for types
    that make no sense together, "sound"."""
    try:
        btf = Btf(raw, base=base)
    except BtfError:
        return "refused"
    good = True
    types: list[Type] = []
    for number in range(len(btf)):
        for ask in (btf.type, btf.name, btf.resolve):
            good &= _done(lambda ask=ask, number=number: ask(number))  # type: ignore[misc]
        for ask in (
            btf.size_of,
            btf.align_of,
            btf.is_packed,
            lambda n: btf.format(n, bytes(64)),
            lambda n: btf.value(n, bytes(64)),
        ):
            _done(lambda ask=ask, number=number: ask(number))  # type: ignore[misc]
    _done(lambda: btf.decl_tags(4))
    _done(lambda: btf.types_named("thing", Kind.STRUCT))
    _done(lambda: c_header(btf))
    _done(lambda: sum(map(len, lines(btf))))
    if not good:
        return "damaged"
    types = [type for _, type in btf]
    _same_again(btf, types)
    sound = _done(lambda: check(btf))
    left, numbers = deduplicate(types, btf.first)
    assert deduplicate(left, btf.first)[0] == left
    assert set(numbers) == set(range(btf.first, len(btf)))
    _done(lambda: minimal(btf, range(1, len(btf))))
    _done(lambda: minimal_for(btf, btf))
    for number in range(1, len(btf)):
        assert not list(differences(btf, number, btf, number))
        _done(lambda number=number: list(differences(btf, number, btf, 1)))  # type: ignore[misc]
    return "sound" if sound else "decoded"


def _done(action) -> bool:  # type: ignore[no-untyped-def]
    """Whether it can be done; only a BtfError may come of it."""
    try:
        action()
    except BtfError:
        return False
    return True


def _same_again(btf: Btf, types: list[Type]) -> None:
    builder = BtfBuilder(btf.byteorder, base=btf.base)
    for type in types:
        builder.define(builder.reserve(), type)
    assert [type for _, type in Btf(builder.encode(), base=btf.base)] == types, "what is written is not what was read"


def _kernel_takes(raw: bytes) -> bool:
    from purebpf.errors import KernelError
    from purebpf.kernel.btf import load_btf

    try:
        load_btf(raw, "a test").close()
    except KernelError:
        return False
    return True


def why(raw: bytes) -> str:
    """The first thing that is wrong."""
    try:
        btf = Btf(raw)
        for number in range(len(btf)):
            btf.name(number)
        check(btf)
    except BtfError as error:
        return str(error)
    return ""


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("takes more than ten seconds")


def batch(first: int, count: int, kernel: bool) -> tuple[Counter[str], list[str]]:
    """What came of some seeds, and what went wrong."""
    counts, problems = Counter[str](), []
    signal.signal(signal.SIGALRM, _too_long)
    for seed in range(first, first + count):
        (raw, base), start = damaged(seed), time.process_time()
        signal.setitimer(signal.ITIMER_REAL, 10)
        try:
            outcome = use(raw, base)
        except Exception:
            outcome = "failed"
            problems.append(f"seed {seed}:\n{traceback.format_exc(limit=-6)}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        counts[outcome] += 1
        if (seconds := time.process_time() - start) > SLOW:
            problems.append(f"seed {seed} took {seconds:.1f} s")
        if kernel and base is None and raw[:1] == struct.pack("=H", 0xEB9F)[:1] and _kernel_takes(raw):
            counts["taken by the kernel"] += 1
            if outcome != "sound" and not STRICTER.search(reason := why(raw)):
                problems.append(f"seed {seed} is {outcome} here, but the kernel takes it: {reason}")
    counts["megabytes at most"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return counts, problems


def batches(seed: int, count: int, jobs: int, kernel: bool) -> Iterator[tuple[Counter[str], list[str]]]:
    firsts = range(seed, seed + count, BATCH)
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(batch, first, min(BATCH, seed + count - first), kernel) for first in firsts]
        for future in futures:
            yield future.result()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.btf", description="Read damaged BTF.")
    parser.add_argument("--seed", type=int, default=0, help="the first input (default: 0)")
    parser.add_argument("--count", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one for each core)")
    parser.add_argument("--kernel", action="store_true", help="also ask the kernel (needs CAP_BPF)")
    options = parser.parse_args()
    totals, memory, failures = Counter[str](), 0, 0
    for counts, problems in batches(options.seed, options.count, options.jobs, options.kernel):
        memory = max(memory, counts.pop("megabytes at most"))
        totals += counts
        failures += len(problems)
        for problem in problems:
            print(problem, file=sys.stderr, flush=True)
    what = ", ".join(f"{number} {outcome}" for outcome, number in totals.most_common())
    print(f"{options.count} inputs: {what}; {failures} problems; {memory} MB at most")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
