"""Global subprograms: verified once, by their types, and called from anywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import be32, s16, s32, s64, u8, u16, u32, u64
from purebpf.btf.types import Func, Linkage
from purebpf.errors import Error
from tests.compiler.results import ENGINES, Table, check, check_ir


@bpf.struct
class Flow:
    packets: u64 = 0
    octets: u32 = 0
    kind: u8 = 0
    tag: bytes = bpf.bytes(3)


@bpf.struct
class Pair:
    first: Flow = Flow()
    second: Flow = Flow()


@bpf.globals
class state:
    flow: Flow = Flow()
    total: u64 = 0


flows = bpf.Hash[u32, Flow](max_entries=16)
other = bpf.Hash[u32, Flow](max_entries=16)
pairs = bpf.Array[Pair](max_entries=2)
table = bpf.Array[u32](max_entries=16)
ring = bpf.RingBuf[Flow](size=4096)
case = Table()


@bpf.global_subprogram
def account(flow: Flow, n: u16) -> u32:
    flow.packets += 1
    flow.octets += n
    flow.kind = n
    return flow.octets


@case(5 + 7 + 100 * (20 + 1) + 1000 * 1)
def records_of_any_memory(ctx: bpf.XdpContext) -> int:
    flows[1] = Flow()
    flow = flows.get(1)
    if flow is None:
        return 0
    local = Flow(octets=1)
    account(flow, 5)
    a = account(flow, 7)
    b = account(local, 20)
    return a + 100 * b + 1000 * local.packets


@case(7, bytes(16))
def in_the_packet(ctx: bpf.XdpContext) -> int:
    there = ctx.packet.at(0, Flow)
    if there is None:
        return 0
    account(there, 3)
    account(there, 4)
    return there.octets


@case(3 + 100 * 9 + 10000 * 2)
def inside_of_others(ctx: bpf.XdpContext) -> int:
    pair = pairs[1]
    pair.second = Flow()
    state.flow = Flow()
    a = account(pair.second, 3)
    account(state.flow, 4)
    b = account(state.flow, 5)
    return a + 100 * b + 10000 * state.flow.packets


@case(12)
def in_a_ring(ctx: bpf.XdpContext) -> int:
    with ring.reserve() as flow:
        if flow is None:
            return 0
        flow.octets = 2
        n = account(flow, 10)
    return n


@bpf.global_subprogram
def weight(flow: Flow | None, otherwise: s32) -> s64:
    if flow is None:
        return otherwise
    return flow.octets - otherwise


@case(-5 + 40 - 3 + 1)
def none_is_handed_over(ctx: bpf.XdpContext) -> int:
    flows[2] = Flow(octets=40)
    return weight(None, -5) + weight(flows.get(2), 3) + weight(other.get(9), 1)


@bpf.global_subprogram
def narrowed(a: u8, b: s16, c: bool, d: be32, e: u64) -> s64:
    if c:
        return a * 1000 + b
    return d + e


@case(44 * 1000 - 25536 + 0x1_0000_0001 + 2)
def arguments_are_narrowed(ctx: bpf.XdpContext) -> int:
    n = len(ctx.packet)
    return narrowed(n + 236, n + 39936, n, 0, 0) + narrowed(0, 0, n > 1000, (1 << 32) + n - 63, (1 << 32) + n - 62)


@bpf.global_subprogram
def slot(i: u32) -> u32:
    if i < 16:
        return table[i] + 1
    return 0


@case(1 + 6)
def indexes_are_tested_inside(ctx: bpf.XdpContext) -> int:
    table[3] = 5
    return slot(len(ctx.packet) - 62) + slot(3) + slot(1 << 20)


@bpf.global_subprogram
def byte_at(ctx: bpf.XdpContext, offset: u32) -> int:
    byte = ctx.packet.at(offset, u8)
    if byte is None:
        return -1
    return byte


@case(7 - 1, b"\1\7" + bytes(20))
def the_context(ctx: bpf.XdpContext) -> int:
    return byte_at(ctx, 1) + byte_at(ctx, 100)


@bpf.global_subprogram
def shrink(ctx: bpf.XdpContext, n: u32) -> int:
    return ctx.packet.adjust_head(n)


@case(64 - 4)
def the_packet_moves(ctx: bpf.XdpContext) -> int:
    if shrink(ctx, 4) != 0:
        return 0
    if ctx.packet.at(0, u8) is None:
        return 0
    return len(ctx.packet)


@bpf.global_subprogram
def count(where: bpf.Hash[u32, Flow], key: u32) -> None:
    flow = where.get(key)
    if flow is None:
        where[key] = Flow(packets=1)
    else:
        flow.packets += 1


@case(2 + 10 * 1)
def maps_are_known(ctx: bpf.XdpContext) -> int:
    del flows[7]
    del other[7]
    count(flows, 7)
    count(flows, 7)
    count(other, 7)
    a, b = flows.get(7), other.get(7)
    if a is None or b is None:
        return 0
    return a.packets + 10 * b.packets


@bpf.global_subprogram
def outer(flow: Flow, times: u8) -> u32:
    sent = 0
    for i in range(times):
        sent += account(flow, i) & 1
    with ring.reserve() as record:
        if record is None:
            return 0
        record.octets = sent
    flow.tag = b"abc"
    return sent


@case(2 + 10 * ord("b"))
def one_in_another(ctx: bpf.XdpContext) -> int:
    flow = Flow()
    n = outer(flow, 4)
    return n + 10 * flow.tag[1]


@bpf.global_subprogram
def total(limit: u32) -> u64:
    found = 0

    def add(i: int) -> bool:
        nonlocal found
        found += i
        return i >= limit

    bpf.loop(1000, add)
    return found


@case(55 + 5050)
def calls_back(ctx: bpf.XdpContext) -> int:
    return total(10) + total(100)


@bpf.global_subprogram
def digits(n: u64) -> u32:
    count = 0
    while n:
        n //= 10
        count += 1
    return count


@case(20 + 1 + 2)
def loops_without_end(ctx: bpf.XdpContext) -> int:
    return digits((1 << 64) - 1) + digits(7) + digits(len(ctx.packet))


@case.parametrize()
def test_result(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_result_of_the_ir(function: Callable[..., object], expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)


def test_the_kernel_is_told_the_types() -> None:
    program = bpf.xdp(records_of_any_memory).compiled().program
    types = {function.name: program.types[function.type - 1] for function in program.functions if function.type}
    assert list(types) == ["account", "account_2"]  # one for shared memory, one for the program's own
    assert all(isinstance(type, Func) and type.linkage is Linkage.GLOBAL for type in types.values())


@bpf.global_subprogram
def marked(flow: Flow) -> u32:
    flow.kind = 1
    return flow.kind


@bpf.tc
def of_a_classifier(ctx: bpf.TcContext) -> int:
    return marked(Flow()) + skb_mark(ctx)


@bpf.global_subprogram
def skb_mark(ctx: bpf.TcContext) -> u32:
    return ctx.mark + 6


@bpf.socket_filter
def of_a_filter(ctx: bpf.SocketFilterContext) -> int:
    return marked(Flow()) + length(ctx)


@bpf.global_subprogram
def length(ctx: bpf.SocketFilterContext) -> u32:
    return ctx.len


@pytest.mark.parametrize("engine", ENGINES)
def test_contexts_of_other_types(engine: str) -> None:
    for program, expected in ((of_a_classifier, 7), (of_a_filter, 51)):
        with program.load(engine):
            assert program.run(packet=bytes(64)).value == expected


@bpf.raw_tracepoint("sched_switch")
def of_an_event(ctx: bpf.RawTracepointContext) -> None:
    state.total += first(ctx)


@bpf.global_subprogram
def first(ctx: bpf.RawTracepointContext) -> u64:
    return ctx.args[0]


@bpf.perf_event
def of_a_sample(ctx: bpf.PerfEventContext) -> None:
    state.total += period(ctx)


@bpf.global_subprogram
def period(ctx: bpf.PerfEventContext) -> u64:
    return ctx.sample_period


@pytest.mark.kernel
@pytest.mark.parametrize("program", (of_an_event, of_a_sample), ids=lambda program: program.name)
def test_contexts_of_events_load(program: bpf.Program) -> None:
    with program.load("kernel"):
        assert state.total >= 0


def test_it_is_for_plain_functions() -> None:
    with pytest.raises(Error, match=r"is for plain functions, not for 'of_a_filter'"):
        bpf.global_subprogram(of_a_filter)
    assert weight(None, 3) == 3  # and stays one in user space
