# mypy: disable-error-code="no-untyped-def"
"""Code that a constant switches off: one function for several types of programs, each with its own fields and helpers."""

from __future__ import annotations

import struct

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import ENGINES

totals = bpf.Hash[u32, u64](max_entries=8)
XDP, TC, SOCKET, TRACE = range(4)


def count(ctx, kind: int) -> None:
    """Each type's own way, in one function."""
    if kind == XDP:
        totals[0] += ctx.rx_queue_index + len(ctx.packet)
        ctx.packet.adjust_head(2)
    elif kind == TC:
        ctx.mark = 7
        ctx.cb[1] = 3
        totals[1] += ctx.mark + ctx.cb[1] + len(ctx.packet)
        bpf.helpers.skb_store_bytes(ctx, 20, b"ab", flags=0)
    elif kind == SOCKET:
        totals[2] += ctx.len
    else:
        totals[3] += ctx.args[1]
    if kind != TRACE:
        eth = ctx.packet.at(0, Ethernet)
        totals[4] += 1 if eth is None else eth.proto


@bpf.xdp
def xdp(ctx):
    count(ctx, XDP)
    return bpf.XDP_PASS


@bpf.tc
def tc(ctx):
    count(ctx, TC)
    return bpf.TC_ACT_OK


@bpf.socket_filter
def socket_filter(ctx):
    count(ctx, SOCKET)
    return 0


@bpf.raw_tracepoint("sys_enter")
def raw_tracepoint(ctx):
    count(ctx, TRACE)


PACKET = bytes(12) + b"\x08\x06" + bytes(50)
EXPECTED = {
    "xdp": {0: 64, 4: 0},
    "tc": {1: 74, 4: 0x806},
    "socket_filter": {2: 50, 4: 0},
    "raw_tracepoint": {3: 5},
}


@pytest.mark.parametrize("how", [*ENGINES, "python"])
@pytest.mark.parametrize("program", [xdp, tc, socket_filter, raw_tracepoint], ids=lambda program: program.name)
def test_each_type_takes_its_part(program: bpf.Program, how: str) -> None:
    with program.load("vm" if how == "python" else how):
        run = program.python if how == "python" else program.run
        if program is raw_tracepoint:
            run(ctx=struct.pack("12Q", 1, 5, *[0] * 10))
        else:
            run(packet=PACKET)
        assert dict(totals.items()) == EXPECTED[program.name]
