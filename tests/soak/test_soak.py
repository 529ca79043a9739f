"""A slice of the soak: 200 cycles, two seconds of events, one process killed. The whole of it: `make soak`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.__main__ import CANNOT_RUN

ROOT = Path(__file__).parents[2]


@pytest.mark.kernel
def test_nothing_stays_of_200_cycles_of_events_and_of_a_killed_process() -> None:
    words = ["-W", "error::ResourceWarning", "-m", "tests.soak", "--cycles", "200", "--seconds", "2", "--kills", "1"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=500)
    if done.returncode == CANNOT_RUN:
        pytest.skip(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all as at the start"
