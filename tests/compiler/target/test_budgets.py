"""Loops' budgets as instructions: a `may_goto` always goes somewhere, for Linux 6.9 to 6.13 refuse one with offset 0."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf.compiler.target.layout import emit
from purebpf.compiler.target.machine import Inst, MBlock, MFunction
from purebpf.isa.opcodes import EXIT_OPCODE, MAY_GOTO_OPCODE
from tests.compiler.results import Function


def endless(ctx):  # type: ignore[no-untyped-def]
    while True:
        pass
    return 0


def idle(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    while n > 3:
        n -= 1
    return 0


def leaves_at_once(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    while n > 3:
        n += 1
        if n > 2:
            break
    return n


def nested(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    total = 0
    while n > 3:
        n //= 2
        for _ in range(n):
            total += 1
    return total


def two_in_a_row(ctx):  # type: ignore[no-untyped-def]
    n = len(ctx.packet)
    while n & 1:
        n //= 2
    while n & 2:
        n -= 1
    return n


@pytest.mark.parametrize("program", [endless, idle, leaves_at_once, nested, two_in_a_row], ids=lambda f: f.__name__)
def test_a_budget_goes_somewhere(program: Function) -> None:
    instructions = bpf.xdp(program).spec().programs[program.__name__].instructions
    assert all(i.offset for i in instructions if i.opcode == MAY_GOTO_OPCODE)


def test_these_programs_have_budgets() -> None:
    spec = bpf.xdp(nested).spec().programs["nested"]
    assert sum(i.opcode == MAY_GOTO_OPCODE for i in spec.instructions) == 2


def test_a_budget_that_ends_where_the_loop_goes_on_is_dropped() -> None:
    """Both ways lead to one block once equal ends are shared."""
    end = MBlock("end", [Inst(EXIT_OPCODE, uses=(0,))])
    empty = MBlock("empty", next=end)
    head = MBlock("head", [Inst(MAY_GOTO_OPCODE, target=empty)], end)
    made = emit(MFunction("f", [head, end, empty]))
    assert [i.opcode for i in made.instructions] == [EXIT_OPCODE]
