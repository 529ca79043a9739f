"""What cannot be run as Python, or was given the wrong things, says so."""

from __future__ import annotations

from typing import Any

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.data import replace
from purebpf.lang.program_types import KINDS
from purebpf.net import Ethernet
from purebpf.tables.enums import ProgramType

seen = bpf.Hash[u32, u64](max_entries=8)


@bpf.xdp
def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
    seen[1] += 1
    return bpf.XDP_PASS if ctx.packet.at(0, Ethernet) is not None else bpf.XDP_DROP


@bpf.tracepoint("sched/sched_switch")
def event(ctx: bpf.TracepointContext) -> None:
    seen[2] = ctx.prev_pid


@bpf.perf_event
def sampled(ctx: bpf.PerfEventContext) -> None:
    seen[3] = ctx.sample_period


@bpf.xdp
def wants_a_helper(ctx: bpf.XdpContext) -> bpf.XdpAction:
    seen[4] = bpf.helpers.get_numa_node_id() + bpf.helpers.fib_lookup(ctx, bpf.bytes(64), flags=0)
    return bpf.XDP_PASS


def chooses_nothing(ctx):  # type: ignore[no-untyped-def]
    return 1


@bpf.xdp
def wrong(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    return eth.proto


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    for each in (program, event, sampled, wants_a_helper):
        each.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"packet": "text"}, "`packet` is bytes, not 'text'"),
        ({"packet": 64}, r"packet=bytes\(64\)"),
        ({"ctx": [1]}, r"`ctx` is bytes, not \[1\]"),
        ({"packet": b"short"}, "the packet has 5 bytes; the least is a frame of 14"),
    ],
)
def test_wrong_packets_and_contexts_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(bpf.Error, match=said):
        program.python(**given)


def test_an_event_needs_its_context() -> None:
    with pytest.raises(bpf.Error, match=r"`ctx.prev_pid` lies at 24, but the context that was given has 0 bytes.*ctx=\.\.\."):
        event.python()
    event.python(ctx=bytes(24) + (77).to_bytes(4, "little") + bytes(60))
    assert seen[2] == 77


def test_a_packet_is_nothing_for_an_event() -> None:
    with pytest.raises(bpf.Unsupported, match="takes only a context"):
        event.python(packet=bytes(64))


def test_types_whose_context_cannot_be_made_are_refused_as_by_run() -> None:
    kind = replace(KINDS["xdp"], type=ProgramType.SK_MSG)
    verdict = bpf.Program(chooses_nothing, kind, "")
    with pytest.raises(bpf.Unsupported, match=r"sk_msg program .* cannot be run here"):
        verdict.python()
    verdict.close()


def test_a_context_that_is_left_out_is_one_of_zeros() -> None:
    sampled.python()
    assert seen[3] == 0


def test_a_helper_that_is_not_there_is_named() -> None:
    with pytest.raises(bpf.Unsupported, match="bpf_fib_lookup"):
        wants_a_helper.python(packet=bytes(64))


def test_what_does_not_compile_does_not_run() -> None:
    with pytest.raises(bpf.CompileError, match="`eth` may be None here"):
        wrong.python(packet=bytes(64))


@pytest.mark.kernel
def test_a_program_in_the_kernel_is_not_run_as_python() -> None:
    with program.load("kernel"), pytest.raises(bpf.Error, match=r"loaded in the engine 'kernel'.*close"):
        program.python(packet=bytes(64))


def test_runs_share_the_maps_with_those_of_the_virtual_machine() -> None:
    with program.load("vm"):
        program.run(packet=bytes(64))
        program.python(packet=bytes(64))
        program.run(packet=bytes(64))
        assert seen[1] == 3
