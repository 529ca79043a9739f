"""A fixed slice of the fuzzer: random programs give in the virtual machine and in the kernel what they give in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from purebpf.vm.engine import VmEngine
from tests.fuzz.generate import Generator
from tests.fuzz.oracles import Tally, run_sample

PROGRAMS = 100


def slice_of(first: int, engine: object, folder: Path) -> Tally:
    tally = Tally()
    for seed in range(first, first + PROGRAMS):
        run_sample(Generator(seed).sample(), seed, [engine], folder, tally)  # type: ignore[list-item]
    return tally


def test_the_virtual_machine_computes_what_python_does(tmp_path: Path) -> None:
    tally = slice_of(0, VmEngine(), tmp_path)
    assert not tally.failures, tally.failures[0]
    assert tally.refused < PROGRAMS // 4


@pytest.mark.kernel
def test_the_kernel_accepts_and_computes_what_python_does(kernel: object, tmp_path: Path) -> None:
    tally = slice_of(1000, kernel, tmp_path)
    assert not tally.failures, tally.failures[0]
