"""A network namespace with a veth pair, for one test and the calling thread only."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
ETHERTYPE = 0x88B5  # IEEE 802: "local experimental"; nothing but our frames has it
FIRST, SECOND = "pbpf0", "pbpf1"
_libc = ctypes.CDLL(None, use_errno=True)


def frame(payload: bytes = b"purebpf") -> bytes:
    """A broadcast frame of at least 60 bytes with the test's own ethertype."""
    return (b"\xff" * 6 + bytes(6) + ETHERTYPE.to_bytes(2, "big") + payload).ljust(60, b"\0")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def veth_pair() -> Iterator[tuple[str, str]]:
    """The names of two connected interfaces, both up, in a network namespace of this thread's own."""
    if not shutil.which("ip"):
        pytest.skip("iproute2 is not installed: there is no `ip` to make a veth pair with")
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(CLONE_NEWNET):
            pytest.skip(f"no own network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            _ip("link", "add", FIRST, "type", "veth", "peer", "name", SECOND)
            for name in (FIRST, SECOND):
                _ip("link", "set", name, "up")
            yield FIRST, SECOND
        finally:
            assert _libc.setns(before, CLONE_NEWNET) == 0, "the test could not leave its network namespace"
    finally:
        os.close(before)


def send(interface: str, *frames: bytes) -> None:
    """Put frames on an interface; they arrive at its peer."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE)) as link:
        link.bind((interface, ETHERTYPE))
        for one in frames:
            link.send(one)


def eventually(condition: object, seconds: float = 2.0) -> bool:
    """Whether the condition (a callable) came true in time: a frame crosses a veth pair in a softirq."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
