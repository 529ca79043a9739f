# mypy: disable-error-code="no-untyped-def"
"""Records of the packet where helpers read or write memory that the kernel does not let them have in the packet itself."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.net import Ethernet
from tests.compiler.results import ENGINES, Function, Table, check

case = Table()
PACKET = bytes(range(64))


@bpf.struct
class Name:
    text: str = bpf.chars(16)


ring = bpf.RingBuf[Ethernet](size=4096)
events = bpf.PerfEventArray[Ethernet]()
counts = bpf.Hash[Ethernet, u64](max_entries=8)


@case(1, PACKET)
def as_a_key(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    counts[eth] += 1
    return counts.get(eth, 0)


@case(1, PACKET)
def a_name_written_into_the_packet(ctx):
    name = ctx.packet.at(1, Name)
    if name is None:
        return 0
    name.text = bpf.current.comm
    return name.text == bpf.current.comm and (ctx.packet.at(17, bpf.u8) or 0) == 17


@case(1, PACKET)
def a_text_read_into_the_packet(ctx):
    name = ctx.packet.at(1, Name)
    if name is None:
        return 0
    name.text = bpf.read_kernel_str(8)
    return name.text == "" and (ctx.packet.at(17, bpf.u8) or 0) == 17


@case(1, PACKET)
def hashed(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return 0
    return bpf.jhash(eth) == bpf.jhash(eth) != bpf.jhash(eth, 1)


@case.parametrize()
def test_result(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@bpf.xdp
def sends(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or not ring.emit(eth):
        return bpf.XDP_DROP
    if bpf.helpers.ringbuf_output(ring, eth, flags=0) != 0 or events.output(eth) != 0:
        return bpf.XDP_DROP
    with ring.reserve_bytes(14) as data:
        if data.write(0, eth) != 0:
            return bpf.XDP_DROP
    return bpf.XDP_PASS


@pytest.mark.parametrize("how", [*ENGINES, "python"])
def test_records_of_the_packet_are_sent(how: str) -> None:
    with sends.load("vm" if how == "python" else how):
        result = sends.python(packet=PACKET) if how == "python" else sends.run(packet=PACKET)
        assert result.value == bpf.XDP_PASS
        sent = Ethernet.from_bytes(PACKET[:14])
        assert ring.read(1.0) == [sent] * 3
        assert events.read(1.0) == [sent]
