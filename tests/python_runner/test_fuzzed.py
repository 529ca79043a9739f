"""A slice of the fuzzer: run as Python, its programs do what the model of the language says."""

from __future__ import annotations

import random

import pytest

from purebpf.program import Program
from tests.fuzz.generate import Generator
from tests.fuzz.model import Model
from tests.fuzz.oracles import Outcome, compare, load_module, packets

BATCH = 15


def outcome(program: Program, inputs: list[bytes]) -> Outcome:
    """The same as the fuzzer takes from an engine."""
    results = [(result.value, bytes(result.data)) for result in map(program.python, inputs)]
    assert program.collection is not None
    contents: dict[str, dict[bytes, bytes]] = {}
    for name, live in program.collection.maps.items():
        entries, key = contents.setdefault(name, {}), live.next_key(None)
        while key is not None:
            entries[key] = live.lookup(key) or b""
            key = live.next_key(key)
    program.close()
    return results, contents


def difference(seed: int, scale: float) -> str:
    source = Generator(seed, scale).source()
    model = Model(source)
    inputs = packets(seed, max(64, model.names["In"].size + random.Random(seed).choice((0, 1, 64))))
    expected: Outcome = [model.run(packet) for packet in inputs], model.contents()
    found = compare(outcome(load_module(source).program, inputs), expected)
    return f"seed {seed}: {found}\n{source}" if found else ""


@pytest.mark.parametrize("first", range(2000, 2090, BATCH))
def test_fuzzed_programs_do_the_same_as_python(first: int) -> None:
    for seed in range(first, first + BATCH):
        assert not (told := difference(seed, 0.3)), told
