"""What importing the tables costs, counted in modules rather than in time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import purebpf

# The package's own __init__ is left out: a bare module stands in for it, so that only what the table needs is counted.
PROBE = """
import json, sys, types
package = types.ModuleType("purebpf")
package.__path__ = [{path!r}]
sys.modules["purebpf"] = package
import __future__, collections.abc, dataclasses, enum, functools
before = set(sys.modules)
import {module}
{action}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(module: str, action: str = "") -> set[str]:
    path = str(Path(purebpf.__file__).parent)
    code = PROBE.format(path=path, module=module, action=action)
    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout))


TABLES = "purebpf.tables"


@pytest.mark.parametrize(
    ("module", "modules"),
    [
        ("enums", {"enums"}),
        ("helpers", {"helpers", "helper_rows", "enums"}),
        ("contexts", {"contexts", "context_rows", "enums"}),
        ("constants", {"constants"}),
        ("sections", {"sections", "enums"}),
        ("since", {"since"}),
    ],
)
def test_a_table_imports_its_rows_and_nothing_else(module: str, modules: set[str]) -> None:
    own = loaded(f"{TABLES}.{module}") - {"purebpf.data"}  # which makes classes of data quickly
    assert own == {TABLES, *(f"{TABLES}.{name}" for name in modules)}


def test_constants_are_read_when_first_asked_for() -> None:
    asked = loaded(f"{TABLES}.constants", f"assert {TABLES}.constants.constant('XDP_PASS') == 2")
    assert asked == {TABLES, f"{TABLES}.constants", f"{TABLES}.constant_rows"}


def test_the_generator_is_never_imported_by_a_table() -> None:
    for module in ("enums", "helpers", "contexts", "constants", "sections", "since"):
        assert not any("generate" in name for name in loaded(f"{TABLES}.{module}"))


def test_modules_for_programs_are_there_without_an_import() -> None:
    code = "import purebpf as bpf; print(bpf.net.ETH_P_IP, bpf.vmlinux.task_struct.__name__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.split() == ["2048", "task_struct"]
