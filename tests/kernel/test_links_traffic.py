"""Programs on the traffic of interfaces: clsact and TCX with an order, netkit, XDP's variants and its redirects, netfilter; on
frames and datagrams that cross a veth pair."""

from __future__ import annotations

import errno
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import purebpf as bpf
from purebpf import u8, u32, u64
from purebpf.errors import Error, KernelError, Unsupported
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import tcx as tc_links
from purebpf.kernel.link import xdp as xdp_links
from purebpf.kernel.link.query import query
from purebpf.kernel.program import KernelProgram
from purebpf.net import Ethernet, IPv4
from purebpf.tables.enums import AttachType, LinkType
from tests.kernel.netns import ETHERTYPE, eventually, frame, send, veth_pair

pytestmark = pytest.mark.kernel
TCX = pytest.mark.skipif(kernel_version() < (6, 6), reason="this kernel has no TCX")

seen = bpf.Hash[u32, u64](max_entries=16)
devices = bpf.DevMap(max_entries=4)
with_programs = bpf.DevMapHash(max_entries=4, programs=True)
cpus = bpf.CpuMap(max_entries=4, programs=True)
xsks = bpf.XskMap(max_entries=4)


@bpf.globals
class state:
    count: u64 = 0
    order: u64 = 0


@pytest.fixture
def veth() -> Iterator[tuple[str, str]]:
    with veth_pair() as names:
        yield names


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def ours(ctx: bpf.TcContext) -> bool:
    eth = ctx.packet.at(0, Ethernet)
    return eth is not None and eth.proto == ETHERTYPE


@bpf.tc
def one(ctx: bpf.TcContext) -> bpf.TcAction:
    if ours(ctx):
        state.count += 1
        state.order = state.order * 10 + 1
    return bpf.TC_ACT_UNSPEC


@bpf.tc
def two(ctx: bpf.TcContext) -> bpf.TcAction:
    if ours(ctx):
        state.count += 100
        state.order = state.order * 10 + 2
    return bpf.TC_ACT_UNSPEC


# -- clsact


