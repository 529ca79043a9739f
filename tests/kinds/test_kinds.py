"""docs/kinds.md: it is what was recorded, it has every kind, and its tests are there; how kinds are recorded."""

from __future__ import annotations

import ast
import subprocess
import sys
from enum import IntEnum
from functools import cache
from pathlib import Path

import pytest

from tests.kinds import page
from tests.kinds.measured import Measured, best, plain
from tests.kinds.reasons import REASONS

MADE = "made anew by `python -m tests.kinds`"


def test_the_page_is_what_was_recorded() -> None:
    assert page.PAGE.read_text() == page.page(), f"docs/kinds.md is {MADE}"


@pytest.mark.parametrize("enum", [enum for _, enum, _, _ in page.TABLES])
def test_every_kind_has_a_row(enum: type[IntEnum]) -> None:
    text = page.PAGE.read_text()
    assert [member.name for member in page.members(enum) if f"\n| `{member.name}` |" not in text] == []


def test_every_test_that_is_named_is_there() -> None:
    named = {test for run in page.kernels().values() for tests in run.kinds.values() for test in tests}
    assert named
    assert sorted(test for test in named if not there(test)) == [], MADE


@cache
def functions(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def there(test: str) -> bool:
    file, *_, name = test.split("::")
    path = page.ROOT / file
    return path.exists() and name in functions(path)


def test_reasons_are_of_kinds_that_no_test_passed_for() -> None:
    assert sorted(set(REASONS) - set(page.lacking(page.kernels()))) == [], "these have a test now"


def test_every_kind_without_a_test_has_its_reason() -> None:
    assert sorted(set(page.lacking(page.kernels())) - set(REASONS)) == []


TESTS = """
import pytest
from purebpf.errors import Error
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.isa.asm import Exit, Mov
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine

def test_map():
    VmEngine().create_map(MapSpec("m", MapType.HASH, 4, 4, 1)).close()

def test_program():
    spec = ProgramSpec("p", ProgramType.XDP, (Mov.imm(0, 2), Exit()))
    with VmEngine().load_program(spec, {}) as program:
        assert program.run(data=bytes(64)).value == 2

def test_refused():
    with pytest.raises(Error):
        VmEngine().create_map(MapSpec("m", MapType.ARENA, 0, 0, 1))

def test_fails():
    VmEngine().create_map(MapSpec("m", MapType.QUEUE, 0, 4, 1)).close()
    assert False
"""


def test_what_tests_use_that_pass_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    into = tmp_path / "some" / "kinds.json"
    words = ["-m", "pytest", "-p", "tests.kinds.record", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, *words, f"--kinds={into}", str(tmp_path / "test_it.py")], cwd=page.ROOT, capture_output=True
    )
    assert done.returncode == 1, done.stdout
    assert Measured.read(into).kinds == {
        "map HASH vm": ["test_it.py::test_map"],
        "program XDP vm": ["test_it.py::test_program"],
    }


def test_what_ran_again_is_forgotten_first() -> None:
    measured = Measured("6.1", {"map HASH kernel": ["a.py::t", "b.py::t"], "map QUEUE kernel": ["a.py::t"]})
    measured.add(["a.py::t[1]", "a.py::t[2]", "c.py::t"], {"a.py::t[2]": ["map ARRAY kernel"], "c.py::t": ["map HASH kernel"]})
    assert measured.kinds == {"map HASH kernel": ["b.py::t", "c.py::t"], "map ARRAY kernel": ["a.py::t"]}


def test_tests_of_the_kernels_side_are_named_first() -> None:
    tests = ["tests/vm/a.py::t", "tests/kernel/b.py::t", "tests/kernel/a.py::t", "tests/kernel/a.py::t"]
    assert best(tests) == ["tests/kernel/a.py::t", "tests/kernel/b.py::t"]
    assert plain("a.py::t[x::y[z]]") == "a.py::t"
