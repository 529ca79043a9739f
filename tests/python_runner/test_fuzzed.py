"""A slice of the fuzzer: run as Python, its programs do what the model of the language says."""

from __future__ import annotations

import ast
import random

import pytest

from purebpf.errors import CompileError
from purebpf.program import Program
from tests.compiler.as_python import both
from tests.fuzz.generate import Generator
from tests.fuzz.machines import Outcome, compare, load_module, run_python
from tests.fuzz.model import Model
from tests.fuzz.oracles import packets

BATCH = 15


def difference(seed: int, scale: float) -> str:
    source = Generator(seed, scale).source()
    model = Model(source)
    inputs = packets(seed, max(64, model.names["In"].size + random.Random(seed).choice((0, 1, 64))))
    expected: Outcome = [model.run(packet) for packet in inputs], model.contents()
    found = compare(run_python(load_module(source).program, inputs), expected)
    return f"seed {seed}: {found}\n{source}" if found else ""


@pytest.mark.parametrize("first", range(2000, 2090, BATCH))
def test_fuzzed_programs_do_the_same_as_python(first: int) -> None:
    for seed in range(first, first + BATCH):
        assert not (told := difference(seed, 0.3)), told


class WithoutCasts(ast.NodeTransformer):
    """Leaves out some of the casts to 64 bits around sums and products, so that results wrap by the types alone."""

    def __init__(self, rng: random.Random, share: float) -> None:
        self.rng, self.share = rng, share

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        cast = isinstance(node.func, ast.Name) and node.func.id in ("u64", "s64") and len(node.args) == 1
        if cast and isinstance(node.args[0], ast.BinOp | ast.UnaryOp) and self.rng.random() < self.share:
            return node.args[0]
        return node


def wrapping_program(seed: int) -> tuple[Program, int]:
    """A fuzzed program with as few casts as the compiler takes; how many results in it may leave 64 bits."""
    source = Generator(seed, 0.4).source()
    for share in (1.0, 0.5, 0.25, 0.0):
        tree = WithoutCasts(random.Random(seed), share).visit(ast.parse(source))
        program: Program = load_module(ast.unparse(tree)).program
        try:
            return program, len(program.compiled().meaning.wrapping())
        except CompileError:
            continue
    raise AssertionError(f"seed {seed}: the fuzzer's own program does not compile")


def test_results_that_leave_64_bits_wrap_as_in_bytecode() -> None:
    wrapping = 0
    for seed in range(3000, 3040):
        program, found = wrapping_program(seed)
        wrapping += found
        for packet in packets(seed, 512):
            bytecode, python = both(program, packet)
            assert python == bytecode, f"seed {seed}, packet {packet.hex()}"
    assert wrapping > 50
