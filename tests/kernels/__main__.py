"""`python -m tests.kernels`: the kernel tests in other kernels, each booted under qemu. docs/kernels.md tells more."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.kernels import boot, children, fetch
from tests.kernels.ahead.host import ahead
from tests.kernels.errors import CannotRun
from tests.kernels.fetch import Kernel
from tests.kernels.machines import need
from tests.kernels.results import Results
from tests.kernels.table import table
from tests.kinds.measured import Measured

KERNELS = ("5.10", "6.1", "6.12", fetch.NEWEST)
SECONDS = 3600.0


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kernels", description=__doc__)
    parser.add_argument(
        "kernels",
        nargs="*",
        default=KERNELS,
        metavar="SERIES",
        help=f"by default {' '.join(KERNELS)}; there are arm64 and 6.1-arm64 too",
    )
    parser.add_argument("--tests", nargs="+", metavar="TEST", help="files and folders; only kernel tests are run")
    at_once = os.cpu_count() or 1
    parser.add_argument("--at-once", type=int, default=at_once, metavar="GUESTS", help="how many run (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time limit of a kernel (%(default)s)")
    parser.add_argument("--cache", type=Path, default=cache(), help="where kernels are kept (%(default)s)")
    parser.add_argument("--kinds", type=Path, metavar="FOLDER", help="where to note which kinds passed; see tests/kinds")
    parser.add_argument("--mirror", default=fetch.MIRROR, help="where Debian's archives are (%(default)s)")
    return parser.parse_args(words)


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "purebpf" / "kernels"


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no guest stays
    try:
        for machine in dict.fromkeys(fetch.split(one)[1] for one in options.kernels):
            need(machine)
        print(f"Getting kernels {', '.join(options.kernels)} into {options.cache}", flush=True)
        busybox, kernels = fetch.fetch(options.cache, options.mirror, options.kernels)
    except CannotRun as error:
        print(f"The kernel tests cannot run in other kernels: {error}", file=sys.stderr)
        return 1
    progress = Progress()
    with ThreadPoolExecutor(options.at_once) as pool:
        try:
            runs = list(pool.map(lambda kernel: one(kernel, busybox, options, progress), kernels))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            children.end_all()
    progress.clear()
    if options.kinds:
        note(runs, options.kinds)
    print(f"\n{table(runs)}")
    return 0 if all(run.good for run in runs) else 1


def one(kernel: Kernel, busybox: Path, options: argparse.Namespace, progress: Progress) -> Results:
    """One kernel, from what it takes to what came of its tests."""
    begin = time.monotonic()
    tests = options.tests or files(kernel.machine.tests)
    console = options.cache / f"{kernel.release}.console"
    try:
        progress.say(f"{kernel.release}: compiling")
        given = ahead(kernel, busybox, tests, options.seconds, console)
        progress.say(f"{kernel.release}: booting after {time.monotonic() - begin:.0f} s")
        return boot.run(kernel, busybox, boot.pytest(tests), options.seconds, console, progress.tell, given)
    except CannotRun as error:
        return Results(kernel.release, trouble=[str(error)])


def note(runs: Iterable[Results], folder: Path) -> None:
    """Add the kinds that passed to the files of the kernels; also of one that was not done in time."""
    for run in (run for run in runs if run.outcomes):
        path = folder / f"{'.'.join(run.kernel.split('.')[:2])}.json"
        measured = Measured.read(path)
        measured.kernel = run.version or measured.kernel or run.kernel
        measured.add(run.outcomes, {test: kinds for test, kinds in run.kinds.items() if run.outcomes.get(test) == "passed"})
        measured.write(path)


def files(patterns: Iterable[str]) -> list[str]:
    return [str(path.relative_to(boot.ROOT)) for pattern in patterns for path in sorted(boot.ROOT.glob(pattern))]


class Progress:
    """On a terminal, where the guests are now; else each failure when it happens."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.states: dict[str, str] = {}

    def tell(self, results: Results) -> None:
        if results.finished:
            self.states.pop(results.kernel, None)
            self.say(f"{results.kernel}: done, {results.count('failed')} failed")
        elif sys.stdout.isatty():
            self.states[results.kernel] = f"{results.kernel}: {len(results.outcomes)} done, {results.running[-40:]}"
            with self.lock:
                print(f"\r\033[K{'; '.join(self.states.values())[:150]}", end="", flush=True)
        elif results.outcomes and not results.running:
            test, outcome = next(reversed(results.outcomes.items()))
            if outcome == "failed":
                self.say(f"{results.kernel}: {test} failed\n    {results.texts[test].partition(chr(10))[0]}")

    def say(self, line: str) -> None:
        self.clear()
        with self.lock:
            print(line, flush=True)

    def clear(self) -> None:
        if sys.stdout.isatty():
            with self.lock:
                print("\r\033[K", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
