"""A fixed slice of the fuzzer: programs give the same in CPython, the IR interpreter, the virtual machine and the kernel."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from purebpf.engine import Engine
from purebpf.lang import sums
from purebpf.vm.engine import VmEngine
from tests.fuzz import pool, spoil
from tests.fuzz.generate import Generator
from tests.fuzz.guards import examine_unguarded
from tests.fuzz.model import Model, Overflow
from tests.fuzz.oracles import Failure, examine
from tests.fuzz.pool import BUDGET, reports

SMALL = 0.3
BATCH = 15


def failures(first: int, engines: list[Engine], scale: float = SMALL) -> list[Failure]:
    found = (examine(Generator(seed, scale).source(), seed, engines) for seed in range(first, first + BATCH))
    return [failure for failure in found if failure is not None]


@pytest.mark.parametrize("first", range(0, 45, BATCH))
def test_interpreter_and_virtual_machine_compute_what_python_does(first: int) -> None:
    found = failures(first, [VmEngine()])
    assert not found, str(found[0])


@pytest.mark.parametrize("first", range(1000, 1045, BATCH))
def test_the_kernel_accepts_every_program_and_computes_what_python_does(first: int, kernel: Engine) -> None:
    found = failures(first, [kernel])
    assert not found, str(found[0])


def test_every_oracle_and_every_mutator_is_content_with_a_slice() -> None:
    """What `make fuzz` does, mistakes put in and checks taken out included."""
    counts, failures = Counter[str](), []
    for report in reports(first=0, count=BATCH, seconds=float("inf"), jobs=1):
        counts += report.counts
        failures += [failure for failure in report.failures if failure.kind != "large"]
    assert not failures, str(failures[0])
    assert counts["spoiled"] > 3
    assert sum(n for what, n in counts.items() if what.startswith("unguarded")) > 1


@pytest.mark.kernel
def test_the_kernel_refuses_programs_without_their_checks(kernel: Engine) -> None:
    found = [examine_unguarded(Generator(seed, 0.05).source(), seed, VmEngine(budget=BUDGET), kernel) for seed in range(BATCH)]
    verdicts = [removal.verdict for removal in found]
    assert set(verdicts) <= {"refused", "harmless", "none"}, str(next(r.failure for r in found if r.failure))
    assert verdicts.count("refused") > BATCH // 2


SPOILED = """
import purebpf as bpf
@bpf.xdp
def program(ctx):
    {body}
"""


def test_a_traceback_of_the_compiler_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spoil, "compile_program", lambda *a, **k: 1 // 0)
    failure = spoil.examine_spoiled(SPOILED.format(body="return 1"), 0, [VmEngine()], "none")
    assert failure is not None and failure.kind == "traceback"


def test_a_mistake_with_a_diagnostic_is_as_it_should_be() -> None:
    assert spoil.examine_spoiled(SPOILED.format(body="return nothing"), 0, [VmEngine()], "a name") is None


def test_the_generator_is_deterministic() -> None:
    assert Generator(7).source() == Generator(7).source() != Generator(8).source()


def test_a_wrong_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle can fail: with another meaning of `-`, the first programs differ."""
    from purebpf.compiler.frontend import arithmetic

    monkeypatch.setitem(arithmetic.KINDS, "-", "add")
    assert any(failure.kind == "wrong" for failure in failures(0, [VmEngine()]))


SIMPLE = """
import purebpf as bpf
from purebpf import u8
@bpf.struct
class In:
    f0_u8: u8 = 0
@bpf.xdp
def program(ctx):
    head = ctx.packet.at(0, In)
    if head is None:
        return 9
    {body}
"""


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("x: u8 = head.f0_u8 + 250; return x", 4),
        ("return -7 // 2 % 256", 252),
        ("return head.f0_u8 // (head.f0_u8 - 10) + 7 % (head.f0_u8 - 10)", 7),
        ("return 1 << (head.f0_u8 + 57)", 1 << 3),
        ("head.f0_u8 -= 11; return head.f0_u8", 255),
        ("for i in range(3):\n        pass\n    return i", 2),
        ("return bpf.jhash((1, 2, 3), 7)", sums.jhash((1, 2, 3), 7)),
        ("return bpf.jhash(head)", sums.jhash(b"\x0a")),
        ("return bpf.checksum(head)", 0xF5FF),
        ("return bpf.checksum_update(0xF5FF, 0x0A00, 0x0B00)", 0xF4FF),
        ("m = bpf.array(u8, 3); m[1] = 5; return sum(m) + any(x == 5 for x in m)", 6),
    ],
)
def test_the_model_has_the_languages_meaning(body: str, result: int) -> None:
    assert Model(SIMPLE.format(body=body)).run(bytes([10, *bytes(63)]))[0] == result


def test_the_model_refuses_what_it_cannot_say() -> None:
    with pytest.raises(Overflow):
        Model(SIMPLE.format(body="return (head.f0_u8 << 61) * 8 > 1")).run(bytes([10, *bytes(63)]))


def test_a_process_that_is_killed_costs_its_seed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def report(seed: int, engines: tuple[Engine, ...]) -> pool.Report:
        if seed == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return pool.Report(seed)

    monkeypatch.setattr(pool, "seed_report", report)
    found = {report.seed: report.failures for report in pool.reports(first=0, count=2 * pool.BATCH, seconds=60, jobs=2)}
    assert sorted(found) == list(range(2 * pool.BATCH))
    assert [seed for seed, failures in found.items() if failures] == [5]
    assert "ended with status -9" in found[5][0].detail
