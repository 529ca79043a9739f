"""Network programs at work: contexts' fields, packets read and changed in place, redirects; on test runs and on real frames."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

import purebpf as bpf
from purebpf import be16, be32, u8, u16, u32, u64
from purebpf.net import ETH_P_IP, IPPROTO_UDP, UDP, Ethernet, IPv4
from purebpf.tables.context_rows import STRUCTS
from tests.kernel.netns import ETHERTYPE, FIRST, SECOND, eventually, frame, send, veth_pair

FRAME = bytes(range(1, 65))
UDP_FRAME = (
    bytes.fromhex("020000000001 020000000002 0800")
    + bytes.fromhex("4500002a 00010000 4011 0000 c0000202 c0000201")
    + struct.pack("!HHHH", 40000, 53, 22, 0)
    + b"fourteen bytes"
)
XDP_REDIRECT, XDP_ABORTED, TC_ACT_REDIRECT = 4, 0, 7
THIRD, FOURTH = "pbpf2", "pbpf3"

seen = bpf.Hash[u32, u64](max_entries=64)
devices = bpf.DevMap(max_entries=8)


@pytest.fixture(params=["vm", pytest.param("kernel", marks=pytest.mark.kernel)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def skb(**fields: int) -> bytes:
    """A `struct __sk_buff` with some fields set."""
    row = next(row for row in STRUCTS if row[0] == "__sk_buff")
    data = bytearray(row[1])
    for name, offset, size, *_ in row[3]:
        if name in fields:
            data[offset : offset + size] = fields.pop(name).to_bytes(size, "little")
    assert not fields
    return bytes(data)


def field(context: bytes, name: str) -> int:
    row = next(row for row in STRUCTS if row[0] == "__sk_buff")
    offset, size = next(row[1:3] for row in row[3] if row[0] == name)
    return int.from_bytes(context[offset : offset + size], "little")


# -- TC


@bpf.tc
def reads(ctx: bpf.TcContext) -> bpf.TcAction:
    seen[0] = ctx.len
    seen[1] = ctx.mark
    seen[2] = ctx.priority
    seen[3] = ctx.protocol
    seen[4] = ctx.ifindex
    seen[5] = ctx.cb[1] + ctx.cb[4]
    seen[6] = len(ctx.packet)
    seen[7] = ctx.tstamp
    ctx.mark = ctx.mark + 1
    ctx.priority = 9
    ctx.cb[0] += 5
    ctx.cb[4] = ctx.len
    return bpf.TC_ACT_OK


def test_fields_of_a_tc_program(engine: str) -> None:
    with reads.load(engine):
        cb = struct.pack("=5I", 1, 20, 0, 0, 300)
        given = bytearray(skb(mark=41, priority=7))
        row = next(row for row in STRUCTS if row[0] == "__sk_buff")
        at = next(f[1] for f in row[3] if f[0] == "cb")
        given[at : at + 20] = cb
        result = reads.run(packet=UDP_FRAME, ctx=bytes(given))
        assert result.value == bpf.TC_ACT_OK
        got = dict(seen.items())
        assert [got[i] for i in (0, 1, 2, 5, 6)] == [len(UDP_FRAME), 41, 7, 320, len(UDP_FRAME)]
        assert got[3] == ETH_P_IP  # in network order in memory
        assert got[4] == 1
        assert (field(result.context, "mark"), field(result.context, "priority")) == (42, 9)
        assert struct.unpack("=5I", result.context[at : at + 20]) == (6, 20, 0, 0, len(UDP_FRAME))


@bpf.tc
def rewrites(ctx: bpf.TcContext) -> bpf.TcAction:
    eth = ctx.packet.at(0, Ethernet)
    ip = ctx.packet.at(14, IPv4)
    if eth is None or ip is None or eth.proto != ETH_P_IP:
        return bpf.TC_ACT_SHOT
    eth.dst, eth.src = eth.src, eth.dst
    ip.saddr, ip.daddr = ip.daddr, ip.saddr
    ip.ttl -= 1
    ip.tot_len += 1
    udp = ctx.packet.at(14 + ip.ihl * 4, UDP)
    if udp is None or ip.protocol != IPPROTO_UDP:
        return bpf.TC_ACT_UNSPEC
    udp.dest, udp.source = udp.source, udp.dest + 1
    return bpf.TC_ACT_OK


def test_a_tc_program_changes_the_packet(engine: str) -> None:
    with rewrites.load(engine):
        result = rewrites.run(packet=UDP_FRAME)
        assert rewrites.run(packet=UDP_FRAME[:12] + bytes(10)).value == bpf.TC_ACT_SHOT
        assert rewrites.run(packet=UDP_FRAME[:34]).value == bpf.TC_ACT_UNSPEC & 0xFFFFFFFF
    assert result.value == bpf.TC_ACT_OK
    expected = bytearray(UDP_FRAME)
    expected[:12] = UDP_FRAME[6:12] + UDP_FRAME[:6]
    expected[26:34] = UDP_FRAME[30:34] + UDP_FRAME[26:30]
    expected[22] -= 1
    expected[17] += 1
    expected[34:38] = struct.pack("!HH", 54, 40000)
    assert result.data == bytes(expected)


@pytest.mark.kernel
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_a_tc_program_changes_real_frames(direction: str) -> None:
    @bpf.tc
    def stamps(ctx: bpf.TcContext) -> bpf.TcAction:
        kind = ctx.packet.at(12, be16)
        place = ctx.packet.at(14, u64)
        head = ctx.packet.at(0, Ethernet)
        if kind is None or place is None or head is None or kind != ETHERTYPE:
            return bpf.TC_ACT_OK
        seen[0] += 1
        seen[1] = ctx.len
        if place == 0:
            return bpf.TC_ACT_SHOT
        head.src = b"\x02\x02\x03\x04\x05\x06"
        return bpf.TC_ACT_OK

    interface = FIRST if direction == "ingress" else SECOND
    with veth_pair(), stamps.attach(interface, direction=direction), listening(FIRST) as received:
        with suppress(OSError):  # a frame that is dropped on its way out is ENOBUFS to the sender
            send(SECOND, frame(bytes(8)))
        send(SECOND, frame(b"stamp me"))
        assert eventually(lambda: seen.get(0) == 2)
        assert [data[6:22] for data in received()] == [b"\x02\x02\x03\x04\x05\x06" + b"\x88\xb5" + b"stamp me"]
        assert seen[1] == 60


@contextmanager
def listening(interface: str) -> Iterator[Callable[[], list[bytes]]]:
    """What arrives at an interface with the tests' ethertype."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE)) as link:
        link.bind((interface, ETHERTYPE))
        link.settimeout(0.2)

        def received() -> list[bytes]:
            found = []
            while True:
                try:
                    data, address = link.recvfrom(2048)
                except TimeoutError:
                    return found
                if address[2] != socket.PACKET_OUTGOING:
                    found.append(data)

        yield received


