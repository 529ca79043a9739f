"""Objects of the corpus for tests that load them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf.spec import CollectionSpec
from tests.elf import corpus


def path(name: str, level: int = 3, target: str = "bpf", debug: bool = True) -> Path:
    """The object of a source in tests/elf/c."""
    try:
        corpus.tool()
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    return corpus.built(corpus.Build(corpus.SOURCES / f"{name}.c", level, debug, target))


@cache
def spec(name: str, level: int = 3, target: str = "bpf", debug: bool = True) -> CollectionSpec:
    return bpf.load_object(path(name, level, target, debug))
