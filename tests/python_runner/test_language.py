"""The tests of the language once more, with the function itself in the place of its bytecode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "tests" / "compiler").glob("test_language*.py"))
OTHER: tuple[str, ...] = ()


@pytest.mark.parametrize("module", MODULES, ids=[path.stem for path in MODULES])
def test_functions_do_what_their_bytecode_does(module: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.python_runner.instead", "-m", "not kernel", str(module)]
    skipped = [part for name in OTHER for part in ("--deselect", name)]
    done = subprocess.run([*command, *skipped], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
