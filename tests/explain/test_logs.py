"""Real logs of five kernels, and of the running one: each rejection is known, has its place, and reads as it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from purebpf.explain import Explanation, explain
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.rejection import shown
from tests.explain.live import log_of, spec_of
from tests.explain.programs import PROGRAMS, Rejected

LOGS = Path(__file__).parent / "logs"
BY_NAME = {program.name: program for program in PROGRAMS}
STORED = sorted(LOGS.glob("*/*.log"))
TELLS_LENGTH = (6, 4)  # of a log, of which it keeps the end when it is too long
WITHOUT_PLACE = ("combined_stack", "falls_off", "tail_call_in_function")


def checked(program: Rejected, explanation: Explanation | None) -> Explanation:
    assert explanation is not None
    assert explanation.rule == program.rule
    assert explanation.message and explanation.said
    assert (explanation.spot.slot is None) == (program.rule in WITHOUT_PLACE)
    text = shown(explanation.message, explanation)
    assert "{" not in text.replace("struct key k = {}", "")
    return explanation


@pytest.mark.parametrize("path", STORED, ids=[f"{path.parent.name}-{path.stem}" for path in STORED])
def test_stored_log(path: Path) -> None:
    checked(BY_NAME[path.stem], explain(path.read_text()))


def test_logs_of_five_kernels_are_stored() -> None:
    assert {path.parent.name for path in STORED} >= {"5.10", "6.1", "6.12", "6.18", "7.3"}
    assert {path.stem for path in STORED} == set(BY_NAME)


def test_many_kinds_are_told_apart() -> None:
    assert len({program.rule for program in PROGRAMS}) > 40


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_log_of_the_running_kernel(program: Rejected, kernel: KernelEngine) -> None:
    if not program.since <= kernel_version() < program.until:
        pytest.skip("this kernel accepts it or says it otherwise")
    explanation = explain(log_of(program, kernel), spec_of(program))
    if program.rule == "too_many_instructions" and kernel_version() < TELLS_LENGTH:
        assert explanation is not None and explanation.rule == program.rule  # without the place: the log is too long for it
        return
    explanation = checked(program, explanation)
    if explanation.spot.slot is not None:
        assert explanation.spot.instruction and explanation.spot.source
