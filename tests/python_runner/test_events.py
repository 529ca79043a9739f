"""Programs that are called with what an event has: as Python there is nothing to call them with, but the context alone."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import Unsupported

seen = bpf.Hash[u32, u64](max_entries=8)


@bpf.uprobe("libc.so.6", "labs")
def with_parameters(arg0: u64) -> None:
    seen[1] = arg0


@bpf.uprobe("libc.so.6", "labs")
def with_nothing() -> None:
    seen[1] = 1


@bpf.uprobe("libc.so.6", "labs")
def with_a_context(ctx: bpf.ProbeContext) -> None:
    seen[2] = bpf.cookie() + 5


@pytest.mark.parametrize("program", [with_parameters, with_nothing], ids=lambda program: program.name)
def test_there_is_nothing_to_call_them_with(program: bpf.Program) -> None:
    with pytest.raises(Unsupported, match="there is in the kernel only"):
        program.python(ctx=bytes(168))
    program.close()


def test_the_context_alone() -> None:
    with_a_context.python(ctx=bytes(168))
    assert seen[2] == 5
    with_a_context.close()