# -- redirects


@contextmanager
def two_pairs() -> Iterator[None]:
    """FIRST-SECOND and THIRD-FOURTH: what is redirected from FIRST to THIRD arrives at FOURTH."""
    with veth_pair():
        subprocess.run(["ip", "link", "add", THIRD, "type", "veth", "peer", "name", FOURTH], check=True)
        for name in (THIRD, FOURTH):
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield


@bpf.xdp
def forwards(ctx: bpf.XdpContext) -> bpf.XdpAction:
    slot = ctx.packet.at(14, u8)
    if slot is None:
        return bpf.XDP_PASS
    return devices.redirect(slot, bpf.XDP_PASS)


def test_a_device_map_without_an_entry_gives_the_flags(engine: str) -> None:
    with forwards.load(engine):
        assert forwards.run(packet=bytes(14) + b"\3" + FRAME).value == bpf.XDP_PASS
        assert forwards.run(packet=bytes(14) + b"\xff" + FRAME).value == bpf.XDP_PASS
        devices[3] = socket.if_nametoindex("lo")
        assert forwards.run(packet=bytes(14) + b"\3" + FRAME).value == XDP_REDIRECT
        devices[3] = 0
        del devices[3]
        assert forwards.run(packet=bytes(14) + b"\3" + FRAME).value == bpf.XDP_PASS


