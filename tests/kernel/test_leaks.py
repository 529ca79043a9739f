"""The leak check itself: it must fail a test that leaves a descriptor open."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.kernel.leaks import leaked, open_descriptors

ROOT = Path(__file__).resolve().parents[2]
LEAKY = """
import os, pytest

@pytest.mark.kernel
def test_leaky():
    os.open("/dev/null", os.O_RDONLY)

@pytest.mark.kernel
def test_tidy():
    os.close(os.open("/dev/null", os.O_RDONLY))
"""


def test_open_descriptor_is_found_by_number_and_kind() -> None:
    before = open_descriptors()
    number = os.open("/dev/null", os.O_RDONLY)
    try:
        assert leaked(before) == [f"{number} (/dev/null)"]
    finally:
        os.close(number)
    assert leaked(before) == []


def test_leaky_test_fails_and_a_tidy_one_passes(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(LEAKY)
    command = [sys.executable, "-m", "pytest", "-p", "tests.kernel.leaks", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"2 passed\b.*\b1 error\b", done.stdout), done.stdout
    assert "test_leaky left descriptors open: " in done.stdout
    assert "(/dev/null)" in done.stdout
