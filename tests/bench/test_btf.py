"""What the benchmark of the kernel's types measures: that it works, and what does not depend on how busy the machine is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.btf.__main__ import FIGURES, LOOKUP, ROUND_TRIP, Figure, sample
from purebpf.btf.running import VMLINUX

pytestmark = pytest.mark.skipif(not VMLINUX.exists(), reason=f"there is no {VMLINUX}")
QUICK = [figure for figure in FIGURES if figure.code is not ROUND_TRIP]


@pytest.mark.parametrize("figure", QUICK, ids=[f"{figure.name}" for figure in QUICK])
def test_figures_can_be_measured(figure: Figure, tmp_path: Path) -> None:
    nothing, found = sample("", str(tmp_path)), sample(figure.code, str(tmp_path))
    assert found["cpu"] > 0 and found["wall"] > 0
    if figure.memory is not None:
        assert found["memory"] - nothing["memory"] < figure.memory


def test_the_index_of_an_earlier_process_is_quicker(tmp_path: Path) -> None:
    code = next(figure.code for figure in FIGURES if LOOKUP in figure.code)
    first = sample(code, str(tmp_path))
    assert min(sample(code, str(tmp_path))["cpu"] for _ in range(3)) < first["cpu"]
