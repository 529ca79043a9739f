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
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from purebpf.errors import Error, KernelError

CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
HERE, THERE = "192.0.2.1", "192.0.2.2"  # RFC 5737: addresses for documentation
UDP_PORT, TCP_PORT = 5353, 8080
_libc = ctypes.CDLL(None, use_errno=True)


def _new_namespace() -> None:
    if _libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise KernelError(number, f"A network namespace cannot be made here: {os.strerror(number)}")


@contextmanager
def lab() -> Iterator[str]:
    """Gives the interface's name on this side, with the traffic running. Raises Error where namespaces cannot be made."""
    _new_namespace()
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready_read)
        os.close(go_write)
        _peer(ready_write, go_read)
    os.close(ready_write)
    os.close(go_read)
    try:
        if os.read(ready_read, 1) != b"1":
            raise Error("the process that makes the traffic could not start")
        name = _join(child)
        listener = socket.create_server((HERE, TCP_PORT))
        listener.settimeout(0)
        os.write(go_write, b"1")
        with listener:
            yield name
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready_read)
        os.close(go_write)


def _join(child: int) -> str:
    """A veth pair between this namespace and the child's, with addresses."""
    from pyroute2 import IPRoute

    with IPRoute() as route:
        route.link("add", ifname="pbpf0", kind="veth", peer={"ifname": "pbpf1"})
        here, there = route.link_lookup(ifname="pbpf0")[0], route.link_lookup(ifname="pbpf1")[0]
        route.link("set", index=there, net_ns_pid=child)
        route.addr("add", index=here, address=HERE, prefixlen=24)
        route.link("set", index=here, state="up")
        route.link("set", index=route.link_lookup(ifname="lo")[0], state="up")
    return "pbpf0"


def _peer(ready: int, go: int) -> None:
    """The child: its own namespace, then traffic until it is ended."""
    status = 1
    try:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _new_namespace()
        os.write(ready, b"1")
        if os.read(go, 1) == b"1":
            _configure()
            _traffic()
    except (OSError, Error):
        pass
    finally:
        os._exit(status)


def _configure() -> None:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        index = route.link_lookup(ifname="pbpf1")[0]
        route.addr("add", index=index, address=THERE, prefixlen=24)
        route.link("set", index=index, state="up")


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
            with suppress(OSError):
                socket.create_connection((HERE, TCP_PORT), timeout=0.2).close()
        time.sleep(0.004)


def _echo(number: int) -> bytes:
    """An ICMP echo request with its checksum."""
    body = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, number & 0xFFFF) + bytes(32)
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return body[:2] + struct.pack("!H", checksum) + body[4:]
