"""The programs of the size comparison, on their own inputs: as Python they do what their bytecode does, run by run."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from bench.size.equality import clock, contents
from bench.size.inputs import inputs
from bench.size.pairs import Pair, hook, pairs, program_of
from purebpf.collection import Collection
from purebpf.engine import RunResult
from purebpf.lang.maps import PerfEventArray
from purebpf.program import Program
from purebpf.runner.session import runner_of
from purebpf.vm.engine import VmEngine, VmProgram

SEED, COUNT = 1, 60
Seen = tuple[int, bytes, bytes, tuple[str, ...], object, dict[str, Any]]


def outcomes(program: Program, as_python: bool) -> list[Seen]:
    """What each run leaves, on fresh maps and with the same time and chance."""
    found: list[Seen] = []
    with clock(), Collection([program], VmEngine(seed=5)).load() as collection:
        fill = hook(program, "fill")
        if fill:
            fill(Random(SEED))
        readers = [each for each in collection.declarations if isinstance(each, PerfEventArray)]
        loaded = collection.of(program)
        assert isinstance(loaded, VmProgram)
        for packet, context in inputs(program, SEED, COUNT):
            result: RunResult
            if as_python:
                result = runner_of(collection, program).run(packet, context)
            else:
                result = loaded.run(data=packet, context=context)
            maps = contents(collection.maps)
            for n, reader in enumerate(readers):
                maps[f"events {n}"] = [event.data for event in reader.read_events(0)]
            found.append((result.value, result.data, result.context, result.printed, loaded.redirect, maps))
    return found


@pytest.mark.parametrize("pair", pairs(), ids=[pair.name for pair in pairs()])
def test_a_program_does_the_same_as_python(pair: Pair) -> None:
    program = program_of(pair, 3)
    bytecode, python = outcomes(program, False), outcomes(program, True)
    assert len(python) == len(bytecode) > 1
    for n, (mine, theirs) in enumerate(zip(python, bytecode, strict=True)):
        assert mine == theirs, f"run {n}"
