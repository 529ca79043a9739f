"""Fills the folder of a guest's kernel, before the guest boots."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.kernels import boot
from tests.kernels.ahead.features import features
from tests.kernels.children import child
from tests.kernels.fetch import Kernel
from tests.kernels.results import FEATURES, Told

FUZZ = "tests/kernel/test_fuzz.py"
PATIENCE = 1800  # seconds for one of the host's runs, which may wait for what a stand-in does not do
BATCH = 60
"""Random programs made ahead for each of the batches in `tests/kernel/test_fuzz.py`; it makes more where it wants more."""


def ahead(kernel: Kernel, busybox: Path, tests: Sequence[str], seconds: float, console: Path) -> Mapping[str, str]:
    """Compile for a kernel what these tests load; the variables by which its guest finds that. Raises CannotRun.

    A guest with programs of its own has another Python, which takes nothing from this one: it compiles all.
    """
    if kernel.programs:
        return {}
    told = features(kernel, busybox, seconds, console)
    given = fill(console.with_name(f"{kernel.release}.ahead").resolve(), told, tests)
    python(["-m", "compileall", "-q", "purebpf", "tests", *site.getsitepackages()], given)
    return given


def fill(folder: Path, told: Told, tests: Sequence[str]) -> Mapping[str, str]:
    """The same for a kernel of which all is known. What Python keeps of its own is left there from the last time."""
    (folder / "python").mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "random", ignore_errors=True)
    (folder / FEATURES).write_text(json.dumps(told))
    given = {"PUREBPF_AHEAD": str(folder), "PUREBPF_KEEP": "yes", "PYTHONPYCACHEPREFIX": str(folder / "python")}
    plugins = ("-p", "tests.kernels.stream", "-p", "tests.kernels.ahead.making", "-p", "no:cacheprovider")
    with (folder / "log").open("w") as log:
        python(["-m", "pytest", *plugins, "--continue-on-collection-errors", "-rs", "-m", "kernel", *tests], given, log)
        if any((boot.ROOT / FUZZ).is_relative_to(boot.ROOT / test) for test in tests):
            from tests.kernel.test_fuzz import BATCHES, FIRST, MOST

            pairs = [str(number) for batch in range(BATCHES) for number in (FIRST + batch * MOST, BATCH)]
            python(["-m", "tests.fuzz.ahead", *pairs], given, log)
    return given


def python(words: list[str], given: Mapping[str, str], log: IO[str] | int = subprocess.DEVNULL) -> None:
    """Run Python on the host. What it could not make, the guest will: its exit status says nothing, and its words are kept."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PUREBPF_STREAM")}
    command = [sys.executable, *words]
    with (
        child(command, cwd=boot.ROOT, env=variables | given, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
        suppress(subprocess.TimeoutExpired),
    ):
        process.wait(PATIENCE)
