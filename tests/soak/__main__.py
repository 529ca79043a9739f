"""`python -m tests.soak`: load, attach, detach and close again and again, over all kinds of links that this kernel permits;
events at full rate; processes killed in the middle. At the end there must be what there was at the start. docs/testing.md
tells more."""

from __future__ import annotations

import argparse
import gc
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle as endless
from itertools import islice
from pathlib import Path

import pytest

from purebpf.errors import Error
from tests.kernel.cgroups import own_cgroup
from tests.kernel.netns import veth_pair
from tests.soak import events
from tests.soak.kinds import HELD, KINDS, Kind, Place, cycle
from tests.soak.left import Left, left

ROOT = Path(__file__).parents[2]
CANNOT_RUN = 77  # exit status
GROWTH = 4096  # KiB of memory that a run may have more at its end than after its first fifth
PATIENCE = 60.0  # seconds until the kernel has freed what was held last, which a busy machine has it put off


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--cycles", type=int, default=10_000, help="how often to load, attach, detach, close (%(default)s)")
    parser.add_argument("--seconds", type=float, default=300, help="how long to send events (%(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="how many processes to kill in the middle (%(default)s)")
    parser.add_argument("--within", nargs="+", help=argparse.SUPPRESS)  # a place, and the kinds of one to be killed
    options = parser.parse_args(words)
    if options.within:
        return victim(Place(*options.within[:3]), options.within[3:])
    try:
        return soak(options.cycles, options.seconds, options.kills)
    except pytest.skip.Exception as reason:
        print(f"It cannot run here: {reason}")
        return CANNOT_RUN


def soak(number: int, seconds: float, kills: int) -> int:
    with places() as place:
        kinds = permitted(place)
        good = [cycles(kinds, place, number), sent(seconds), killed(kinds, place, kills)]
    print("all as at the start" if all(good) else "NOT as at the start")
    return 0 if all(good) else 1


@contextmanager
def places() -> Iterator[Place]:
    with veth_pair() as (one, other), own_cgroup() as cgroup:
        subprocess.run(["ip", "address", "add", "198.51.100.1/24", "dev", one], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield Place(one, other, cgroup)


def permitted(place: Place) -> list[Kind]:
    """The kinds that work here; why others do not is told."""
    found = []
    for kind in KINDS:
        try:
            cycle(kind, place)
        except Error as error:
            print(f"  not here: {kind.name}: {str(error).splitlines()[0][:150]}")
        else:
            found.append(kind)
    print(f"{len(found)} of {len(KINDS)} kinds of links")
    return found


def cycles(kinds: Sequence[Kind], place: Place, number: int) -> bool:
    """Go round the kinds; whether nothing has grown. Each kind once more before, so that what is made once is there."""
    for kind in kinds:
        cycle(kind, place)
    gc.collect()
    start, begin = settled(place), time.monotonic()
    for kind in islice(endless(kinds), number // 5):
        cycle(kind, place)
    gc.collect()
    warm = left(place)
    for kind in islice(endless(kinds), number - number // 5):
        cycle(kind, place)
    gc.collect()
    end = settled(place)
    growth = end.kib - warm.kib
    print(
        f"{number} cycles in {time.monotonic() - begin:.0f} s; memory after a fifth {warm.kib} KiB, at the end {growth:+} KiB"
    )
    return judged(start, end) and growth <= GROWTH


def settled(place: Place) -> Left:
    """What there is when the kernel has freed what it frees later than it is closed."""
    deadline = time.monotonic() + PATIENCE
    while (now := left(place)).objects and time.monotonic() < deadline:
        time.sleep(0.1)
    return now


def judged(start: Left, end: Left) -> bool:
    print(f"  start: {start}\n  end:   {end}", flush=True)
    return end.same(start) and not end.objects


def sent(seconds: float) -> bool:
    if not seconds:
        return True
    found = events.run(seconds)
    print(found)
    return found.lost == 0 and found.kib <= GROWTH


def killed(kinds: Sequence[Kind], place: Place, number: int) -> bool:
    """Kill processes at any moment; whether nothing of theirs stays. Only kinds that links, or descriptors, hold."""
    if not number:
        return True
    start, begin, dice, rounds = settled(place), time.monotonic(), random.Random(number), 0
    names = [kind.name for kind in kinds if kind.linked]
    for _ in range(number):
        command = [sys.executable, "-m", "tests.soak", "--within", place.interface, place.other, place.cgroup, *names]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if not process.stdout.readline():
                print("a process to kill ended by itself")
                return False
            time.sleep(dice.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
            rounds += process.stdout.read().count("\n")
    end = settled(place)
    print(f"{number} processes killed, after {rounds} cycles, in {time.monotonic() - begin:.0f} s")
    return judged(start, end)


def victim(place: Place, names: Sequence[str]) -> int:
    """Goes round the kinds, with a program attached all the time, until it is killed."""
    with HELD.hold(place):
        print("ready", flush=True)
        for kind in endless(kind for kind in KINDS if kind.name in names):
            cycle(kind, place)
            print(kind.name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
