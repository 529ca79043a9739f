"""Programs on packets of cgroups and routes: their results in the virtual machine, in Python and from the kernel's test run."""

from __future__ import annotations

import struct

import pytest

import purebpf as bpf
from purebpf import be16, u8, u32, u64
from purebpf.kernel.errors import kernel_version
from purebpf.net import IPv4

ETHERNET = bytes.fromhex("020000000001 020000000002 0800")
DATAGRAM = (
    ETHERNET
    + bytes.fromhex("4500002a 00010000 4011 0000 c0000202 c0000201")
    + struct.pack("!HHHH", 4000, 53, 22, 0)
    + b"x" * 14
)
RUNS = ["vm", "python", pytest.param("kernel", marks=pytest.mark.kernel)]

seen = bpf.Hash[u32, u64](max_entries=32)


@pytest.fixture(params=RUNS)
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(program: bpf.Program, how: str, packet: bytes = DATAGRAM) -> tuple[int, dict[int, int]]:
    """The result, and what the program has noted."""
    with program.load("kernel" if how == "kernel" else "vm"):
        result = program.python(packet=packet) if how == "python" else program.run(packet=packet)
        return result.value, dict(seen.items())


@bpf.cgroup_skb("egress")
def of_a_socket(ctx: bpf.CgroupSkbContext) -> int:
    sk = ctx.sk
    if sk is None:
        return 0
    seen[0] = sk.family
    seen[1] = sk.src_ip4
    seen[2] = sk.dst_ip4
    seen[3] = sk.src_port
    seen[4] = sk.dst_port
    seen[5] = sk.state
    seen[6] = sk.bound_dev_if
    seen[7] = sk.src_ip6[1]
    full = bpf.helpers.sk_fullsock(sk)
    if full is not None:
        seen[8] = full.mark
        seen[9] = full.protocol
    return 1


def test_fields_of_a_packets_socket(how: str) -> None:
    value, noted = run(of_a_socket, how)
    assert value == 1
    assert noted == {0: 2, 1: 0xC0000202, 2: 0xC0000201, 3: 0, 4: 0, 5: 7, 6: 0, 7: 0, 8: 0, 9: 0}


@bpf.cgroup_skb("ingress")
def from_the_network_header(ctx: bpf.CgroupSkbContext) -> int:
    ip = ctx.packet.at(0, IPv4)
    port = ctx.packet.at(22, be16)
    copy = ctx.packet.load(20, be16)
    if ip is None or port is None or copy is None:
        return 0
    seen[0] = ip.saddr
    seen[1] = port
    seen[2] = copy
    seen[3] = len(ctx.packet)
    seen[4] = ctx.local_ip4
    seen[5] = ctx.remote_ip4
    ctx.mark = 5
    return 1


def test_a_cgroups_packets_begin_at_the_network_header(how: str) -> None:
    if how == "kernel" and kernel_version() < (6, 18):
        pytest.skip("older kernels' test runs give programs of cgroups no packet to read in place")
    value, noted = run(from_the_network_header, how)
    assert value == 1
    assert noted == {0: 0xC0000202, 1: 53, 2: 4000, 3: len(DATAGRAM) - 14, 4: 0xC0000202, 5: 0xC0000201}
    assert run(from_the_network_header, how, DATAGRAM[:34])[0] == 0


@bpf.lwt_xmit
def rewrites(ctx: bpf.LwtContext) -> int:
    ip = ctx.packet.at(0, IPv4)
    if ip is None:
        return bpf.BPF_DROP
    ip.ttl = 9
    return bpf.BPF_OK


def test_a_route_may_change_what_it_sends(how: str) -> None:
    with rewrites.load("kernel" if how == "kernel" else "vm"):
        result = rewrites.python(packet=DATAGRAM) if how == "python" else rewrites.run(packet=DATAGRAM)
        assert result.value == bpf.BPF_OK
        assert result.data[14 + 8] == 9


@bpf.lwt_in
def reads(ctx: bpf.LwtContext) -> int:
    first = ctx.packet.at(0, u8)
    seen[0] = first or 0
    sk = ctx.sk
    seen[1] = 0 if sk is None else sk.state
    return bpf.BPF_OK


def test_a_route_reads_what_arrives(how: str) -> None:
    assert run(reads, how) == (bpf.BPF_OK, {0: 0x45, 1: 7})


@bpf.cgroup_device
def device(ctx: bpf.CgroupDeviceContext) -> int:
    seen[0] = ctx.major
    return ctx.minor == 5


def test_a_devices_context_by_its_fields() -> None:
    with device.load("vm"):
        assert device.run(ctx={"access_type": 2, "major": 1, "minor": 5}).value == 1
        assert device.python(ctx={"access_type": 2, "major": 1, "minor": 6}).value == 0
        assert seen[0] == 1
