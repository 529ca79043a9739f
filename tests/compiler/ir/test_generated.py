"""Properties that hold for any IR, on generated functions."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from purebpf.compiler.ir.check import check_module
from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.interp import Interpreter
from purebpf.compiler.ir.ops import OPS, Module
from purebpf.compiler.ir.parse import parse_module
from purebpf.compiler.ir.text import format_module
from tests.compiler.ir.generate import random_arguments, random_module

seeds = st.integers(0, 1 << 32)


def result(module: Module, seed: int) -> int | None:
    return Interpreter(module, Environment()).run(random_arguments(seed, module.functions[0]))


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_generated_functions_obey_the_rules_and_end(seed: int) -> None:
    module = random_module(seed)
    check_module(module)
    assert isinstance(result(module, seed), int)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_text_keeps_what_a_function_does(seed: int) -> None:
    module = random_module(seed)
    printed = format_module(module)
    again = parse_module(printed)
    check_module(again)
    assert format_module(again) == printed
    assert result(again, seed) == result(module, seed)
    bare = format_module(module, locations=False)
    assert format_module(parse_module(bare), locations=False) == bare


def test_generation_is_repeatable_and_reaches_all_integer_ops() -> None:
    assert format_module(random_module(7)) == format_module(random_module(7)) != format_module(random_module(8))
    kinds = {op.kind for seed in range(100) for fn in random_module(seed).functions for op in fn.ops()}
    assert set(OPS) - kinds == {
        "param", "func", "kfunc", "kfunc_there", "map", "map_value", "may_goto", "unreachable", "core", "core_add", "core_load",
        "core_store",
    }  # fmt: skip
