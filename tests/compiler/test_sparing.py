"""Programs that the verifier finds too complex are compiled again, with less for it to follow: they mean the same."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping

import pytest

import purebpf as bpf
from purebpf import u8, u32
from purebpf.collection import Collection
from purebpf.data import replace
from purebpf.engine import Engine, EngineMap
from purebpf.errors import VerifierError
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import ProgramSpec
from purebpf.vm.engine import VmEngine, VmProgram
from tests.compiler.test_differential import BATCH, SMALL
from tests.fuzz import pool
from tests.fuzz.generate import Generator
from tests.fuzz.oracles import Failure, examine

TOO_MUCH = "BPF program is too large. Processed {} insn\n"
PACKET = struct.pack("<IIIIB", 5, 9, 70, 3, 0xFF) + bytes(60)


@bpf.struct
class Head:
    a: u32
    b: u32
    c: u32
    d: u32
    n: u8


@bpf.xdp
def busy(ctx):
    """Two loops, and seven tests of what they change: more ways through than any verifier follows."""
    head = ctx.packet.at(0, Head)
    if head is None:
        return 1
    a, b, c, d = head.a, head.b, head.c, head.d
    low: u32 = 0
    high: u32 = 0
    for i in range(head.n & 15):
        for j in range(head.n & 7):
            if a > i:
                low += 3
            if b > j:
                high += b
            if c > a:
                c -= 1
            if d > i + j:
                low += high & 7
            if a + b > c:
                a += 1
            if high > low:
                b += c
            if c > d:
                d += a
    return u32(low ^ high)


class Weary(VmEngine):
    """Finds every program too complex that is not sparing enough: with so many loads before it takes one."""

    def __init__(self, refusals: int, log: str = TOO_MUCH) -> None:
        super().__init__()
        self.refusals, self.log = refusals, log
        self.seen: list[ProgramSpec] = []

    def load_program(self, spec: ProgramSpec, maps: Mapping[str, EngineMap]) -> VmProgram:
        self.seen.append(spec)
        if len(self.seen) <= self.refusals:
            raise VerifierError(7, "refused", self.log.format(1_000_000 + len(self.seen)))
        return super().load_program(spec, maps)


def failures(first: int, engine: Engine) -> list[Failure]:
    target = replace(Collection([], engine).target, sparing=True)
    found = (examine(Generator(seed, SMALL).source(), seed, [engine], target=target) for seed in range(first, first + BATCH))
    return [failure for failure in found if failure is not None]


def test_what_is_compiled_sparingly_computes_what_python_does() -> None:
    found = failures(2000, VmEngine(budget=pool.BUDGET))
    assert not found, str(found[0])


@pytest.mark.kernel
def test_the_kernel_takes_what_is_compiled_sparingly(kernel: Engine) -> None:
    found = failures(3000, kernel)
    assert not found, str(found[0])


def test_a_program_that_is_too_complex_is_compiled_again() -> None:
    engine = Weary(refusals=1)
    with Collection([busy], engine).load():
        assert len(engine.seen) == 2
        assert len(engine.seen[0].instructions) < len(engine.seen[1].instructions)
        assert busy.run(PACKET).value == busy_in_python()


def test_the_first_refusal_is_told_when_the_second_attempt_fails_too() -> None:
    engine = Weary(refusals=2)
    with pytest.raises(VerifierError, match="after 1000001 instructions"):
        Collection([busy], engine).load()
    assert len(engine.seen) == 2


def test_other_refusals_are_told_at_once() -> None:
    engine = Weary(refusals=1, log="R1 !read_ok\n")
    with pytest.raises(VerifierError, match="R1"):
        Collection([busy], engine).load()
    assert len(engine.seen) == 1


@pytest.mark.kernel
@pytest.mark.skipif("PUREBPF_STREAM" in os.environ, reason="a million instructions twice take too long in an emulated kernel")
def test_the_kernel_takes_a_program_that_it_finds_too_complex_first(kernel: KernelEngine) -> None:
    with busy.load(engine="kernel") as collection:
        kept = len(collection.spec.programs["busy"].instructions)
        assert busy.run(PACKET).value == busy_in_python()
        target = collection.target
    assert kept > len(busy.compiled(target=target).program.instructions)


def busy_in_python() -> int:
    """What the program above gives, by unlimited integers."""
    a, b, c, d, n = struct.unpack("<IIIIB", PACKET[:17])
    low = high = 0
    for i in range(n & 15):
        for j in range(n & 7):
            low += 3 * (a > i)
            high += b * (b > j)
            c -= c > a
            low += (high & 7) * (d > i + j)
            a += a + b > c
            b += c * (high > low)
            d += a * (c > d)
            low, high = low & 0xFFFF_FFFF, high & 0xFFFF_FFFF
    return low ^ high
