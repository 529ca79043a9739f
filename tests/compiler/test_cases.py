"""The golden cases: what the compiler says and makes, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compiler.cases import Case, lacks, outcome, read_cases, write_cases
from tests.kernel.portable.make import OBJECT, built

CASES = read_cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.file.stem}/{case.name}" for case in CASES])
def test_case(case: Case, tmp_path: Path) -> None:
    if why := lacks(case):
        pytest.skip(why)
    assert outcome(case, tmp_path) == case.expected


def test_the_object_for_other_kernels_is_what_its_source_builds() -> None:
    """`tests/kernel/test_core_portable.py` loads it."""
    assert built() == OBJECT.read_text(), "written anew with the golden cases: python -m tests.compiler.test_cases"


def test_there_are_enough_wrong_programs() -> None:
    assert sum(case.kind == "error" for case in CASES) >= 60


def test_names_are_unique() -> None:
    names = [(case.file, case.name) for case in CASES]
    assert len(names) == len(set(names))


def update(folder: Path) -> None:
    """Write all expectations anew."""
    write_cases({case: case.expected if lacks(case) else outcome(case, folder) for case in CASES})


if __name__ == "__main__":
    import tempfile

    OBJECT.write_text(built())

    with tempfile.TemporaryDirectory() as name:
        update(Path(name))
