"""`python -m tests.kinds`: write docs/kinds.md from what passed; with `--run`, first find out what passes in this kernel."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from purebpf.tables.since import parse
from tests.kinds.measured import FOLDER
from tests.kinds.page import PAGE, ROOT, page

TESTS = ("tests/kernel", "tests/vm", "tests/compiler", "tests/examples")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kinds", description=__doc__)
    parser.add_argument("--run", nargs="*", metavar="TEST", help=f"run tests here first; by default {' '.join(TESTS)}")
    options = parser.parse_args()
    status = 0
    if options.run is not None:
        status = run(options.run or TESTS)
    PAGE.write_text(page())
    return status


def run(tests: tuple[str, ...] | list[str]) -> int:
    path = FOLDER / f"{'.'.join(map(str, parse(os.uname().release)))}.json"
    words = ["-m", "pytest", "-q", "-p", "tests.kinds.record", "--kinds", str(path), *tests]
    return subprocess.run([sys.executable, *words], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
