"""Programs of sockets at work: socket maps, lookups, groups of sockets, flows; with Python's sockets, in an own namespace."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import purebpf as bpf
from purebpf import be16, u8, u32, u64
from purebpf.errors import Error, KernelError, NotLoaded, Unsupported
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import netns as netns_links
from purebpf.kernel.link import sockmap as sockmap_links
from purebpf.kernel.program import KernelProgram
from purebpf.tables.enums import LinkType
from tests.kernel.netns import eventually, veth_pair

pytestmark = pytest.mark.kernel
HERE = "127.0.0.1"
FIRST_MSG_LINK = (6, 10)

sockets = bpf.SockMap(max_entries=8)
by_port = bpf.SockHash[u32](max_entries=8)
group = bpf.ReusePortSockArray(max_entries=4)
seen = bpf.Hash[u32, u64](max_entries=64)


@bpf.globals
class state:
    count: u64 = 0
    port: u32 = 0
    chosen: u32 = 0


@pytest.fixture
def network() -> Iterator[None]:
    """A namespace whose loopback interface is up."""
    import subprocess

    with veth_pair():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection."""
    with socket.create_server((HERE, 0)) as server, socket.create_connection(server.getsockname()[:2]) as client:
        accepted, _ = server.accept()
        with accepted:
            for end in (client, accepted):
                end.settimeout(2)
            yield client, accepted


# -- socket maps


@bpf.sk_msg
def to_the_other(ctx: bpf.SkMsgContext) -> int:
    first = ctx.packet.at(0, u8)
    if first is None:
        return bpf.SK_PASS
    state.count += 1
    seen[1] = ctx.size
    seen[2] = ctx.local_port
    seen[3] = ctx.sk.src_port
    if first == ord("d"):
        return bpf.SK_DROP
    if first == ord("r"):
        return sockets.redirect(ctx, 1, bpf.BPF_F_INGRESS)
    if first == ord("h"):
        return by_port.redirect(ctx, state.port, bpf.BPF_F_INGRESS)
    return bpf.SK_PASS


@pytest.mark.parametrize("links", [True, False])
def test_messages_are_passed_on_dropped_and_redirected(network: None, links: bool) -> None:
    with bpf.load(to_the_other) as loaded, connected() as (one, two), connected() as (_, four):
        program = loaded.of(to_the_other)
        assert isinstance(program, KernelProgram)
        with sockmap_links.attach(program, {"map": sockets}, links=links) as link:
            new = links and kernel_version() >= FIRST_MSG_LINK
            assert link.mechanism == ("socket map link" if new else "socket map attach")
            if new:
                assert link.info.type == LinkType.SOCKMAP
            sockets[0] = one
            sockets[1] = four
            by_port[four.getsockname()[1]] = four
            state.port = four.getsockname()[1]
            one.send(b"plain")
            assert two.recv(100) == b"plain"
            one.send(b"redirected")
            assert four.recv(100) == b"redirected"
            one.send(b"hashed")
            assert four.recv(100) == b"hashed"
            with pytest.raises(PermissionError):
                one.send(b"dropped")
            assert state.count == 4
            assert (seen[1], seen[2], seen[3]) == (7, one.getsockname()[1], one.getsockname()[1])
        del sockets[0]
        one.send(b"dropped no more")
        assert two.recv(100) == b"dropped no more"


def cookie(made: socket.socket) -> int:
    return int(struct.unpack("Q", made.getsockopt(socket.SOL_SOCKET, 57, 8))[0])  # SO_COOKIE


def test_a_socket_map_is_a_mapping_of_cookies(network: None) -> None:
    with bpf.load(to_the_other), connected() as (one, two):
        sockets[3] = one
        by_port[7] = two
        assert (sockets[3], sockets.get(2), by_port[7]) == (cookie(one), None, cookie(two))
        assert list(by_port) == [7]
        del sockets[3]
        assert 3 not in sockets
        with pytest.raises(KeyError):
            by_port[8]
        with pytest.raises(TypeError, match="the value of `sockets` is a socket, not 5"):
            sockets[0] = 5
        with pytest.raises(ValueError, match="the socket for `sockets` is closed"), socket.socket() as closed:
            closed.close()
            sockets[0] = closed
        with pytest.raises(bpf.KernelError, match="a TCP socket that is connected or listens"), socket.socket() as unconnected:
            sockets[0] = unconnected
        by_port[9] = one
        one.close()
        assert eventually(lambda: 9 not in by_port)


@bpf.sk_skb("stream_parser")
def whole(ctx: bpf.SkSkbContext) -> int:
    return len(ctx.packet)


