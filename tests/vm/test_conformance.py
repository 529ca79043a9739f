"""The public conformance suite, run as its own runner does: bytes in hexadecimal, memory, and r0."""

from __future__ import annotations

import subprocess
import sys

import pytest

from purebpf.errors import VmError
from purebpf.isa.codec import encode
from purebpf.vm.exec import run_hex
from tests.conformance.dialect import Case, cases_folder, load_cases, require_cases

CASES = load_cases(cases_folder())


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case_gives_its_result(case: Case) -> None:
    program = encode(case.instructions).hex()
    if case.error is not None:
        with pytest.raises(VmError):
            run_hex(program, case.memory)
    else:
        assert run_hex(program, case.memory) == case.result


def test_all_cases_of_the_suite_are_there() -> None:
    assert len(require_cases()) == 313


@pytest.mark.parametrize("name", ["mem-len", "mul64-reg", "callx"])
def test_command_prints_r0_in_hexadecimal(name: str) -> None:
    case = next(case for case in require_cases() if case.name == name)
    arguments = [case.memory.hex()] if case.memory else []
    ran = subprocess.run(
        [sys.executable, "-m", "purebpf.vm.exec", *arguments],
        input=encode(case.instructions).hex(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout, 16) == case.result


def test_command_says_what_is_wrong_and_fails() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "purebpf.vm.exec"], input="79 01 00 00 00 00 00 00", capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr == ("Program 'program' can run past its end: the last instruction must be an exit or a jump.\n")
