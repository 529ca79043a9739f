"""Every pass keeps random IR well typed and its meaning the same, as the IR's interpreter tells."""

from __future__ import annotations

import pytest

from purebpf.compiler.ir.check import check_module
from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.interp import Interpreter
from purebpf.compiler.ir.ops import Module
from purebpf.compiler.pipeline import PASSES
from purebpf.compiler.target.legalize import legalize
from tests.compiler.ir.generate import random_arguments, random_module


def results(module: Module, seed: int) -> list[int | None]:
    """What the main function gives for a few arguments."""
    main = module.functions[0]
    return [Interpreter(module, Environment()).run(random_arguments(seed * 10 + i, main)) for i in range(3)]


@pytest.mark.parametrize("block_of_seeds", range(10))
def test_passes_keep_the_meaning(block_of_seeds: int) -> None:
    for seed in range(block_of_seeds * 20, block_of_seeds * 20 + 20):
        module = random_module(seed)
        wanted = results(module, seed)
        for name, apply in PASSES:
            for fn in module.functions:
                apply(fn)
            check_module(module)
            assert results(module, seed) == wanted, f"seed {seed}, after {name}"


@pytest.mark.parametrize("cpu", [3, 4])
@pytest.mark.parametrize("seed", range(40))
def test_legal_ir_has_the_same_meaning(seed: int, cpu: int) -> None:
    module = random_module(seed)
    wanted = results(module, seed)
    for fn in module.functions:
        legalize(fn, cpu)
    check_module(module)
    assert results(module, seed) == wanted