@pytest.mark.kernel
def test_a_device_map_sends_real_frames_on() -> None:
    with two_pairs(), forwards.attach(FIRST, mode="generic"), listening(FOURTH) as received, listening(FIRST) as passed:
        devices[5] = socket.if_nametoindex(THIRD)
        send(SECOND, frame(b"\x05 goes on"), frame(b"\x06 stays"))
        assert [data[14:].rstrip(b"\0") for data in received()] == [b"\x05 goes on"]
        assert [data[14:].rstrip(b"\0") for data in passed()] == [b"\x06 stays"]


@pytest.mark.kernel
@pytest.mark.parametrize("kind", ["xdp", "tc"])
def test_redirect_by_interface_index(kind: str) -> None:
    with two_pairs():
        target = socket.if_nametoindex(THIRD)

        def redirects(ctx):  # type: ignore[no-untyped-def]
            kind_of_frame = ctx.packet.at(12, be16)
            if kind_of_frame == ETHERTYPE if kind_of_frame is not None else False:
                seen[0] += 1
                return bpf.redirect(target)
            return 2 if kind == "xdp" else 0

        program = getattr(bpf, kind)(redirects)
        options = {"mode": "generic"} if kind == "xdp" else {}
        with program.attach(FIRST, **options), listening(FOURTH) as received:
            send(SECOND, frame(b"redirected"))
            assert [data[14:24] for data in received()] == [b"redirected"]
            assert seen[0] == 1


def test_redirect_in_a_test_run(engine: str) -> None:
    def redirects(ctx):  # type: ignore[no-untyped-def]
        return bpf.redirect(ifindex=1)

    for kind, value in ((bpf.xdp, XDP_REDIRECT), (bpf.tc, TC_ACT_REDIRECT)):
        program = kind(redirects)
        assert program.run(packet=UDP_FRAME, engine=engine).value == value
        program.close()


# -- socket filters


@bpf.socket_filter
def dns_only(ctx: bpf.SocketFilterContext) -> int:
    """Of UDP frames to port 53 the headers, of others nothing."""
    ip = ctx.packet.at(14, IPv4)
    if ip is None or ip.protocol != IPPROTO_UDP:
        return 0
    port = ctx.packet.at(14 + ip.ihl * 4 + 2, be16)
    seen[0] = ctx.len
    return 42 if port is not None and port == 53 else 0


@pytest.mark.kernel
def test_a_socket_filter_on_real_frames() -> None:
    """A packet socket sees frames from the link header on."""
    other = UDP_FRAME[:36] + b"\0\x50" + UDP_FRAME[38:]
    with (
        veth_pair(),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP)) as link,
        dns_only.attach(link),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender,
    ):
        link.bind((FIRST, ETH_P_IP))
        link.settimeout(0.3)
        sender.bind((SECOND, 0))
        sender.send(other)
        sender.send(UDP_FRAME)
        assert link.recv(2048) == UDP_FRAME[:42]
        with pytest.raises(TimeoutError):
            link.recv(2048)
        assert seen[0] == len(UDP_FRAME)


@bpf.socket_filter
def first_byte(ctx: bpf.SocketFilterContext) -> int:
    byte = ctx.packet.at(0, u8)
    last = ctx.packet.at(len(ctx.packet) - 1, u8)
    word = ctx.packet.at(1, be32)
    if byte is None or last is None or word is None:
        return 0
    ctx.cb[1] = 3
    return byte * 1000 + last + (word == 0x10203040)


def test_a_socket_filter_in_a_test_run(engine: str) -> None:
    """There it sees the packet from the network header on."""
    with first_byte.load(engine):
        assert first_byte.run(packet=bytes(14) + b"\x07\x10\x20\x30\x40" + b"\x09").value == 7010
        assert first_byte.run(packet=bytes(14) + b"\x07\x10\x20").value == 0


@pytest.mark.kernel
def test_a_socket_filter_of_datagrams() -> None:
    """A datagram socket's filter sees the UDP header and what follows."""

    @bpf.socket_filter
    def keeps(ctx: bpf.SocketFilterContext) -> int:
        first = ctx.packet.at(8, u8)
        return 8 + 3 if first is not None and first == ord("k") else 0

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
        one.bind(("127.0.0.1", 0))
        one.settimeout(2)
        with keeps.attach(one):
            two.sendto(b"drop this", one.getsockname())
            two.sendto(b"keep this", one.getsockname())
            assert one.recv(100) == b"kee"
            one.settimeout(0.1)
            with pytest.raises(TimeoutError):
                one.recv(100)
        two.sendto(b"drop not", one.getsockname())
        one.settimeout(2)
        assert one.recv(100) == b"drop not"


