"""A network of its own for the demo: two network namespaces joined by a veth pair, and traffic between them.

The calling process moves into the first namespace; a child process in the second one makes the traffic. Namespaces and
interfaces exist only as long as the two processes do, so nothing stays behind however they end.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from purebpf.errors import Error

CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
HERE, THERE = "192.0.2.1", "192.0.2.2"  # RFC 5737: addresses for documentation
UDP_PORT, TCP_PORT = 5353, 8080
OURS, THEIRS = "pbpf0", "pbpf1"
_libc = ctypes.CDLL(None, use_errno=True)


class NoLab(Error):
    """Network namespaces or the interfaces in them cannot be made here."""


@contextmanager
def lab() -> Iterator[str]:
    """Gives the interface's name on this side, with the traffic running. Raises NoLab where it cannot be made."""
    _new_namespace()
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        _peer(there)
    there.close()
    try:
        with here:
            _expect(here, "make a network namespace of its own")
            _join(child)
            here.send(b"1")
            _expect(here, "set its interface up")
            with socket.create_server((HERE, TCP_PORT)) as listener:
                threading.Thread(target=_serve, args=(listener,), daemon=True).start()
                here.send(b"1")
                try:
                    yield OURS
                finally:
                    listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, which then ends
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _new_namespace() -> None:
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise NoLab(f"a network namespace cannot be made here: {os.strerror(ctypes.get_errno())}")


def _expect(child: socket.socket, doing: str) -> None:
    """Wait for the child's word that it could do it: b"1", or else the reason."""
    word = child.recv(4096)
    if word != b"1":
        raise NoLab(f"the process that makes the traffic could not {doing}: {word.decode() or 'it ended'}")


def _join(child: int) -> None:
    """A veth pair between this namespace and the child's, with an address on this side."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as route:
            route.link("add", ifname=OURS, kind="veth", peer={"ifname": THEIRS})
            route.link("set", index=route.link_lookup(ifname=THEIRS)[0], net_ns_pid=child)
            _configure(OURS, HERE)
    except NetlinkError as error:
        raise NoLab(f"a veth pair cannot be made here: {error}") from error


def _configure(name: str, address: str) -> None:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        index = route.link_lookup(ifname=name)[0]
        route.addr("add", index=index, address=address, prefixlen=24)
        route.link("set", index=index, state="up")


def _serve(listener: socket.socket) -> None:
    """Accept connections and read them to their end, until the listener is shut down."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.settimeout(0.5)
            while connection.recv(4096):
                pass


def _peer(parent: socket.socket) -> None:
    """The child: its own namespace, then traffic until it is ended. It never returns."""
    try:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which then ends us
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _new_namespace()
        parent.send(b"1")
        if parent.recv(1) == b"1":  # nothing comes when the parent is gone
            _configure(THEIRS, THERE)
            parent.send(b"1")
            if parent.recv(1) == b"1":
                _traffic()
    except Exception as error:  # whatever it is, the parent is the one to tell it
        with suppress(OSError):
            parent.send(str(error).encode()[:4096] or type(error).__name__.encode())
    finally:
        os._exit(0)


def _traffic() -> None:
    """UDP datagrams, TCP connections and ICMP echo requests, a few hundred a second, for a minute at most."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    udp.setblocking(False)
    icmp.setblocking(False)
    end = time.monotonic() + 60
    number = 0
    while time.monotonic() < end:
        number += 1
        with suppress(OSError):
            udp.sendto(bytes(number % 400), (HERE, UDP_PORT))
        if number % 3 == 0:
            with suppress(OSError):
                icmp.sendto(_echo(number), (HERE, 0))
        if number % 5 == 0:
            with suppress(OSError), socket.create_connection((HERE, TCP_PORT), timeout=0.2) as tcp:
                tcp.sendall(bytes(number % 2000))
        time.sleep(0.004)


def _echo(number: int) -> bytes:
    """An ICMP echo request with its checksum."""
    body = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, number & 0xFFFF) + bytes(32)
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return body[:2] + struct.pack("!H", checksum) + body[4:]
