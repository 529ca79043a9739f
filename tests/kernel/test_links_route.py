"""Programs of routes, on datagrams that take the route; segment routing in its own route."""

from __future__ import annotations

import errno
import ipaddress
import socket
import subprocess
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import u8, u32, u64
from purebpf.errors import Error, KernelError
from tests.kernel.netns import eventually, veth_pair

pytestmark = pytest.mark.kernel
BEYOND = "192.0.2.77"

seen = bpf.Hash[u32, u64](max_entries=16)


@bpf.globals
class state:
    count: u64 = 0
    drop: u32 = 0


@pytest.fixture
def veth() -> Iterator[tuple[str, str]]:
    with veth_pair() as names:
        for arguments in (
            ["link", "set", "lo", "up"],
            ["address", "add", "198.51.100.1/24", "dev", names[0]],
            ["-6", "address", "add", "2001:db8:1::1/64", "dev", names[0], "nodad"],
        ):
            subprocess.run(["ip", *arguments], check=True, capture_output=True)
        yield names


def send_beyond(text: bytes = b"text") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(text, (BEYOND, 9))


def counting(ctx: bpf.LwtContext) -> int:
    protocol = ctx.packet.at(9, u8)
    if protocol is not None and protocol == bpf.IPPROTO_UDP:
        state.count += 1
        seen[1] = len(ctx.packet)
        if state.drop == 1:
            return bpf.BPF_DROP
    return bpf.BPF_OK


out = bpf.lwt_out(counting)
xmit = bpf.lwt_xmit(counting)


@pytest.mark.parametrize("program", [out, xmit], ids=["lwt_out", "lwt_xmit"])
def test_programs_of_a_route_see_what_takes_it(veth: tuple[str, str], program: bpf.Program) -> None:
    with bpf.load(program):
        with program.attach("192.0.2.0/24", veth[0]) as attached:
            assert attached.mechanism == f"route to 192.0.2.0/24, {program.kind.decorator}"
            send_beyond()
            assert eventually(lambda: state.count == 1)
            assert seen[1] == 20 + 8 + 4
            state.drop = 1
            if program is out:
                with pytest.raises(OSError):
                    send_beyond()
            with pytest.raises(KernelError, match="such a route already") as taken:
                program.attach("192.0.2.0/24", veth[0])
            assert taken.value.errno == errno.EEXIST
        with pytest.raises(OSError):
            send_beyond()  # the route is gone


def test_the_program_of_a_route_is_replaced(veth: tuple[str, str]) -> None:
    @bpf.lwt_out
    def other(ctx: bpf.LwtContext) -> int:
        state.count += 100
        return bpf.BPF_OK

    with bpf.load(out, other), out.attach(ipaddress.ip_network("192.0.2.0/24"), veth[0]) as attached:
        attached.update(other)
        send_beyond()
        assert eventually(lambda: state.count >= 100)


@bpf.lwt_in
def arriving(ctx: bpf.LwtContext) -> int:
    seen[2] += 1
    return bpf.BPF_OK


def test_lwt_in_sees_what_is_routed_on(veth: tuple[str, str]) -> None:
    """A datagram comes in by the pair and is routed on: the route's program for arriving packets sees it."""
    from tests.kernel.netns import frame

    with open("/proc/sys/net/ipv4/ip_forward", "w") as forward:
        forward.write("1")
    with open(f"/proc/sys/net/ipv4/conf/{veth[0]}/rp_filter", "w") as check:
        check.write("0")
    datagram = bytes.fromhex("4500002000010000401100c0") + socket.inet_aton("198.51.100.9") + socket.inet_aton(BEYOND)
    datagram = datagram[:10] + checksum(datagram[:10] + b"\0\0" + datagram[12:]) + datagram[12:]
    payload = datagram + bytes.fromhex("00090009000c0000") + b"text"
    shown = subprocess.run(["ip", "-o", "link", "show", veth[0]], check=True, capture_output=True, text=True).stdout
    mac = bytes.fromhex(shown.split("link/ether ")[1].split()[0].replace(":", ""))
    with (
        arriving.attach("192.0.2.0/24", veth[0]),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as link,
    ):
        link.bind((veth[1], 0x0800))
        link.send((mac + bytes(6) + b"\x08\x00" + payload).ljust(len(frame()), b"\0"))
        assert eventually(lambda: seen.get(2, 0) == 1)


def checksum(header: bytes) -> bytes:
    total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, len(header), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


@bpf.lwt_seg6local
def segment(ctx: bpf.LwtContext) -> int:
    state.count += 1
    return bpf.BPF_OK


def test_a_segment_routing_action_has_a_program(veth: tuple[str, str]) -> None:
    try:
        attached = segment.attach("2001:db8:77::1/128", veth[0])
    except KernelError as error:
        if error.errno == errno.EOPNOTSUPP:
            pytest.skip("this kernel has no segment routing with programs")
        raise
    with attached:
        shown = subprocess.run(
            ["ip", "-6", "route", "show", "2001:db8:77::1"], check=True, capture_output=True, text=True
        ).stdout
        assert "seg6local" in shown and "segment" in shown


def test_wrong_routes_are_told(veth: tuple[str, str]) -> None:
    for options, said in (
        ({}, "needs the option 'destination'"),
        ({"destination": "192.0.2.1/24"}, "has host bits set"),
        ({"destination": "192.0.2.0/24", "interface": veth[0], "gateway": "x"}, "does not appear to be"),
        ({"destination": "192.0.2.0/24", "interface": veth[0], "gateway": "::1"}, "of another protocol"),
        ({"destination": "192.0.2.0/24", "interface": veth[0], "headroom": 5}, "of lwt_xmit programs only"),
    ):
        with pytest.raises(Error, match=said):
            out.attach(**options)
