"""A pytest plugin for guests: programs that the host compiled are looked up quickly, and counted."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable

import pytest

import purebpf.program
from purebpf.compiler.loadable import Loadable
from purebpf.engine import Engine
from purebpf.kept import files
from purebpf.program import Program
from tests.kernels.results import Count
from tests.kernels.stream import Stream

Finder = Callable[[Program, Engine], Loadable | None]
COUNTED: Counter[str] = Counter()


def pytest_configure() -> None:
    if "PUREBPF_AHEAD" not in os.environ:
        return
    files.stamp = functools.cache(files.stamp)  # a guest's files stay as they are
    files.read = functools.cache(files.read)
    purebpf.program.find = counting(purebpf.program.find)


def counting(find: Finder) -> Finder:
    def found(program: Program, engine: Engine) -> Loadable | None:
        made = find(program, engine)
        if engine.name == "kernel":
            COUNTED["programs, compiled ahead" if made else "programs, compiled in the guest"] += 1
        return made

    return found


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    stream = session.config.pluginmanager.get_plugin("stream")
    if isinstance(stream, Stream):
        for what, number in COUNTED.items():
            stream.write(Count(event="count", what=what, number=number))