@bpf.sk_skb("stream_verdict")
def forward(ctx: bpf.SkSkbContext) -> int:
    state.count += 1
    seen[4] = len(ctx.packet)
    seen[5] = ctx.remote_port
    return sockets.redirect(ctx, 1)


def test_streams_are_forwarded_in_the_kernel(network: None) -> None:
    with bpf.load(whole, forward), connected() as (one, two), connected() as (three, four):
        whole.attach(sockets)
        with forward.attach(sockets):
            sockets[0] = two
            sockets[1] = four
            one.send(b"through")
            assert three.recv(100) == b"through"
            assert (state.count, seen[4], seen[5]) == (1, 7, one.getsockname()[1])


@bpf.sk_skb("verdict")
def datagrams(ctx: bpf.SkSkbContext) -> int:
    state.count += 1
    return by_port.redirect(ctx, 1, bpf.BPF_F_INGRESS)


@pytest.mark.skipif(kernel_version() < (5, 13), reason="this kernel has no verdicts without a parser")
def test_datagrams_are_redirected(network: None) -> None:
    with (
        bpf.load(datagrams),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        for receiver in (first, second):
            receiver.bind((HERE, 0))
            receiver.settimeout(2)
        second.connect((HERE, 9))  # the kernel redirects to connected sockets only
        with datagrams.attach(by_port):
            by_port[0] = first
            by_port[1] = second
            sender.sendto(b"elsewhere", first.getsockname())
            assert second.recv(100) == b"elsewhere"
            assert state.count == 1


@bpf.sockops
def gather(ctx: bpf.SockOpsContext) -> int:
    if ctx.op == bpf.BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB or ctx.op == bpf.BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
        by_port.add(ctx, ctx.local_port)
    return 1


def test_sockops_put_sockets_into_a_hash(network: None) -> None:
    from tests.kernel.cgroups import inside, own_cgroup

    def connect() -> list[int]:
        with connected() as (one, two):
            return [one.getsockname()[1], two.getsockname()[1], len(list(by_port))]

    with own_cgroup() as path, gather.attach(path):
        *ports, entries = inside(path, connect)
        assert entries == 2
        assert all(port > 0 for port in ports)


def test_a_map_takes_one_program_of_a_kind(network: None) -> None:
    @bpf.sk_msg
    def other(ctx: bpf.SkMsgContext) -> int:
        return bpf.SK_PASS if sockets.redirect(ctx, 7) == bpf.SK_DROP else bpf.SK_DROP

    with bpf.load(to_the_other, other), to_the_other.attach(sockets) as attached:
        if kernel_version() >= FIRST_MSG_LINK:
            with pytest.raises(KernelError, match="has a program of the kind already"):
                other.attach(sockets)
        attached.update(other)
        with connected() as (one, two):
            sockets[0] = one
            one.send(b"dropped")
            assert two.recv(100) == b"dropped"
        with pytest.raises(Error, match="needs the option 'map'"):
            other.attach()
        with pytest.raises(Error, match="which is no socket map"):
            other.attach(seen)


# -- lookups


@bpf.sk_lookup
def any_port(ctx: bpf.SkLookupContext) -> int:
    if ctx.local_port != 7 or ctx.protocol != bpf.IPPROTO_TCP or ctx.local_ip4 != 0x7F000001:
        return bpf.SK_PASS
    state.count += 1
    return bpf.SK_PASS if sockets.assign(ctx, 0) == 0 else bpf.SK_DROP


def test_a_lookup_gives_a_packet_to_a_chosen_socket(network: None) -> None:
    with bpf.load(any_port), socket.create_server((HERE, 0)) as server, any_port.attach() as attached:
        assert (attached.mechanism, attached.info.type) == ("netns link", LinkType.NETNS)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HERE, 7))
        sockets[0] = server
        with socket.create_connection((HERE, 7)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.getpeername() == (HERE, 7)
        assert state.count >= 2


def test_the_namespace_can_be_named(network: None) -> None:
    with any_port.attach(netns="/proc/self/ns/net") as attached:
        assert attached.details["attach_type"] == "sk_lookup"
    with pytest.raises(KernelError, match="Opening the netns /nowhere failed"):
        any_port.attach("/nowhere")


# -- groups of sockets


@bpf.sk_reuseport
def choose(ctx: bpf.SkReuseportContext) -> int:
    state.count += 1
    first = ctx.packet.at(8, u8)
    seen[6] = ctx.ip_protocol
    seen[7] = ctx.len
    if first is None:
        return bpf.SK_DROP
    if group.select(ctx, u32(first & 1)) != 0:
        return bpf.SK_DROP
    return bpf.SK_PASS


def test_a_group_of_sockets_is_chosen_from(network: None) -> None:
    def member(port: int = 0) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((HERE, port))
        made.settimeout(2)
        return made

    with bpf.load(choose), member() as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        address = one.getsockname()
        with member(address[1]) as two:
            group[0], group[1] = one, two
            with choose.attach(one) as attached:
                assert attached.mechanism == "socket option SO_ATTACH_REUSEPORT_EBPF"
                for text in (b"\x00even", b"\x01odd", b"\x02even again"):
                    sender.sendto(text, address)
                assert (one.recv(100), one.recv(100), two.recv(100)) == (b"\x00even", b"\x02even again", b"\x01odd")
                assert (state.count, seen[6], seen[7]) == (3, socket.IPPROTO_UDP, 8 + 11)
                with pytest.raises(NotLoaded, match="which has no link to ask"):
                    _ = attached.info
            sender.sendto(b"any", address)
            assert state.count == 3


def test_a_socket_outside_of_a_group_is_told(network: None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone, bpf.load(choose):
        alone.bind((HERE, 0))
        with pytest.raises(KernelError, match="in no reuseport group") as refused:
            choose.attach(alone)
        assert refused.value.errno == errno.EINVAL
        with pytest.raises(Error, match="needs the option 'socket'"):
            choose.attach()


# -- flows


@bpf.flow_dissector
def dissect(ctx: bpf.FlowDissectorContext) -> int:
    keys = ctx.flow_keys
    protocol = ctx.packet.at(keys.nhoff + 9, u8)
    source = ctx.packet.at(keys.nhoff + 20, be16)
    if protocol is None or source is None:
        return bpf.BPF_DROP
    state.count += 1
    keys.thoff = keys.nhoff + 20
    keys.addr_proto = bpf.ETH_P_IP
    keys.ip_proto = protocol
    keys.sport = source
    return bpf.BPF_OK


DATAGRAM = struct.pack("!6s6sH", b"\2" * 6, b"\4" * 6, 0x0800) + struct.pack(
    "!BBHHHBBH4s4sHHHH", 0x45, 0, 36, 0, 0, 64, 17, 0, bytes(4), bytes(4), 4000, 53, 16, 0
)


def test_a_dissector_fills_the_flow_keys(network: None) -> None:
    with dissect.load("kernel"):
        result = dissect.run(packet=DATAGRAM + bytes(8))
        assert result.value == (bpf.BPF_OK if kernel_version() >= (6, 1) else 1)  # before, whether it did
        assert state.count == 1
        keys = result.data
        assert struct.unpack_from("=HHH", keys) == (14, 34, 0x0800)
        assert (keys[9], int.from_bytes(keys[12:14], "big")) == (17, 4000)


@pytest.mark.parametrize("links", [True, False])
def test_a_dissector_is_attached_to_the_namespace(network: None, links: bool) -> None:
    @bpf.flow_dissector
    def leaves_it(ctx: bpf.FlowDissectorContext) -> int:
        return bpf.BPF_FLOW_DISSECTOR_CONTINUE

    with bpf.load(dissect, leaves_it) as loaded:
        program, other = loaded.of(dissect), loaded.of(leaves_it)
        assert isinstance(program, KernelProgram) and isinstance(other, KernelProgram)
        try:
            link = netns_links.attach(program, {}, links=links)
        except KernelError as error:
            if error.errno == errno.EEXIST:
                pytest.skip("the initial network namespace has a flow dissector")
            raise
        with link:
            assert link.mechanism == ("netns link" if links and kernel_version() >= (5, 8) else "flow dissector attach")
            link.update(other)
        if not links:
            with pytest.raises(Unsupported, match=r"since Linux 5\.8"):
                netns_links.attach(program, {"netns": "/proc/self/ns/net"}, links=False)


@bpf.tc
def looks_up(ctx: bpf.TcContext) -> bpf.TcAction:
    flow = bpf.SockTuple(saddr=0x7F000001, daddr=0x7F000001, sport=9, dport=bpf.u16(state.port))
    sk = bpf.helpers.sk_lookup_udp(ctx, flow, bpf.BPF_F_CURRENT_NETNS, 0)
    if sk is None:
        seen[50] = 1
        return bpf.TC_ACT_OK
    seen[51] = sk.src_port
    seen[52] = sk.family
    bpf.helpers.sk_release(sk)
    return bpf.TC_ACT_OK


def test_sockets_are_looked_up_and_given_back(network: None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, looks_up.load("kernel"):
        receiver.bind((HERE, 0))
        state.port = receiver.getsockname()[1]
        for _ in range(3):
            looks_up.run(packet=DATAGRAM + bytes(8))
        assert (seen.get(50), seen[51], seen[52]) == (None, state.port, socket.AF_INET)
        state.port = 1
        looks_up.run(packet=DATAGRAM + bytes(8))
        assert seen[50] == 1
