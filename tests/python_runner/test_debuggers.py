"""Debuggers see the author's own lines, variables and functions; so do tracebacks."""

from __future__ import annotations

import bdb
import inspect
import io
import pdb
import sys
import traceback
from types import CodeType, FrameType
from typing import Any

import pytest

import purebpf as bpf
from purebpf import s16, u8, u32, u64
from purebpf.net import Ethernet

seen = bpf.Hash[u32, u64](max_entries=8)


@bpf.struct
class Pair:
    x: u32 = 0
    y: u8 = 0

    def sum(self) -> u32:
        return self.x + self.y


def work(n: u8, start=3):  # type: ignore[no-untyped-def]
    """Every kind of statement that is rewritten."""
    total: s16 = 0
    step: u8 = start
    for step in range(n - 1, n + 2):
        total += step * 100
        if step > n:
            continue
        total -= (
            n //
            step
        )  # fmt: skip
    a, step = step, n
    last = b = 0
    while a > step - 2:
        a -= 1
        last = b = a
    match a % step:
        case step if step > 100:
            total = 0
        case rest:
            total ^= rest
    return (total +
            last - b)  # fmt: skip


@bpf.xdp
def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.XDP_DROP
    pair = Pair(x=eth.proto, y=7)
    seen[pair.sum()] += 1
    n: u8 = len(ctx.packet) + 256
    return work(n)


@bpf.xdp
def with_breakpoint(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n: u8 = len(ctx.packet) + 300
    seen[n] += 2
    breakpoint()
    print("looked at", ctx)
    return n


@bpf.tracepoint("sched/sched_switch")
def needs_a_context(ctx: bpf.TracepointContext) -> None:
    n: u32 = 5
    seen[n] = ctx.prev_pid


def line_of(function: Any, text: str) -> int:
    """The number of the line that has this text."""
    lines, first = inspect.getsourcelines(inspect.unwrap(function))
    return first + next(i for i, line in enumerate(lines) if text in line)


class Debugger(bdb.Bdb):
    """Notes the variables at each breakpoint."""

    def __init__(self, *breaks: int) -> None:
        super().__init__()
        self.stops: list[tuple[str, int, dict[str, Any]]] = []
        for line in breaks:
            assert self.set_break(__file__, line) is None

    def user_line(self, frame: FrameType) -> None:
        if self.break_here(frame):
            self.stops.append((frame.f_code.co_name, frame.f_lineno, dict(frame.f_locals)))
        self.set_continue()


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    bdb.Breakpoint.clearBreakpoints()  # they are kept for all debuggers together
    for each in (program, with_breakpoint, needs_a_context):
        each.close()


def test_a_breakpoint_stops_in_the_program_with_its_variables() -> None:
    line = line_of(program, "n: u8 =")
    debugger = Debugger(line)
    assert debugger.runcall(program.python, packet=bytes(12) + b"\x08\x00" + bytes(6)).value == work(20) & 0xFFFFFFFF
    ((name, where, variables),) = debugger.stops
    assert (name, where, sorted(variables)) == ("program", line, ["ctx", "eth", "pair"])
    assert (variables["eth"].proto, variables["pair"].y) == (0x800, 7)
    assert dict(seen.items()) == {0x800 + 7: 1}


def test_breakpoints_in_functions_that_the_program_calls() -> None:
    inside, method = line_of(work, "continue"), line_of(Pair.sum, "return self.x")
    debugger = Debugger(inside, method)
    debugger.runcall(program.python, packet=bytes(20))
    assert [(name, where) for name, where, _ in debugger.stops] == [("sum", method), ("work", inside)]
    assert debugger.stops[1][2]["n"] == 20
    assert debugger.stops[1][2]["step"] == 21


def traced(code: CodeType, call: Any) -> list[int]:
    """The lines of a function that are gone through, as a debugger would step."""
    lines: list[int] = []

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            lines.append(frame.f_lineno)
        return local

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        same = (frame.f_code.co_filename, frame.f_code.co_name) == (code.co_filename, code.co_name)
        return local if same else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def test_stepping_goes_through_the_same_lines_as_in_plain_python() -> None:
    plain = traced(work.__code__, lambda: work(20))
    as_program = traced(work.__code__, lambda: program.python(packet=bytes(20)))
    assert as_program == plain
    assert len(plain) > 20


def test_a_traceback_shows_the_authors_line() -> None:
    with pytest.raises(bpf.Error, match=r"ctx\.prev_pid") as caught:
        needs_a_context.python()
    entries = [entry for entry in traceback.extract_tb(caught.value.__traceback__) if entry.name == "needs_a_context"]
    assert [(entry.filename, entry.line) for entry in entries] == [(__file__, "seen[n] = ctx.prev_pid")]


def test_breakpoint_opens_the_debugger_and_its_prompt_sees_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    commands = "up\np n, seen.get(n), len(ctx.packet)\np bpf.ktime() > 0\nn\nc\n"

    def hook() -> None:
        debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=told, nosigint=True, readrc=False)
        debugger.set_trace(sys._getframe())

    monkeypatch.setattr(sys, "breakpointhook", hook)
    result = with_breakpoint.python(packet=bytes(20))
    assert result.value == 64
    assert "(64, 2, 20)" in told.getvalue() and "True" in told.getvalue()
    assert result.printed == ("looked at <the context of a xdp program>",)


def test_a_breakpoint_is_pythons_alone() -> None:
    """What `python` loaded without it does not run as if it were not there."""
    with pytest.raises(bpf.CompileError, match="breakpoint"):
        with_breakpoint.run(packet=bytes(20), engine="vm")
    before, sys.breakpointhook = sys.breakpointhook, lambda: None
    try:
        with_breakpoint.python(packet=bytes(20))
    finally:
        sys.breakpointhook = before
    with pytest.raises(bpf.CompileError, match="breakpoint"):
        with_breakpoint.run(packet=bytes(20))
