"""Programs of cgroups at work: each kind of hook decides about, changes or counts what a child in the cgroup does."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import Error, KernelError
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import cgroup as cgroup_links
from purebpf.kernel.link.query import query
from purebpf.kernel.program import KernelProgram
from purebpf.tables.enums import AttachType, LinkType
from tests.kernel.cgroups import HERE, inside, listener, udp

pytestmark = pytest.mark.kernel
SO_MARK_OF_TESTS, WANTED = 77, 4242

seen = bpf.Hash[u32, u64](max_entries=64)


@bpf.globals
class state:
    port: u32 = 0
    count: u64 = 0


# -- packets


@bpf.cgroup_skb("egress")
def no_datagrams_to(ctx: bpf.CgroupSkbContext) -> int:
    protocol = ctx.packet.at(9, bpf.u8)
    port = ctx.packet.at(22, bpf.be16)
    if protocol is None or port is None or protocol != 17:
        return 1
    sk = ctx.sk
    if sk is not None:
        seen[1] = sk.family
    if port == state.port:
        state.count += 1
        return 0
    return 1


def test_egress_drops_what_it_refuses(cgroup: str) -> None:
    with udp() as receiver, no_datagrams_to.attach(cgroup) as attached:
        receiver.bind((HERE, 0))
        receiver.settimeout(2)
        address = receiver.getsockname()
        assert attached.mechanism == ("cgroup link" if kernel_version() >= (5, 7) else "cgroup attach, multi")
        assert attached.info.type == LinkType.CGROUP
        details = attached.details
        assert (details["cgroup_id"], details["attach_type"]) == (os.stat(cgroup).st_ino, "cgroup_inet_egress")
        state.port = address[1]
        with pytest.raises(PermissionError):
            inside(cgroup, lambda: udp().sendto(b"no", address))
        udp().sendto(b"outside", address)
        assert receiver.recv(100) == b"outside"
        state.port = 0
        inside(cgroup, lambda: udp().sendto(b"yes", address))
        assert receiver.recv(100) == b"yes"
        assert state.count == 1
        assert seen[1] == socket.AF_INET


@bpf.cgroup_skb("ingress")
def deaf(ctx: bpf.CgroupSkbContext) -> int:
    state.count += 1
    seen[2] = len(ctx.packet)
    return 0


def test_ingress_sees_the_packet_from_its_network_header(cgroup: str) -> None:
    def talk() -> bool:
        with udp() as receiver:
            receiver.bind((HERE, 0))
            receiver.settimeout(0.2)
            udp().sendto(b"12345", receiver.getsockname())
            try:
                receiver.recv(100)
            except TimeoutError:
                return False
            return True

    with deaf.attach(cgroup):
        assert not inside(cgroup, talk)
        assert (state.count, seen[2]) == (1, 20 + 8 + 5)
    assert inside(cgroup, talk)


# -- sockets


@bpf.cgroup_sock("create")
def marks(ctx: bpf.CgroupSockContext) -> int:
    if ctx.family == bpf.AF_INET and ctx.type == bpf.SOCK_DGRAM:
        ctx.mark = SO_MARK_OF_TESTS
    return ctx.protocol != bpf.IPPROTO_ICMP


def test_sockets_are_marked_or_refused_when_they_are_made(cgroup: str) -> None:
    with marks.attach(cgroup):
        assert inside(cgroup, lambda: udp().getsockopt(socket.SOL_SOCKET, socket.SO_MARK)) == SO_MARK_OF_TESTS
        with pytest.raises(PermissionError):
            inside(cgroup, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close())
        assert udp().getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == 0


@bpf.cgroup_sock("release")
def released(ctx: bpf.CgroupSockContext) -> int:
    seen[ctx.family] += 1
    return 1


@pytest.mark.skipif(kernel_version() < (5, 9), reason="this kernel has no hook for it")
def test_release_sees_sockets_that_are_closed(cgroup: str) -> None:
    def close_three() -> None:
        for _ in range(3):
            udp().close()

    with released.attach(cgroup):
        inside(cgroup, close_three)
        assert seen[socket.AF_INET] == 3


@bpf.cgroup_sock("post_bind4")
def bound4(ctx: bpf.CgroupSockContext) -> int:
    seen[4] = ctx.src_port
    seen[5] = ctx.src_ip4
    return ctx.src_port != state.port


@bpf.cgroup_sock("post_bind6")
def bound6(ctx: bpf.CgroupSockContext) -> int:
    seen[6] = ctx.src_port
    seen[7] = ctx.src_ip6[3]
    return 1


def test_post_bind_sees_and_refuses_ports(cgroup: str) -> None:
    def bind(family: int, address: str, port: int = 0) -> int:
        with socket.socket(family, socket.SOCK_STREAM) as made:
            made.bind((address, port))
            return int(made.getsockname()[1])

    with bound4.attach(cgroup):
        port = inside(cgroup, lambda: bind(socket.AF_INET, HERE))
        assert (seen[4], seen[5]) == (port, 0x7F000001)
        state.port = port
        with pytest.raises(PermissionError):
            inside(cgroup, lambda: bind(socket.AF_INET, HERE, port))
    with bound6.attach(cgroup):
        port = inside(cgroup, lambda: bind(socket.AF_INET6, "::1"))
        assert (seen[6], seen[7]) == (port, 1)


# -- devices, sysctls, options


@bpf.cgroup_device
def no_zero(ctx: bpf.CgroupDeviceContext) -> int:
    reads = ctx.access_type >> 16 & bpf.BPF_DEVCG_ACC_READ
    if ctx.access_type & 0xFFFF == bpf.BPF_DEVCG_DEV_CHAR and ctx.major == 1 and ctx.minor == 5 and reads:
        return 0
    return 1


def test_devices_are_refused(cgroup: str) -> None:
    if not os.path.exists("/dev/zero"):
        pytest.skip("there is no /dev/zero")
    with no_zero.attach(cgroup):
        with pytest.raises(PermissionError):
            inside(cgroup, lambda: os.close(os.open("/dev/zero", os.O_RDONLY)))
        inside(cgroup, lambda: os.close(os.open("/dev/null", os.O_RDONLY)))


@bpf.cgroup_sysctl
def watches(ctx: bpf.SysctlContext) -> int:
    name = bpf.chars(32)
    bpf.helpers.sysctl_get_name(ctx, name, 0)
    if name == "kernel/ostype":
        seen[20] = ctx.write
        return 0
    return 1


def test_sysctls_are_refused_by_name(cgroup: str) -> None:
    def read(name: str) -> str:
        return Path(f"/proc/sys/kernel/{name}").read_text()

    with watches.attach(cgroup):
        with pytest.raises(PermissionError):
            inside(cgroup, lambda: read("ostype"))
        assert seen[20] == 0
        assert inside(cgroup, lambda: read("osrelease")) == read("osrelease")


@bpf.cgroup_sockopt("getsockopt")
def get_option(ctx: bpf.SockoptContext) -> int:
    value = ctx.optval.at(0, u32)
    if value is not None and ctx.level == bpf.SOL_SOCKET and ctx.optname == bpf.SO_MARK:
        seen[21] = value
        place = ctx.optval.at(0, Number)
        if place is not None:
            place.value = WANTED
        ctx.retval = 0
    return 1


@bpf.struct
class Number:
    value: u32 = 0


@bpf.cgroup_sockopt("setsockopt")
def set_option(ctx: bpf.SockoptContext) -> int:
    if ctx.level == bpf.SOL_SOCKET and ctx.optname == bpf.SO_MARK:
        seen[22] = ctx.optlen
        return 0
    return 1


def test_socket_options_are_changed_and_refused(cgroup: str) -> None:
    with get_option.attach(cgroup):
        assert inside(cgroup, lambda: udp().getsockopt(socket.SOL_SOCKET, socket.SO_MARK)) == WANTED
        assert seen[21] == 0
    with set_option.attach(cgroup):
        with pytest.raises(PermissionError):
            inside(cgroup, lambda: udp().setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 7))
        assert seen[22] == 4


# -- TCP's life


@bpf.sockops
def watch_tcp(ctx: bpf.SockOpsContext) -> int:
    if ctx.op == bpf.BPF_SOCK_OPS_TCP_CONNECT_CB:
        bpf.helpers.sock_ops_cb_flags_set(ctx, bpf.BPF_SOCK_OPS_STATE_CB_FLAG)
    elif ctx.op == bpf.BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
        seen[30] = ctx.remote_port
        sk = ctx.sk
        if sk is not None:
            seen[31] = sk.dst_port
    elif ctx.op == bpf.BPF_SOCK_OPS_STATE_CB:
        seen[100 + ctx.args[1]] += 1
    return 1


def test_sockops_follow_a_connection(cgroup: str) -> None:
    def connect(port: int) -> None:
        with socket.create_connection((HERE, port)):
            pass

    with listener() as server, watch_tcp.attach(cgroup):
        port = server.getsockname()[1]
        inside(cgroup, lambda: connect(port))
        assert (seen[30], seen[31]) == (port, port)
        assert seen.get(100 + 1) == 1  # TCP_ESTABLISHED


# -- attaching


@bpf.cgroup_skb("egress")
def first_counter(ctx: bpf.CgroupSkbContext) -> int:
    state.count += 1
    return 1


@bpf.cgroup_skb("egress")
def second_counter(ctx: bpf.CgroupSkbContext) -> int:
    state.count += 100
    return 1


def a_datagram() -> int:
    return udp().sendto(b"x", (HERE, 9))


@pytest.mark.parametrize("how", ["link", "multi", "override", "exclusive"])
def test_programs_are_replaced_in_place(cgroup: str, how: str) -> None:
    if how == "link" and kernel_version() < (5, 7):
        pytest.skip("this kernel has no links to cgroups")
    mode = {} if how == "link" else {"mode": how}
    with bpf.load(first_counter, second_counter):
        attached = first_counter.attach(cgroup, **mode)
        assert attached.mechanism == ("cgroup link" if how == "link" else f"cgroup attach, {how}")
        inside(cgroup, a_datagram)
        assert state.count == 1
        attached.update(second_counter)
        inside(cgroup, a_datagram)
        assert state.count == 101
        attached.close()
        inside(cgroup, a_datagram)
        assert state.count == 101


@pytest.mark.skipif(kernel_version() < (5, 9), reason="this kernel cannot detach links")
def test_detaching_leaves_the_program_loaded(cgroup: str) -> None:
    with bpf.load(first_counter):
        first_counter.attach(cgroup).detach()
        inside(cgroup, a_datagram)
        assert state.count == 0


@pytest.mark.skipif(kernel_version() < (6, 17), reason="this kernel runs a cgroup's programs in the order of attaching")
def test_order_can_be_chosen(cgroup: str) -> None:
    @bpf.cgroup_skb("egress")
    def times_ten(ctx: bpf.CgroupSkbContext) -> int:
        state.count = state.count * 10
        return 1

    @bpf.cgroup_skb("egress")
    def plus_one(ctx: bpf.CgroupSkbContext) -> int:
        state.count += 1
        return 1

    with bpf.load(times_ten, plus_one):
        later = times_ten.attach(cgroup)
        plus_one.attach(cgroup, before=later)
        found = query(AttachType.CGROUP_INET_EGRESS, cgroup=cgroup)
        assert len(found.programs) == 2
        with pytest.raises(KernelError, match="changed since that revision"):
            plus_one.attach(cgroup, revision=found.revision + 9)
        state.count = 1
        inside(cgroup, a_datagram)
        assert state.count == 20


@pytest.mark.skipif(kernel_version() < (5, 7), reason="this kernel attaches a program to a cgroup once")
def test_more_programs_than_are_asked_for_at_first_are_told(cgroup: str) -> None:
    lower = os.path.join(cgroup, "lower")
    os.mkdir(lower)
    try:
        with bpf.load(first_counter), ExitStack() as links:
            for folder in (cgroup, lower):
                for _ in range(40):
                    links.enter_context(first_counter.attach(folder))
            assert len(query(AttachType.CGROUP_INET_EGRESS, cgroup=lower).programs) == 40
            found = query(AttachType.CGROUP_INET_EGRESS, cgroup=lower, effective=True)
            assert len(found.programs) >= 80 and len(set(found.programs[-80:])) == 1
    finally:
        os.rmdir(lower)


def test_older_way_says_so(cgroup: str) -> None:
    with bpf.load(first_counter) as loaded:
        program = loaded.of(first_counter)
        assert isinstance(program, KernelProgram)
        with cgroup_links.attach(program, {"cgroup": cgroup}, links=False) as link:
            assert link.mechanism == "cgroup attach, multi"
            inside(cgroup, a_datagram)
            assert state.count == 1


def test_a_descriptor_serves_as_well(cgroup: str) -> None:
    folder = os.open(cgroup, os.O_RDONLY)
    try:
        with first_counter.attach(folder):
            inside(cgroup, a_datagram)
            assert state.count == 1
    finally:
        os.close(folder)


def test_what_is_no_cgroup_is_told(cgroup: str, tmp_path: Path) -> None:
    with pytest.raises(Error, match="needs the option 'cgroup'"):
        first_counter.attach()
    with pytest.raises(KernelError, match="Opening the cgroup /nowhere failed: no such file or directory") as missing:
        first_counter.attach("/nowhere")
    assert missing.value.errno == errno.ENOENT
    with pytest.raises(KernelError, match=r"no cgroup of version 2; these are below /.*\.$") as other:
        first_counter.attach(tmp_path)
    assert other.value.errno == errno.EBADF
    with pytest.raises(Error, match=r"got cgroup=1\.5, which is no path"):
        first_counter.attach(1.5)
    with pytest.raises(Error, match="it is one of 'multi', 'override', 'exclusive'"):
        first_counter.attach(cgroup, mode="many")


@bpf.cgroup_skb("egress")
def measures(ctx: bpf.CgroupSkbContext) -> int:
    sk = ctx.sk
    if sk is None or sk.src_port != state.port:
        return 1
    tcp = bpf.helpers.tcp_sock(sk)
    if tcp is not None:
        seen[40] = tcp.mss_cache
        seen[41] = tcp.snd_cwnd
        seen[42] = tcp.bytes_received
        seen[43] = tcp.icsk_retransmits
    kernels = bpf.helpers.skc_to_tcp_sock(sk)
    if kernels is not None:
        seen[44] = kernels.mss_cache
    return 1


@pytest.mark.skipif(kernel_version() < (5, 11), reason="this kernel has not these helpers in these programs")
def test_helpers_give_the_state_of_a_connection(cgroup: str) -> None:
    def talk() -> None:
        with listener() as server, socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            with accepted:
                state.port = client.getsockname()[1]
                accepted.send(bytes(500))
                client.recv(1000)
                client.send(b"x")
                accepted.recv(1)

    with measures.attach(cgroup):
        inside(cgroup, talk)
        assert seen[40] == seen[44] > 500
        assert seen[41] >= 2
        assert (seen[42] >= 500, seen[43]) == (True, 0)


groups = bpf.CgroupArray(max_entries=2)


@bpf.raw_tracepoint("sys_enter")
def calls_inside(ctx: bpf.RawTracepointContext) -> None:
    if groups.holds_current(1) == 1:
        state.count += 1


def test_an_array_of_cgroups_tells_who_is_inside(cgroup: str) -> None:
    with calls_inside.attach():
        groups[1] = cgroup
        os.getppid()
        assert state.count == 0
        inside(cgroup, lambda: [os.getppid() for _ in range(20)])
        assert state.count >= 20
        del groups[1]
        with pytest.raises(TypeError, match=r"is the folder of a cgroup, not 1\.5"):
            groups[0] = 1.5
        with pytest.raises(FileNotFoundError):
            groups[0] = "/nowhere"
        with pytest.raises(KernelError):
            groups[0] = "/tmp"


@bpf.tc
def packets_inside(ctx: bpf.TcContext) -> bpf.TcAction:
    if groups.holds_packet(ctx, 1) == 1:
        state.count += 1
    return bpf.TC_ACT_UNSPEC


def test_an_array_of_cgroups_tells_whose_packets_these_are(cgroup: str) -> None:
    from tests.kernel.netns import eventually, veth_pair

    with veth_pair():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with packets_inside.attach("lo", direction="egress"):
            groups[1] = cgroup
            a_datagram()
            assert state.count == 0
            inside(cgroup, a_datagram)
            assert eventually(lambda: state.count == 1)
