"""Small programs that say what they must give: a table for a test file, and how one row is checked on an engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf.compiler.ir.check import check_module
from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.interp import Interpreter
from purebpf.compiler.ir.ops import Module
from purebpf.compiler.options import Options
from tests.compiler.as_python import both

FRAME = bytes(64)
Function = Callable[..., object]
TIMED = frozenset({"token_bucket"})  # what they leave in maps depends on the time
ENGINES = ("vm", pytest.param("kernel", marks=pytest.mark.kernel))


class Table:
    """`@table(7)` adds a function as an XDP program that must give 7, for the packet that follows or 64 zeros."""

    def __init__(self) -> None:
        self.rows: list[tuple[Function, int, bytes]] = []

    def __call__(self, expected: int, packet: bytes = FRAME) -> Callable[[Function], Function]:
        def add(function: Function) -> Function:
            self.rows.append((function, expected, packet))
            return function

        return add

    def parametrize(self) -> Callable[[Function], Function]:
        """A test over all rows (`function`, `expected`, `packet`) both engines, and "python" (`engine`)."""
        rows = pytest.mark.parametrize("function, expected, packet", self.rows, ids=[row[0].__name__ for row in self.rows])
        engines = pytest.mark.parametrize("engine", (*ENGINES, "python"))
        return lambda test: engines(rows(test))


def check(function: Function, expected: int, packet: bytes, engine: str, options: Options | None = None) -> None:
    program = bpf.xdp(function)
    program.options = options or program.options
    if engine == "python":
        bytecode, python = both(program, packet)
        if function.__name__ in TIMED:
            python, bytecode = python[:3], bytecode[:3]
        assert python == bytecode
        assert python[0] == expected & 0xFFFFFFFF
        return
    with program.load(engine):
        assert program.run(packet=packet).value == expected & 0xFFFFFFFF


def check_ir(function: Function, expected: int, packet: bytes, options: Options | None = None) -> None:
    """The same in the IR interpreter, after the IR has been checked."""
    program = bpf.xdp(function)
    program.options = options or program.options
    made = program.compiled()
    module = Module(made.functions)
    check_module(module)
    env = Environment(made.maps.values(), context=bytes(24), pointers={0: "packet", 4: "packet_end"}, packet=packet)
    result = Interpreter(module, env).run()
    assert result is not None and result & 0xFFFFFFFF == expected & 0xFFFFFFFF
