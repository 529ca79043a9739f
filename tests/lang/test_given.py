# mypy: disable-error-code="no-untyped-def"
"""Contexts of test runs by the names of their fields, on kernel, virtual machine and Python."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import s32, u64
from tests.compiler.results import ENGINES

FRAME = bytes(64)


@bpf.struct
class Switch:
    prev: s32 = 0
    comm: str = bpf.chars(16)


seen = bpf.Array[Switch](max_entries=1)
sums = bpf.Array[u64](max_entries=1)


@bpf.tc
def tc_fields(ctx) -> bpf.TcAction:
    ctx.priority = ctx.mark + 1
    ctx.cb[4] = ctx.cb[0] + ctx.cb[1]
    return ctx.tstamp & 0xFF


@bpf.xdp
def xdp_fields(ctx) -> int:
    return ctx.ingress_ifindex * 1000 + len(ctx.packet)


@bpf.socket_filter
def filter_fields(ctx) -> int:
    return ctx.mark + ctx.len


@bpf.raw_tracepoint("sys_enter")
def raw_fields(ctx) -> None:
    sums[0] = ctx.args[0] + ctx.args[1] + ctx.args[11]


@bpf.tracepoint("sched/sched_switch")
def event_fields(ctx) -> None:
    seen[0] = Switch(prev=ctx.prev_pid, comm=ctx.next_comm)


@bpf.perf_event
def sample_fields(ctx) -> None:
    sums[0] = ctx.sample_period + ctx.addr


def ran(program: bpf.Program, engine: str, *, packet: bytes | None = None, ctx: object = None):
    if engine == "python":
        return program.python(packet=packet, ctx=ctx)  # type: ignore[arg-type]
    return program.run(packet=packet, ctx=ctx, engine=engine)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", (*ENGINES, "python"))
def test_a_packets_context_by_name(engine: str) -> None:
    try:
        result = ran(tc_fields, engine, packet=FRAME, ctx={"mark": 41, "cb": [3, 4], "tstamp": 0x105})
        assert result.value == 5
        after = tc_fields.fields(result.context)
        assert (after["mark"], after["priority"], after["cb"]) == (41, 42, [3, 4, 0, 0, 7])
    finally:
        tc_fields.close()


@pytest.mark.parametrize("engine", (*ENGINES, "python"))
def test_a_frames_context_by_name(engine: str) -> None:
    try:
        assert ran(xdp_fields, engine, packet=bytes(70), ctx={"ingress_ifindex": 1}).value == 1070
        assert ran(xdp_fields, engine, ctx={"ingress_ifindex": 1}).value == 1014
        assert ran(xdp_fields, engine, packet=bytes(70), ctx={}).value % 1000 == 70
    finally:
        xdp_fields.close()


@pytest.mark.parametrize("engine", (*ENGINES, "python"))
def test_a_socket_filters_context_by_name(engine: str) -> None:
    try:
        assert (
            ran(filter_fields, engine, packet=FRAME, ctx={"mark": 7}).value == 7 + 64 - 14
        )  # a socket sees no Ethernet header
    finally:
        filter_fields.close()


@pytest.mark.parametrize("engine", (*ENGINES, "python"))
def test_arguments_by_name(engine: str) -> None:
    try:
        ran(raw_fields, engine, ctx={"args": [40, 2]})
        assert sums[0] == 42
    finally:
        raw_fields.close()


@pytest.mark.parametrize("engine", ("vm", "python"))
def test_an_event_by_name(engine: str) -> None:
    try:
        ran(event_fields, engine, ctx={"prev_pid": -77, "next_comm": "worker"})
        assert seen[0] == Switch(prev=-77, comm="worker")
    finally:
        event_fields.close()


@pytest.mark.parametrize("engine", ("vm", "python"))
def test_a_sample_by_name(engine: str) -> None:
    try:
        ran(sample_fields, engine, ctx={"sample_period": 1000, "addr": 1 << 40})
        assert sums[0] == 1000 + (1 << 40)
    finally:
        sample_fields.close()


@pytest.mark.parametrize(
    "program, ctx, message",
    [
        (tc_fields, {"mrk": 1}, r"the context of `@bpf.tc` has no field `mrk`; it has: .*\bmark\b"),
        (tc_fields, {"len": 1}, r"a test run makes `len` itself; of this context it takes: mark, priority"),
        (tc_fields, {"mark": 1 << 32}, r"`mark` of the context: 4294967296 does not fit u32"),
        (tc_fields, {"mark": "a"}, r"`mark` of the context: "),
        (tc_fields, {"cb": [0] * 6}, r"`cb` of the context: array\(u32, 5\) wants exactly 5 elements, not 6"),
        (xdp_fields, {"egress_ifindex": 1}, r"a test run makes `egress_ifindex` itself; .* ingress_ifindex, rx_queue_index"),
        (event_fields, {"pid": 1}, r"the context of `@bpf.tracepoint` has no field `pid`; it has: .*prev_pid"),
        (tc_fields, 5, r"`ctx` is bytes, not 5: .*or its fields: ctx=\{"),
    ],
)
@pytest.mark.parametrize("engine", ("vm", "python"))
def test_what_does_not_fit_is_told(engine: str, program: bpf.Program, ctx: object, message: str) -> None:
    try:
        with pytest.raises(bpf.Error, match=message):
            ran(program, engine, ctx=ctx)
    finally:
        program.close()