# -- XDP


@bpf.xdp
def grows(ctx: bpf.XdpContext) -> bpf.XdpAction:
    """Puts eight bytes in front, cuts four off the end."""
    if ctx.packet.adjust_head(-8) != 0 or ctx.packet.adjust_tail(-4) != 0:
        return 1
    head = ctx.packet.at(0, u64)
    new = ctx.packet.at(0, u32)
    if head is None or new is None:
        return 3
    seen[0] = len(ctx.packet)
    place = ctx.packet.at(0, Front)
    if place is None:
        return 4
    place.magic = 0x01020304
    place.size = len(ctx.packet)
    return bpf.XDP_TX


@bpf.struct
class Front:
    magic: be32 = 0
    size: be16 = 0
    rest: u16 = 0


def test_a_frame_grows_and_shrinks(engine: str) -> None:
    with grows.load(engine):
        result = grows.run(packet=FRAME)
        assert result.value == bpf.XDP_TX
        assert len(result.data) == len(FRAME) + 4 == seen[0]
        assert result.data[:6] == bytes.fromhex("01020304 0044")
        assert result.data[8:] == FRAME[:-4]


@bpf.xdp
def walks(ctx: bpf.XdpContext) -> bpf.XdpAction:
    """A chain of length bytes: each says how far the next one is."""
    at = 0
    steps = 0
    total: u32 = 0
    for _ in range(40):
        step = ctx.packet.at(at, u8)
        if step is None or step == 0:
            break
        steps += 1
        total += step
        at += step
    else:
        return 0xFFFF
    return steps * 256 + total


@pytest.mark.parametrize("chain", [(0,), (5, 4, 60), (1,) * 30, (1,) * 63, (20, 40, 4), (255,)])
def test_offsets_known_at_run_time(engine: str, chain: tuple[int, ...]) -> None:
    packet = bytearray(64)
    at = 0
    for step in chain:
        packet[at] = step
        at = at + step if at + step < 64 else at
    model, steps, total = 0, 0, 0
    for _ in range(40):
        if model >= 64 or not packet[model]:
            break
        steps, total, model = steps + 1, total + packet[model], model + packet[model]
    else:
        steps, total = 255, 255
    with walks.load(engine):
        assert walks.run(packet=bytes(packet)).value == steps * 256 + total


@bpf.xdp
def network_order(ctx: bpf.XdpContext) -> bpf.XdpAction:
    ip = ctx.packet.at(14, IPv4)
    port = ctx.packet.at(36, be16)
    if ip is None or port is None:
        return 0
    seen[0] = ip.saddr
    seen[1] = ip.saddr + 1
    seen[2] = ip.saddr & 0xFFFFFF00
    seen[3] = (ip.saddr >> 24) + (port << 4) - (ip.tot_len ^ 3)
    seen[4] = ip.saddr in (0xC0000201, 0xC0000202)
    seen[5] = 0xC0000200 <= ip.saddr < 0xC0000300
    seen[6] = min(port, ip.tot_len) * max(port, 7) // 5 % 100
    ip.saddr += 0x100
    ip.daddr = ip.saddr | 0xFF
    ip.tot_len = port * 2
    ip.check ^= 0xFFFF
    return port == 53 and ip.tot_len == 106


def test_arithmetic_on_network_order(engine: str) -> None:
    with network_order.load(engine):
        result = network_order.run(packet=UDP_FRAME)
        assert result.value == 1
        source = 0xC0000202
        assert [seen[i] for i in range(7)] == [
            source, source + 1, 0xC0000200, 0xC0 + (53 << 4) - (42 ^ 3), 1, 1, 42 * 53 // 5 % 100,
        ]  # fmt: skip
        after = IPv4.from_bytes(result.data[14:])
        assert (after.saddr, after.daddr, after.tot_len, after.check) == (source + 0x100, 0xC00003FF, 106, 0xFFFF)
