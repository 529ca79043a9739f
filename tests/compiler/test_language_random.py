"""A slice of random control flow: functions do in the virtual machine and in the kernel what Python says."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compiler.against_python import ENGINES, check
from tests.fuzz.control import Control

BATCH = 10


def function_of(seed: int, folder: Path) -> Callable[[int], int]:
    path = folder / f"random_{seed}.py"
    path.write_text(Control(seed).source())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.function  # type: ignore[no-any-return]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("first", range(0, 40, BATCH))
def test_random_functions_give_what_python_gives(engine: str, first: int, tmp_path: Path) -> None:
    for seed in range(first, first + BATCH):
        check(engine, function_of(seed, tmp_path))


def test_the_functions_are_the_same_every_time() -> None:
    assert Control(7).source() == Control(7).source() != Control(8).source()
