"""`python -m tests.kernels`: the kernel tests in other kernels, each booted under qemu. docs/kernels.md tells more."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.kernels import boot, fetch
from tests.kernels.errors import CannotRun
from tests.kernels.machines import need
from tests.kernels.results import Results
from tests.kernels.table import table

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
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time limit of a kernel (%(default)s)")
    parser.add_argument("--cache", type=Path, default=cache(), help="where kernels are kept (%(default)s)")
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
    runs = []
    for kernel in kernels:
        print(f"{kernel.release}: booting", flush=True)
        console = options.cache / f"{kernel.release}.console"
        runs.append(boot.run(kernel, busybox, options.tests or files(kernel.machine.tests), options.seconds, console, progress))
        if sys.stdout.isatty():
            print("\r\033[K", end="")
    print(f"\n{table(runs)}")
    return 0 if all(run.good for run in runs) else 1


def files(patterns: Iterable[str]) -> list[str]:
    return [str(path.relative_to(boot.ROOT)) for pattern in patterns for path in sorted(boot.ROOT.glob(pattern))]


def progress(results: Results) -> None:
    """On a terminal, where a guest is now; else each failure when it happens."""
    if sys.stdout.isatty():
        print(f"\r\033[K{results.kernel}: {len(results.outcomes)} done, {results.running[-90:]}", end="", flush=True)
    elif results.outcomes and not (results.running or results.finished):
        test, outcome = next(reversed(results.outcomes.items()))
        if outcome == "failed":
            print(f"{results.kernel}: {test} failed", flush=True)


if __name__ == "__main__":
    sys.exit(main())
