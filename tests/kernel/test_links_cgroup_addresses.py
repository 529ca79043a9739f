"""Programs of cgroups that see and change addresses: of sockets that bind, connect, send, receive and ask for names."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.kernel.errors import kernel_version
from tests.kernel.cgroups import HERE, inside, listener, udp

pytestmark = pytest.mark.kernel
WANTED = 4242

seen = bpf.Hash[u32, u64](max_entries=64)


@bpf.globals
class state:
    port: u32 = 0
    count: u64 = 0


@bpf.cgroup_sock_addr("connect4")
def connect4(ctx: bpf.SockAddrContext) -> int:
    if ctx.user_port == WANTED:
        seen[10] = ctx.user_ip4
        seen[11] = ctx.sk.family
        ctx.user_ip4 = 0x7F000001
        ctx.user_port = state.port
    return 1


@bpf.cgroup_sock_addr("connect6")
def connect6(ctx: bpf.SockAddrContext) -> int:
    if ctx.user_port == WANTED:
        for i in (0, 1, 2):
            ctx.user_ip6[i] = 0
        ctx.user_ip6[3] = 1
        ctx.user_port = state.port
    return 1


@bpf.cgroup_sock_addr("getpeername4")
def peer4(ctx: bpf.SockAddrContext) -> int:
    ctx.user_ip4 = 0xC0000201
    ctx.user_port = WANTED
    return 1


@bpf.cgroup_sock_addr("getpeername6")
def peer6(ctx: bpf.SockAddrContext) -> int:
    ctx.user_port = WANTED
    return 1


@bpf.cgroup_sock_addr("getsockname4")
def name4(ctx: bpf.SockAddrContext) -> int:
    ctx.user_port = WANTED + 1
    return 1


@bpf.cgroup_sock_addr("getsockname6")
def name6(ctx: bpf.SockAddrContext) -> int:
    ctx.user_port = WANTED + 1
    return 1


@pytest.mark.parametrize(
    ("family", "wanted", "connecting", "peer", "own"),
    [
        (socket.AF_INET, "192.0.2.1", connect4, peer4, name4),
        (socket.AF_INET6, "2001:db8::1", connect6, peer6, name6),
    ],
)
@pytest.mark.skipif(kernel_version() < (5, 8), reason="this kernel has no hooks for getpeername and getsockname")
def test_connections_go_elsewhere_and_names_hide_it(
    cgroup: str, family: int, wanted: str, connecting: bpf.Program, peer: bpf.Program, own: bpf.Program
) -> None:
    def talk() -> tuple[bytes, tuple[str, int], int]:
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.connect((wanted, WANTED))
            client.settimeout(2)
            return client.recv(10), client.getpeername()[:2], client.getsockname()[1]

    with listener(family) as server, bpf.load(connecting, peer, own):
        server.settimeout(2)
        state.port = server.getsockname()[1]
        for program in (connecting, peer, own):
            program.attach(cgroup)
        import threading

        def serve() -> None:
            accepted, _ = server.accept()
            with accepted:
                accepted.send(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            data, name, mine = inside(cgroup, talk)
        finally:
            thread.join()
        assert (data, name[1], mine) == (b"hello", WANTED, WANTED + 1)
        if family == socket.AF_INET:
            assert name[0] == "192.0.2.1"
            assert (seen[10], seen[11]) == (0xC0000201, socket.AF_INET)


@bpf.cgroup_sock_addr("bind4")
def bind4(ctx: bpf.SockAddrContext) -> int:
    if ctx.user_port == WANTED:
        ctx.user_port = state.port
    return 1


@bpf.cgroup_sock_addr("bind6")
def bind6(ctx: bpf.SockAddrContext) -> int:
    return ctx.user_port != WANTED


def test_binds_are_changed_and_refused(cgroup: str) -> None:
    def bind(family: int, address: str, port: int) -> int:
        with socket.socket(family, socket.SOCK_DGRAM) as made:
            made.bind((address, port))
            return int(made.getsockname()[1])

    with udp() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    with bind4.attach(cgroup):
        state.port = port
        assert inside(cgroup, lambda: bind(socket.AF_INET, HERE, WANTED)) == port
    with bind6.attach(cgroup):
        with pytest.raises(PermissionError):
            inside(cgroup, lambda: bind(socket.AF_INET6, "::1", WANTED))
        assert inside(cgroup, lambda: bind(socket.AF_INET6, "::1", WANTED + 7)) == WANTED + 7


@bpf.cgroup_sock_addr("sendmsg4")
def sendmsg4(ctx: bpf.SockAddrContext) -> int:
    if ctx.user_port == WANTED:
        ctx.user_ip4 = 0x7F000001
        ctx.msg_src_ip4 = 0x7F000002
        ctx.user_port = state.port
    return 1


@bpf.cgroup_sock_addr("sendmsg6")
def sendmsg6(ctx: bpf.SockAddrContext) -> int:
    seen[12] = ctx.user_ip6[3]
    return ctx.user_port != WANTED


@bpf.cgroup_sock_addr("recvmsg4")
def recvmsg4(ctx: bpf.SockAddrContext) -> int:
    ctx.user_port = WANTED
    return 1


@bpf.cgroup_sock_addr("recvmsg6")
def recvmsg6(ctx: bpf.SockAddrContext) -> int:
    ctx.user_port = WANTED
    return 1


def test_datagrams_go_elsewhere_and_come_from_elsewhere(cgroup: str) -> None:
    with udp() as receiver, sendmsg4.attach(cgroup):
        receiver.bind((HERE, 0))
        receiver.settimeout(2)
        state.port = receiver.getsockname()[1]
        inside(cgroup, lambda: udp().sendto(b"text", ("192.0.2.7", WANTED)))
        data, source = receiver.recvfrom(100)
        assert (data, source[0]) == (b"text", "127.0.0.2")


@pytest.mark.parametrize(("family", "program"), [(socket.AF_INET, recvmsg4), (socket.AF_INET6, recvmsg6)])
def test_recvmsg_changes_where_a_datagram_comes_from(cgroup: str, family: int, program: bpf.Program) -> None:
    def talk() -> int:
        address = HERE if family == socket.AF_INET else "::1"
        with socket.socket(family, socket.SOCK_DGRAM) as receiver, socket.socket(family, socket.SOCK_DGRAM) as sender:
            receiver.bind((address, 0))
            receiver.settimeout(2)
            sender.sendto(b"x", receiver.getsockname())
            return int(receiver.recvfrom(10)[1][1])

    with program.attach(cgroup):
        assert inside(cgroup, talk) == WANTED
    assert inside(cgroup, talk) != WANTED


def test_sendmsg6_sees_the_address_and_refuses(cgroup: str) -> None:
    with sendmsg6.attach(cgroup):
        with pytest.raises(PermissionError):
            inside(cgroup, lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("::1", WANTED)))
        assert seen[12] == 1


# -- Unix sockets


@bpf.cgroup_sock_addr("connect_unix")
def connect_unix(ctx: bpf.SockAddrContext) -> int:
    seen[13] = ctx.user_family
    return 0


@pytest.mark.skipif(kernel_version() < (6, 7), reason="this kernel has no hooks for Unix sockets")
def test_connections_of_unix_sockets_are_refused(cgroup: str, tmp_path: Path) -> None:
    def connect() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "server"))

    with socket.socket(socket.AF_UNIX) as server, connect_unix.attach(cgroup):
        server.bind(str(tmp_path / "server"))
        server.listen()
        with pytest.raises(PermissionError):
            inside(cgroup, connect)
        assert seen[13] == socket.AF_UNIX


UNIX = ("sendmsg_unix", "recvmsg_unix", "getpeername_unix", "getsockname_unix")


def counts_unix(ctx: bpf.SockAddrContext) -> int:
    state.count += 1
    return 1


@pytest.mark.parametrize("hook", UNIX)
@pytest.mark.skipif(kernel_version() < (6, 7), reason="this kernel has no hooks for Unix sockets")
def test_unix_sockets_at_every_hook(cgroup: str, tmp_path: Path, hook: str) -> None:
    def talk() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as two:
            one.bind(str(tmp_path / "one"))
            two.bind(str(tmp_path / "two"))
            one.sendto(b"x", str(tmp_path / "two"))
            two.recvfrom(10)
            one.getsockname()
            one.connect(str(tmp_path / "two"))
            one.getpeername()

    with bpf.cgroup_sock_addr(hook)(counts_unix).attach(cgroup):
        inside(cgroup, talk)
        assert state.count >= 1
