"""Damaged object files: a slice of what `python -m tests.elf.fuzz` does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.elf import corpus, fuzz
from tests.elf.damage import damaged

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def objects() -> tuple[bytes, ...]:
    """What is damaged."""
    try:
        return fuzz.bases()
    except corpus.Missing as missing:
        pytest.skip(str(missing))


def test_damaged_ones_are_errors_or_collections() -> None:
    command = [sys.executable, "-m", "tests.elf.fuzz", "--count", "800", "--jobs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-3000:]
    counts = {what: int(number) for number, what in re.findall(r"(\d+) (refused|read|problems)", done.stdout)}
    assert counts["refused"] > 200 and counts["read"] > 100 and not counts["problems"]


def test_damaged_ones_are_linked_or_errors() -> None:
    command = [sys.executable, "-m", "tests.elf.fuzz", "--link", "--count", "400", "--jobs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-3000:]
    counts = {what: int(number) for number, what in re.findall(r"(\d+) (refused|linked|problems)", done.stdout)}
    assert counts["refused"] > 100 and counts["linked"] > 50 and not counts["problems"]


def test_damage_is_of_its_seed(objects: tuple[bytes, ...]) -> None:
    assert damaged(objects[0], 7) == damaged(objects[0], 7) != objects[0]
    assert len({fuzz.of_seed(seed) for seed in range(100)}) == 100


def test_every_sound_object_can_be_used(objects: tuple[bytes, ...]) -> None:
    outcomes = [fuzz.use(raw) for raw in objects]
    assert outcomes.count("refused") <= 6 and outcomes.count("read") > 60
