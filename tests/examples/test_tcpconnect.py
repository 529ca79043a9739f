"""tcpconnect, both ways: what it tells of this process's connections is what the sockets and /proc/net/tcp say."""

from __future__ import annotations

import errno
import os
import socket
import sys
from contextlib import ExitStack
from ipaddress import IPv4Address
from itertools import islice
from pathlib import Path

import pytest

from purebpf.kernel.engine import KernelEngine
from tests.examples.skips import where_permitted
from tests.examples.test_examples import load
from tests.examples.test_tracing import NEEDS_TYPES

pytestmark = NEEDS_TYPES
End = tuple[str, int]


def of_procfs() -> dict[tuple[End, End], int]:
    """The user of each TCP connection, by its two ends."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {(end(row[1]), end(row[2])): int(row[7]) for row in rows}


def end(text: str) -> End:
    """0100007F:1F90 is 127.0.0.1:8080: the address as it lies in memory, the port as a number."""
    address, port = text.split(":")
    return str(IPv4Address(int(address, 16).to_bytes(4, sys.byteorder))), int(port, 16)


@pytest.mark.parametrize("way", ["fexit", "kprobe"])
def test_tcpconnect_tells_the_ends_of_connections(kernel: KernelEngine, way: str) -> None:
    example = load("tcpconnect")
    example.settings.only_pid = os.getpid()
    with ExitStack() as stack:
        with where_permitted():
            stack.enter_context(example.watching(way))
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        clients = [stack.enter_context(socket.create_connection(server.getsockname())) for _ in range(3)]
        ends = [(client.getsockname(), client.getpeername()) for client in clients]
        users = of_procfs()
        lost = stack.enter_context(socket.socket())
        assert lost.connect_ex(("255.255.255.255", 9)) == errno.ENETUNREACH
        *made, failed = islice(example.connects.records(timeout=20), 4)
    comm = Path("/proc/thread-self/comm").read_text().strip()
    assert {(one.pid, one.comm) for one in (*made, failed)} == {(os.getpid(), comm)}
    told = [((str(IPv4Address(one.local)), one.sport), (str(IPv4Address(one.remote)), one.dport)) for one in made]
    assert told == ends
    assert [(users[one], 0) for one in told] == [(one.uid, one.result) for one in made]
    assert failed.result == -errno.ENETUNREACH


def test_tcpconnect_knows_two_ways_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tcpconnect.py", "strace"])
    with pytest.raises(SystemExit, match=r"examples/tcpconnect\.py kprobe"):
        load("tcpconnect").main()