def disciplines(interface: str) -> str:
    return subprocess.run(["tc", "qdisc", "show", "dev", interface], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_clsact_sees_frames_in_its_direction_only(veth: tuple[str, str], direction: str) -> None:
    receiving, sending = (veth[0], veth[1]) if direction == "ingress" else (veth[1], veth[0])
    with bpf.load(one):
        with one.attach(veth[0], direction=direction, priority=7) as attached:
            assert attached.mechanism == f"clsact filter, {direction}, priority 7"
            send(sending, *[frame()] * 3)
            assert eventually(lambda: state.count == 3), state.count
            send(receiving, frame())
            assert not eventually(lambda: state.count > 3, 0.1)
            with pytest.raises(Unsupported, match="no link of the kernel's"):
                attached.pin("/nowhere")
        send(sending, frame())
        assert not eventually(lambda: state.count > 3, 0.1)
        assert "clsact" not in disciplines(veth[0])


def test_filters_of_clsact_run_by_priority_and_leave_those_of_others(veth: tuple[str, str]) -> None:
    with bpf.load(one, two):
        later = one.attach(veth[0], priority=20)
        first = two.attach(veth[0], priority=10)
        send(veth[1], frame())
        assert eventually(lambda: state.count == 101)
        assert state.order == 21
        later.close()  # it made the discipline, which another filter still needs
        assert "clsact" in disciplines(veth[0])
        send(veth[1], frame())
        assert eventually(lambda: state.count == 201)
        first.close()


def test_a_filter_is_replaced_in_place(veth: tuple[str, str]) -> None:
    with bpf.load(one, two), one.attach(veth[0], priority=3) as attached:
        attached.update(two)
        send(veth[1], frame())
        assert eventually(lambda: state.count == 100)


def test_older_way_of_tc_says_so(veth: tuple[str, str]) -> None:
    with bpf.load(one) as loaded:
        program = loaded.of(one)
        assert isinstance(program, KernelProgram)
        with tc_links.attach(program, {"interface": veth[0]}, links=False) as link:
            assert link.mechanism.startswith("clsact filter, ingress, priority 4")
            send(veth[1], frame())
            assert eventually(lambda: state.count == 1)
        with pytest.raises(Unsupported, match=r"since Linux 6\.6"):
            tc_links.attach(program, {"interface": veth[0], "before": True}, links=False)


def test_wrong_orders_are_told(veth: tuple[str, str]) -> None:
    with bpf.load(one):
        for options, said in (
            ({"priority": 70000}, "not 0 to 65535"),
            ({"priority": 1, "before": True}, "a priority, which is for clsact, and an order"),
            ({"before": True, "after": True}, "both 'before' and 'after'"),
            ({"before": 5}, "before=5, which is no attachment"),
        ):
            with pytest.raises(Error, match=said):
                one.attach(veth[0], **options)


# -- TCX


@TCX
def test_order_of_tcx_programs(veth: tuple[str, str]) -> None:
    @bpf.tc
    def three(ctx: bpf.TcContext) -> bpf.TcAction:
        if ours(ctx):
            state.order = state.order * 10 + 3
            state.count += 1000
        return bpf.TC_ACT_UNSPEC

    with bpf.load(one, two, three):
        last = one.attach(veth[0])
        two.attach(veth[0], before=last)
        three.attach(veth[0], after=two)
        send(veth[1], frame())
        assert eventually(lambda: state.count == 1101)
        assert state.order == 231
        found = query(AttachType.TCX_INGRESS, interface=veth[0])
        assert found.programs == tuple(kernel_program(program).info.id for program in (two, three, one))
        assert found.links[2] == last.info.id
        with pytest.raises(KernelError, match="changed since that revision") as stale:
            three.attach(veth[0], direction="egress", revision=found.revision + 7)
        assert stale.value.errno == errno.ESTALE
        three.attach(veth[0], direction="egress", revision=query(AttachType.TCX_EGRESS, interface=veth[0]).revision)


def kernel_program(program: bpf.Program) -> KernelProgram:
    assert isinstance(program.loaded, KernelProgram)
    return program.loaded


@TCX
def test_tcx_programs_are_replaced_pinned_and_detached(veth: tuple[str, str]) -> None:
    with bpf.load(one, two):
        attached = one.attach(veth[0], direction="egress")
        assert attached.details["ifindex"] == socket.if_nametoindex(veth[0])
        attached.update(two)
        send(veth[0], frame())
        assert eventually(lambda: state.count == 100)
        attached.detach()
        send(veth[0], frame())
        assert not eventually(lambda: state.count > 100, 0.1)


# -- netkit


@bpf.tc
def all_of_them(ctx: bpf.TcContext) -> bpf.TcAction:
    state.count += 1
    return bpf.TC_ACT_OK


@pytest.mark.skipif(kernel_version() < (6, 7), reason="this kernel has no netkit")
@pytest.mark.parametrize("side", ["primary", "peer"])
def test_netkit_programs_see_what_their_side_sends(veth: tuple[str, str], side: str) -> None:
    made = subprocess.run(["ip", "link", "add", "pbnk0", "type", "netkit"], capture_output=True, text=True)
    if made.returncode:
        made = subprocess.run(
            ["ip", "link", "add", "pbnk0", "type", "netkit", "peer", "name", "pbnk1"], capture_output=True, text=True
        )
    if made.returncode:
        pytest.skip(f"this kernel, or `ip`, makes no netkit interfaces: {made.stderr.strip()}")
    peer = next(name for _, name in socket.if_nameindex() if name.startswith("nk") or name == "pbnk1")
    for name in ("pbnk0", peer):
        ip("link", "set", name, "up")
    with all_of_them.attach("pbnk0", direction=side) as attached:
        assert (attached.mechanism, attached.info.type) == (f"netkit link, {side}", LinkType.NETKIT)
        state.count = 0
        send("pbnk0" if side == "primary" else peer, frame())
        assert eventually(lambda: state.count >= 1)


@pytest.mark.skipif(kernel_version() < (6, 7), reason="this kernel has no netkit")
def test_netkit_on_another_interface_is_told(veth: tuple[str, str]) -> None:
    with pytest.raises((KernelError, Unsupported)):
        one.attach(veth[0], direction="primary")


# -- XDP


@bpf.xdp
def counts(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is not None and eth.proto == ETHERTYPE:
        state.count += 1
    return bpf.XDP_PASS


@bpf.xdp
def counts_more(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is not None and eth.proto == ETHERTYPE:
        state.count += 100
    return bpf.XDP_PASS


@pytest.mark.parametrize("mode", ["generic", "native"])
def test_xdp_by_netlink(veth: tuple[str, str], mode: str) -> None:
    with bpf.load(counts, counts_more):
        program, other = kernel_program(counts), kernel_program(counts_more)
        with xdp_links.attach(program, {"interface": veth[0], "mode": mode}, links=False) as link:
            assert link.mechanism == f"xdp by netlink, {mode}"
            send(veth[1], frame())
            assert eventually(lambda: state.count == 1)
            with pytest.raises(KernelError, match=r"has an XDP program already; one at a time .*tail calls"):
                xdp_links.attach(other, {"interface": veth[0], "mode": mode}, links=False)
            link.update(other)
            send(veth[1], frame())
            assert eventually(lambda: state.count == 101)
        send(veth[1], frame())
        assert not eventually(lambda: state.count > 101, 0.1)


def test_replace_takes_the_place_of_a_program_without_a_link(veth: tuple[str, str]) -> None:
    with bpf.load(counts, counts_more):
        first = xdp_links.attach(kernel_program(counts), {"interface": veth[0]}, links=False)
        with counts_more.attach(veth[0], replace=True) as attached:
            assert attached.mechanism == "xdp by netlink, native"
            send(veth[1], frame())
            assert eventually(lambda: state.count == 100)
        first.close()


@pytest.mark.skipif(kernel_version() < (5, 9), reason="this kernel has no XDP links")
def test_xdp_links_are_updated_and_explain_that_there_is_one(veth: tuple[str, str]) -> None:
    with bpf.load(counts, counts_more), counts.attach(veth[0]) as attached:
        with pytest.raises(KernelError, match="`update` of its attachment puts another in its place"):
            counts_more.attach(veth[0])
        attached.update(counts_more)
        send(veth[1], frame())
        assert eventually(lambda: state.count == 100)
        assert attached.details["ifindex"] == socket.if_nametoindex(veth[0])


@bpf.xdp(frags=True)
def in_pieces(ctx: bpf.XdpContext) -> bpf.XdpAction:
    state.count += bpf.helpers.xdp_get_buff_len(ctx) > 4000
    return bpf.XDP_PASS


@pytest.mark.skipif(kernel_version() < (5, 18), reason="this kernel has XDP in one piece only")
def test_packets_of_several_pieces_want_a_program_that_takes_them(veth: tuple[str, str]) -> None:
    for name in veth:
        ip("link", "set", name, "mtu", "9000")
    with pytest.raises((KernelError, Unsupported)) as refused:
        counts.attach(veth[0], mode="native")
    assert "frags=True" in str(refused.value)
    with in_pieces.attach(veth[0], mode="native"):
        send(veth[1], frame(bytes(8000)))
        assert eventually(lambda: state.count == 1)


@bpf.xdp("devmap")
def leaving(ctx: bpf.XdpContext) -> bpf.XdpAction:
    seen[1] = ctx.egress_ifindex
    seen[2] += 1
    return bpf.XDP_PASS


@bpf.xdp("cpumap")
def elsewhere(ctx: bpf.XdpContext) -> bpf.XdpAction:
    seen[3] += 1
    return bpf.XDP_PASS


@bpf.xdp
def to_device(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETHERTYPE:
        return bpf.XDP_PASS
    return with_programs.redirect(7)


@bpf.xdp
def to_cpu(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETHERTYPE:
        return bpf.XDP_PASS
    return cpus.redirect(0, bpf.XDP_DROP)


@bpf.xdp
def passes(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return bpf.XDP_PASS


@contextmanager
def second_pair() -> Iterator[tuple[str, str]]:
    ip("link", "add", "pbpf2", "type", "veth", "peer", "name", "pbpf3")
    for name in ("pbpf2", "pbpf3"):
        ip("link", "set", name, "up")
    yield "pbpf2", "pbpf3"


@pytest.mark.skipif(kernel_version() < (5, 9), reason="this kernel has no programs of entries")
def test_a_device_maps_program_sees_what_leaves(veth: tuple[str, str]) -> None:
    with (
        second_pair() as (out, beyond),
        bpf.load(to_device, leaving, passes),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE)) as receiver,
    ):
        receiver.bind((beyond, ETHERTYPE))
        receiver.settimeout(2)
        with_programs[7] = out, leaving
        assert with_programs[7][0] == socket.if_nametoindex(out)
        assert with_programs[7][1] == kernel_program(leaving).info.id
        with to_device.attach(veth[0], mode="native"), passes.attach(beyond, mode="native"):
            send(veth[1], frame(b"over there"))
            assert b"over there" in receiver.recv(100)
        assert seen[1] == socket.if_nametoindex(out)
        assert seen[2] == 1
        with_programs[7] = out
        assert with_programs[7] == (socket.if_nametoindex(out), None)
        with pytest.raises(Error, match="There is no network interface 'nope'"):
            with_programs[7] = "nope"


@pytest.mark.skipif(kernel_version() < (5, 9), reason="this kernel has no programs of entries")
def test_a_cpu_maps_program_runs_on_that_cpu(veth: tuple[str, str]) -> None:
    with bpf.load(to_cpu, elsewhere), to_cpu.attach(veth[0]):
        cpus[0] = 192, elsewhere
        assert cpus[0] == (192, kernel_program(elsewhere).info.id)
        send(veth[1], *[frame()] * 3)
        assert eventually(lambda: seen.get(3, 0) == 3)


def test_programs_of_entries_are_not_attached_to_interfaces(veth: tuple[str, str]) -> None:
    with pytest.raises((KernelError, Unsupported), match=r"entries of device and CPU maps are not|XDP"):
        leaving.attach(veth[0])


@bpf.xdp
def to_device_plain(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return devices.redirect(1)


@bpf.xdp
def to_socket(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return xsks.redirect(ctx.rx_queue_index, bpf.XDP_PASS)


def test_values_of_maps_of_targets(veth: tuple[str, str]) -> None:
    with bpf.load(to_device_plain, to_socket):
        devices[1] = veth[0]
        assert devices[1] == socket.if_nametoindex(veth[0])
        devices[2] = socket.if_nametoindex(veth[1])
        devices[2] = 0
        assert devices.get(2) is None
        with pytest.raises(TypeError, match="is a network interface, by name or index"):
            devices[1] = 1.5
        with pytest.raises(Error, match="programs=True"):
            devices[1] = veth[0], leaving
        with pytest.raises(TypeError, match="is a socket, not 5"):
            xsks[0] = 5


# -- netfilter


@bpf.netfilter
def filters(ctx: bpf.NetfilterContext) -> int:
    ip = ctx.packet.at(0, IPv4)
    if ip is None or ip.protocol != bpf.IPPROTO_UDP:
        return bpf.NF_ACCEPT
    state.count += 1
    seen[5] = ctx.state.hook
    seen[6] = ctx.skb.len
    seen[7] = len(ctx.packet)
    first = ctx.packet.at(ip.ihl * 4 + 8, u8)
    return bpf.NF_DROP if first is not None and first == ord("b") else bpf.NF_ACCEPT


@pytest.mark.skipif(kernel_version() < (6, 4), reason="this kernel has no netfilter programs")
def test_netfilter_drops_and_accepts(veth: tuple[str, str]) -> None:
    ip("link", "set", "lo", "up")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(2)
        with filters.attach(family="ipv4", hook="input", priority=-7) as attached:
            assert attached.mechanism == "netfilter link, ipv4 input"
            details = attached.details
            assert (details["pf"], details["hooknum"], details["priority"]) == (2, 1, -7)
            sender.sendto(b"bad", receiver.getsockname())
            sender.sendto(b"good", receiver.getsockname())
            assert receiver.recv(100) == b"good"
            assert (state.count, seen[5], seen[6], seen[7]) == (2, 1, 20 + 8 + 4, 20 + 8 + 4)
            with pytest.raises(KernelError, match="with that priority already"):
                filters.attach(family="ipv4", hook="input", priority=-7)
    with pytest.raises(Error, match="needs the option 'family'"):
        filters.attach()
    with pytest.raises(Error, match="one of the two that are the kernel's"):
        filters.attach(family="ipv6", hook="output", priority=(1 << 31) - 1)
