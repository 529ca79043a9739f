"""The tests of the language once more, with the function itself in the place of its bytecode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [*sorted((ROOT / "tests" / "compiler").glob("test_language*.py")), ROOT / "tests" / "examples" / "test_examples.py"]
PROBE = """
import sys
import purebpf as bpf

@bpf.xdp
def probed(ctx):
    return 1

def test_the_function_itself_runs():
    names = []
    sys.settrace(lambda frame, event, argument: names.append(frame.f_code.co_name))
    assert probed.run(packet=bytes(64), engine="vm").value == 1
    sys.settrace(None)
    assert "probed" in names
"""


def pytest_with_python(module: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.python_runner.instead", "-m", "not kernel", str(module)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("module", MODULES, ids=[path.stem for path in MODULES])
def test_functions_do_what_their_bytecode_does(module: Path) -> None:
    done = pytest_with_python(module)
    only_kernel = "kernel" in module.read_text() and done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert done.returncode == 0 or only_kernel, done.stdout[-4000:]


def test_the_plugin_puts_functions_in_the_place_of_bytecode(tmp_path: Path) -> None:
    probe = tmp_path / "test_probe.py"
    probe.write_text(PROBE)
    done = pytest_with_python(probe)
    assert done.returncode == 0, done.stdout[-4000:]
