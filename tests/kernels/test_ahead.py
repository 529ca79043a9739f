"""What the host compiles ahead is what a guest takes: here host and guest are one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from purebpf.compiler.options import Options
from purebpf.vm.engine import VmEngine
from tests.fuzz.ahead import case_of
from tests.fuzz.oracles import Case
from tests.kernels import boot
from tests.kernels.ahead.features import told
from tests.kernels.ahead.host import fill, python
from tests.kernels.results import FEATURES, Results, Told

NUMBERS = "tests/compiler/test_language_numbers.py"
KERNEL_TYPES = "tests/compiler/test_language_kernel.py"
OLD = {"cpu": 1, "may_goto": False, "iter_num": False, "bpf_loop": False, "dead_registers": False}


def kernel(**options: object) -> Told:
    return Told(
        event="features",
        identity=["kernel", "5.10.0", "#1", "x86_64", "0"],
        options={"kernel_pointers": False, "kernel_casts": False, "big_endian": False, "debugging": False, **OLD, **options},
        release="5.10.0",
        version="#1",
    )


@pytest.mark.kernel
def test_a_guest_takes_what_the_host_compiled(tmp_path: Path) -> None:
    given = fill(tmp_path / "ahead", told(), [NUMBERS, KERNEL_TYPES])
    stream = tmp_path / "stream"
    command = [sys.executable, *boot.pytest([NUMBERS])]
    variables = {**os.environ, **given, "PYTHONDONTWRITEBYTECODE": "1", "PUREBPF_STREAM": str(stream)}
    subprocess.run(command, cwd=boot.ROOT, env=variables, capture_output=True, check=True)
    results = Results(os.uname().release)
    for line in stream.read_text().splitlines():
        results.take(line)
    assert results.good
    assert results.counted["programs, compiled ahead"] >= results.count("passed") - 2
    assert results.counted["programs, compiled in the guest"] <= 2


def test_nothing_is_made_of_the_host_s_own_kernel(tmp_path: Path) -> None:
    fill(tmp_path, kernel(), [KERNEL_TYPES])
    assert not list(tmp_path.rglob("*.bpf"))
    assert "made of the running kernel" in (tmp_path / "log").read_text()


def test_random_programs_are_made_for_the_kernel_that_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / FEATURES).write_text(json.dumps(kernel()))
    given = {"PUREBPF_AHEAD": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        python(["-m", "tests.fuzz.ahead", "5", "3"], given, log)
    assert sorted(path.name for path in (tmp_path / "random").iterdir()) == ["5", "6", "7"]
    monkeypatch.setenv("PUREBPF_AHEAD", str(tmp_path))
    target = Options(**kernel()["options"])  # type: ignore[arg-type]
    for seed in (5, 6, 7, 8):  # the last is made now
        case = case_of(seed, target)
        assert isinstance(case, Case) and case.cpu == 1
        assert case.on(VmEngine()) is None
    with pytest.raises(AssertionError, match="were made for"):
        case_of(5, Options())
