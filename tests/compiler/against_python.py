"""Plain functions of one integer, called by a program and by Python: the results must be equal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import s64

SIZES = (14, 15, 16, 17, 20, 31, 33, 60, 64, 100, 127, 128, 255, 256, 300, 1000)
ENGINES = ("vm", pytest.param("kernel", marks=pytest.mark.kernel))
Function = Callable[[int], int]

out = bpf.Array[s64](max_entries=1)


class Functions(list[Function]):
    """`@case` adds a function; `@case.parametrize()` makes a test over all of them (`function`) and both engines (`engine`)."""

    def __call__(self, function: Function) -> Function:
        self.append(function)
        return function

    def parametrize(self) -> Callable[[Callable[..., None]], Callable[..., None]]:
        functions = pytest.mark.parametrize("function", self, ids=[function.__name__ for function in self])
        engines = pytest.mark.parametrize("engine", ENGINES)
        return lambda test: engines(functions(test))


def results(engine: str, function: Function) -> list[int]:
    """What a program gives that calls the function with the packet's size, for each of `SIZES`."""

    @bpf.xdp
    def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
        out[0] = function(len(ctx.packet))
        return 0

    with program.load(engine):
        got = []
        for size in SIZES:
            program.run(packet=bytes(size))
            got.append(out[0])
    return got


def check(engine: str, function: Function) -> None:
    """The same from Python, and from the engine."""
    assert results(engine, function) == [int(function(size)) for size in SIZES]
