"""AF_XDP sockets: frames redirected to a process and sent by it, on a veth pair in an own namespace."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.errors import Error, KernelError, NotLoaded
from purebpf.net import Ethernet
from tests.kernel.netns import ETHERTYPE, frame, send, veth_pair

pytestmark = pytest.mark.kernel

xsks = bpf.XskMap(max_entries=4)
passed = bpf.Array[u64](max_entries=1)


@bpf.xdp
def to_process(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETHERTYPE:
        return bpf.XDP_PASS
    passed[0] += 1
    return xsks.redirect(ctx.rx_queue_index, bpf.XDP_PASS)


@pytest.fixture
def veth() -> Iterator[tuple[str, str]]:
    with veth_pair() as names:
        yield names


@pytest.mark.parametrize("mode", ["generic", "native"])
def test_frames_reach_the_process(veth: tuple[str, str], mode: str) -> None:
    with bpf.load(to_process), bpf.XskSocket(veth[0], mode="copy", frames=8) as xsk, to_process.attach(veth[0], mode=mode):
        assert xsk.receive(0) == []
        xsks[0] = xsk
        sent = [frame(bytes([n]) * 20) for n in range(30)]
        got: list[bytes] = []
        for one in sent:  # more than it holds: chunks come back
            send(veth[1], one)
            got += xsk.receive(2)
        assert got == sent
        assert passed[0] == 30
        assert xsk.statistics["rx_dropped"] == 0
        assert xsk.receive(0.01) == []


def test_a_full_socket_loses_frames_and_counts_them(veth: tuple[str, str]) -> None:
    with bpf.load(to_process), bpf.XskSocket(veth[0], mode="copy", frames=4) as xsk, to_process.attach(veth[0]):
        xsks[0] = xsk
        send(veth[1], *[frame(bytes([n])) for n in range(10)])
        from tests.kernel.netns import eventually

        assert eventually(lambda: passed[0] == 10)
        assert [one[14] for one in xsk.receive(1)] == [0, 1, 2, 3]
        send(veth[1], frame(b"again"))
        assert xsk.receive(2) == [frame(b"again")]


def test_the_process_sends(veth: tuple[str, str]) -> None:
    with (
        bpf.XskSocket(veth[0], mode="copy", frames=4) as xsk,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE)) as receiver,
    ):
        receiver.bind((veth[1], ETHERTYPE))
        receiver.settimeout(2)
        for n in range(20):
            one = frame(bytes([n]) * 4)
            assert xsk.send(one) == 1
            assert receiver.recv(100) == one
        with pytest.raises(Error, match="up to 4096 bytes"):
            xsk.send(bytes(5000))


def test_a_socket_is_closed_once_and_for_all(veth: tuple[str, str]) -> None:
    xsk = bpf.XskSocket(veth[0], mode="copy")
    assert xsk.fileno() >= 0
    with pytest.raises(KernelError, match="has an AF_XDP socket already") as busy:
        bpf.XskSocket(veth[0], mode="copy")
    assert busy.value.errno == errno.EBUSY
    xsk.close()
    xsk.close()
    assert xsk.fileno() == -1
    with pytest.raises(NotLoaded, match="is closed"):
        xsk.receive()
    assert "closed" in repr(xsk)


def test_wrong_sockets_are_told(veth: tuple[str, str]) -> None:
    with pytest.raises(Error, match="one of 'auto', 'copy', 'zerocopy', not 'fast'"):
        bpf.XskSocket(veth[0], mode="fast")
    with pytest.raises(Error, match="a power of two of frames, not 7"):
        bpf.XskSocket(veth[0], frames=7)
    with pytest.raises(KernelError, match="no network interface 'nope'"):
        bpf.XskSocket("nope")
    with pytest.raises(KernelError, match="no such queue"):
        bpf.XskSocket(veth[0], 99, mode="copy")
