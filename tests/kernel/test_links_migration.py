"""Where the connections of a closed socket of a reuseport group go (Linux 5.14)."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.kernel.errors import kernel_version
from tests.kernel.netns import veth_pair

HERE = "127.0.0.1"
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(kernel_version() < (5, 14), reason="programs are asked where connections go since Linux 5.14"),
]
group = bpf.ReusePortSockArray(max_entries=2)
asked = bpf.Array[u64](max_entries=2)


@bpf.sk_reuseport(migrate=True)
def choose(ctx: bpf.SkReuseportContext) -> int:
    which = 0
    if ctx.migrating_sk is not None:
        which = 1
    asked[which] += 1
    return bpf.SK_PASS if group.select(ctx, which) == 0 else bpf.SK_DROP


@pytest.fixture
def loopback(kernel: object) -> Iterator[None]:
    with veth_pair():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield


def listener(port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((HERE, port))
    made.listen()
    made.settimeout(5)
    return made


def test_a_connection_goes_from_a_closed_socket_to_the_chosen_one(loopback: None) -> None:
    with bpf.load(choose, engine="kernel"), listener() as first, listener(first.getsockname()[1]) as second:
        group[0], group[1] = first, second
        with choose.attach(first), socket.create_connection(first.getsockname(), timeout=5) as client:
            assert (asked[0], asked[1]) == (1, 0)
            first.close()
            assert asked[1] == 1
            client.send(b"to the other")
            with second.accept()[0] as accepted:
                assert accepted.recv(100) == b"to the other"
