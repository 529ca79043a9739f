"""Running IR text in tests: a body becomes a function, is checked and run."""

from __future__ import annotations

import re

import pytest

from purebpf.compiler.ir.check import check_module
from purebpf.compiler.ir.environment import Environment
from purebpf.compiler.ir.interp import Interpreter
from purebpf.compiler.ir.memory import IrRuntimeError, Value
from purebpf.compiler.ir.parse import parse_module
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

XDP = {0: "packet", 4: "packet_end", 8: "packet_meta"}
COUNTS = MapSpec("counts", MapType.HASH, 4, 16, 4)


def text(body: str, params: str = "", result: str = " -> i64") -> str:
    lines = "\n".join(line if line.endswith(":") else f"  {line}" for line in map(str.strip, body.strip().splitlines()))
    return f"function f({params}){result}\nstart:\n{lines}\n"


def run(body: str, *args: Value, params: str = "", env: Environment | None = None, steps: int = 10_000) -> int | None:
    module = parse_module(body if body.lstrip().startswith(("function", "#")) else text(body, params))
    check_module(module)
    return Interpreter(module, env or Environment(), steps).run(args if params else None)


def refuses(message: str, body: str, *args: Value, params: str = "", env: Environment | None = None) -> None:
    with pytest.raises(IrRuntimeError, match=re.escape(message)):
        run(body, *args, params=params, env=env)


def packet(body: str) -> str:
    start = "%d: ptr packet = load %ctx size=4\n%e: ptr packet_end = load %ctx size=4 offset=4\n"
    return text(start + body, "%ctx: ptr ctx")


def xdp(length: int = 64, **options: object) -> Environment:
    return Environment(context=bytes(24), pointers=XDP, packet=bytes(range(length)), **options)  # type: ignore[arg-type]
