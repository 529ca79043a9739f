"""A cgroup (version 2) of its own for one test, and functions that run inside of it."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import pytest

T = TypeVar("T")
HERE = "127.0.0.1"


def _mounted() -> str | None:
    with open("/proc/self/mounts") as mounts:
        return next((line.split()[1] for line in mounts if line.split()[2] == "cgroup2"), None)


@contextmanager
def hierarchy() -> Iterator[str]:
    """Where cgroup2 is mounted; mounted for the time of the test if it is not."""
    found = _mounted()
    if found:
        yield found
        return
    with tempfile.TemporaryDirectory() as place:
        if subprocess.run(["mount", "-t", "cgroup2", "cgroup2", place], capture_output=True).returncode:
            pytest.skip("there is no cgroup2, and it cannot be mounted")
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)


@contextmanager
def own_cgroup() -> Iterator[str]:
    """The folder of a new cgroup, removed afterwards."""
    with hierarchy() as root:
        path = os.path.join(root, f"purebpf-test-{os.getpid()}")
        try:
            os.mkdir(path)
        except OSError as error:
            pytest.skip(f"no cgroup of its own: {error}")
        try:
            yield path
        finally:
            for below in os.scandir(path):
                if below.is_dir():
                    os.rmdir(below.path)
            os.rmdir(path)


def inside(path: str, function: Callable[[], T]) -> T:
    """What the function gives in a child process that is in the cgroup; an error of it is one here."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with suppress(BaseException):
            try:
                with open(os.path.join(path, "cgroup.procs"), "w") as procs:
                    procs.write(str(os.getpid()))
                answer = True, function()
            except BaseException as error:
                answer = False, error if isinstance(error, OSError) else traceback.format_exc()  # type: ignore[assignment]
            os.write(writing, pickle.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    good, value = pickle.loads(data)
    if good:
        return value  # type: ignore[no-any-return]
    raise value if isinstance(value, OSError) else AssertionError(value)


def udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def listener(family: int = socket.AF_INET) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.bind(("::1" if family == socket.AF_INET6 else HERE, 0))
    made.listen()
    return made
