"""What the benchmark of object files measures: that its sources compile to what it says, and that both sides load it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import purebpf as bpf
from bench.objects.__main__ import FIGURES, PROBES, PROGRAMS, answer, measured, objects, peer
from bench.size import clang

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not clang.available(), reason=f"{clang.CLANG} is not installed"),
    pytest.mark.skipif(
        not shutil.which("gcc") or not Path("/usr/include/bpf/libbpf.h").exists(),
        reason="gcc or libbpf's headers are not installed (Debian: gcc, libbpf-dev)",
    ),
]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return objects(tmp_path_factory.mktemp("objects"))


def test_many_programs_are_in_one_object(compiled: dict[str, Path]) -> None:
    spec = bpf.load_object(compiled["many"])
    assert len(spec.programs) == PROGRAMS
    assert all([each.name for each in program.functions][1:] == ["count"] for program in spec.programs.values())


def test_every_probe_asks_for_fields(compiled: dict[str, Path]) -> None:
    spec = bpf.load_object(compiled["probes"])
    assert len(spec.programs) == PROBES
    assert all(len(program.relocations) >= 8 for program in spec.programs.values())
    assert {program.type.name for program in spec.programs.values()} == {"RAW_TRACEPOINT", "TRACING"}


def test_both_sides_are_measured(compiled: dict[str, Path], tmp_path: Path) -> None:
    program = peer(tmp_path)
    assert answer([str(program), "open", str(compiled["many"])])["work"]["cpu"] > 0
    found = measured(FIGURES[1], program, compiled["probes"], 1)
    assert all(found[side]["cpu"] > 0 for side in ("ours", "theirs", "imports"))
